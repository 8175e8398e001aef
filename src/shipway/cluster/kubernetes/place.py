"""What rendering has to know of a cluster: a value, found by `check` and by the cluster's declaration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Place:
    """Where objects are made, and with what.

    ``model`` and ``inputs`` of a bundle are digests; ``references`` says where the nodes find each of them in the
    registry. ``secrets``: name to keys and values, for what the workload's ``secret_env`` names. ``outputs`` is the
    repository that results of jobs are pushed to.
    """

    namespace: str
    owner: str  # the hub's id, as label value
    courier: str = ""  # image, by digest
    outputs: str = ""  # "ghcr.io/team/outputs"
    plain_http: bool = False
    pull_secret: str = ""
    push_secret: str = ""
    image_volumes: bool = False
    references: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}), repr=False)
