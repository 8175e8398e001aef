"""What a cluster shows of one workload: its objects as raw JSON, and what was read beside them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from shipway.cluster.kubernetes.names import Manifest
from shipway.cluster.kubernetes.watch import fields

_NONE: Mapping[str, Any] = MappingProxyType({})
_COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"
_POD_INDEX = "apps.kubernetes.io/pod-index"


@dataclass(frozen=True, slots=True)
class Seen:
    """``main``: the Deployment, StatefulSet, Job or CronJob; None when it is gone and Pods are left.

    ``events`` are of all its objects, oldest first. ``indexes`` (Pod uid to number) are the numbers of a Deployment's
    Pods; ``tails`` (Pod uid to text) the ends of logs where the status had none, empty where a log had nothing.
    ``output`` is the folder of a job's result, ``output_delayed`` why it is not here yet, ``output_refused`` why it
    never comes.
    """

    name: str
    main: Manifest | None
    pods: tuple[Manifest, ...] = ()
    events: tuple[Manifest, ...] = ()
    autoscaler: Manifest | None = None
    service: Manifest | None = None
    fronts: tuple[Manifest, ...] = ()  # Ingress, HTTPRoute
    indexes: Mapping[str, int] = field(default_factory=lambda: _NONE)
    tails: Mapping[str, str] = field(default_factory=lambda: _NONE)
    output: str = ""
    output_delayed: str = ""
    output_refused: str = ""
    allocatable: Mapping[str, int] | None = None  # extended resources of all nodes together, where they are known
    taints: Mapping[str, int] | None = None  # how many nodes have each, where they were looked at
    stale_since: datetime | None = None
    stale_because: str = ""

    @property
    def is_job(self) -> bool:
        """Whether its Pods run to an end; what is left of a workload without a main object counts as one."""
        return self.main is None or self.main.get("kind") in ("Job", "CronJob")

    def events_of(self, uid: str) -> list[Manifest]:
        """The events of one object, oldest first."""
        return [one for one in self.events if (one.get("involvedObject") or {}).get("uid") == uid]

    def index_of(self, pod: Manifest) -> int:
        """A job's completion index, a StatefulSet's ordinal, else the number that it was given."""
        for key in (_COMPLETION_INDEX, _POD_INDEX):
            text = fields.label(pod, key) or fields.annotation(pod, key)
            if text.isdecimal():
                return int(text)
        return self.indexes.get(fields.uid_of(pod), 0)

    def refusal(self) -> str:
        """The words of the newest FailedCreate, unless a Pod was made after it."""
        for event in reversed(self.events):
            if event.get("reason") == "SuccessfulCreate":
                return ""
            if event.get("reason") == "FailedCreate":
                return str(event.get("message", ""))
        return ""


def numbered(pods: Sequence[Manifest], known: Mapping[str, int]) -> dict[str, int]:
    """A number for each Pod of a Deployment, by uid: the one it has, else the lowest that is free, by age and name."""
    numbers = {fields.uid_of(pod): known[fields.uid_of(pod)] for pod in pods if fields.uid_of(pod) in known}
    taken, free = set(numbers.values()), 0
    for pod in by_age(pods):
        if fields.uid_of(pod) in numbers:
            continue
        while free in taken:
            free += 1
        numbers[fields.uid_of(pod)] = free
        taken.add(free)
    return numbers


def by_age(pods: Sequence[Manifest]) -> list[Manifest]:
    """Oldest first; of one second by name."""
    return sorted(pods, key=lambda one: (fields.created(one), fields.name_of(one)))
