"""Fields of raw JSON that several rooms read: conditions, times, containers of a Pod. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from shipway.cluster.kubernetes.names import MAIN, Manifest

_NOTHING: Mapping[str, Any] = {}
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def metadata(manifest: Manifest) -> Mapping[str, Any]:
    return manifest.get("metadata") or _NOTHING


def name_of(manifest: Manifest) -> str:
    return str(metadata(manifest).get("name", ""))


def uid_of(manifest: Manifest) -> str:
    return str(metadata(manifest).get("uid", ""))


def label(manifest: Manifest, key: str) -> str:
    return str((metadata(manifest).get("labels") or _NOTHING).get(key, ""))


def annotation(manifest: Manifest, key: str) -> str:
    return str((metadata(manifest).get("annotations") or _NOTHING).get(key, ""))


def spec(manifest: Manifest) -> Mapping[str, Any]:
    return manifest.get("spec") or _NOTHING


def status(manifest: Manifest) -> Mapping[str, Any]:
    return manifest.get("status") or _NOTHING


def is_leaving(manifest: Manifest) -> bool:
    return bool(metadata(manifest).get("deletionTimestamp"))


def is_server(pod: Manifest) -> bool:
    """Whether its containers are started again whenever they end."""
    return bool(spec(pod).get("restartPolicy", "Always") == "Always")


def condition(manifest: Manifest, type: str) -> Mapping[str, Any]:
    """The condition of that type; empty when there is none."""
    return next((one for one in status(manifest).get("conditions") or () if one.get("type") == type), _NOTHING)


def holds(manifest: Manifest, type: str) -> bool:
    """Whether a condition is there and True."""
    return bool(condition(manifest, type).get("status") == "True")


def time(text: str | None) -> datetime | None:
    """RFC 3339 as Kubernetes writes it: seconds, or microseconds."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def created(manifest: Manifest) -> datetime:
    return time(metadata(manifest).get("creationTimestamp")) or _LONG_AGO


def container(pod: Manifest, name: str = MAIN) -> Mapping[str, Any]:
    """What the Pod declares of a container, init containers included."""
    both: Iterable[Mapping[str, Any]] = (*_all(pod, "containers"), *_all(pod, "initContainers"))
    return next((one for one in both if one.get("name") == name), _NOTHING)


def container_status(pod: Manifest, name: str = MAIN) -> Mapping[str, Any]:
    """What kubelet says of a container (``state``, ``lastState``, ``restartCount``); empty before it says anything."""
    return next((one for one in status(pod).get("containerStatuses") or () if one.get("name") == name), _NOTHING)


def init_statuses(pod: Manifest) -> Sequence[Mapping[str, Any]]:
    return status(pod).get("initContainerStatuses") or ()


def state(of: Mapping[str, Any], which: str, *, before: bool = False) -> Mapping[str, Any]:
    """``waiting``, ``running`` or ``terminated`` of a container's state (or the one before), else empty."""
    return (of.get("lastState" if before else "state") or _NOTHING).get(which) or _NOTHING


def event_time(event: Manifest) -> datetime:
    """When it happened last: newer writers fill ``series`` or ``eventTime``, older ones ``lastTimestamp``."""
    series = event.get("series") or _NOTHING
    for text in (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime")):
        if found := time(text):
            return found
    return created(event)


def _all(pod: Manifest, which: str) -> Sequence[Mapping[str, Any]]:
    return spec(pod).get(which) or ()
