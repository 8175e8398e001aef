"""What a hub and a registry would know of a project, and here is said by options or found in the home."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from shipway.kinds import ResolvedModel


@dataclass(frozen=True, slots=True)
class Model:
    """A version of a model, and where the nodes of a cluster find it: a reference by digest."""

    resolved: ResolvedModel
    reference: str


class Known(Protocol):
    """What is found without being told."""

    def image(self, name: str) -> str:
        """Where the image of that name was pushed, by digest; "" where nothing is known of it."""
        ...

    def model(self, reference: str) -> Model | None:
        """The version that ``NAME``, ``NAME:2`` or ``NAME:champion`` is, when it was pushed somewhere. Raises NotFound
        where there are versions, and not that one."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options. ``only``: KIND/NAME, all without one; ``images``: by NAME or KIND/NAME of the workload;
    ``models``: by name of the model."""

    only: tuple[str, ...] = ()
    images: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""  # empty: objects have none, and whoever applies them says it
    registry: str = ""  # where results of jobs go
    courier: str = ""  # the image that brings models into Pods and takes results away; empty: models are image volumes
    pull_secret: str = ""
