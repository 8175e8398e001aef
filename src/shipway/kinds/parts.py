"""The parts that several kinds share: sources, environment values, resources, probes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shipway.kinds.meta import DigestStr, EnvName, Name, Value
from shipway.kinds.quantity import Cpu, Memory, Seconds


class Source(Value):
    """A set of files of the project folder.

    The user writes ``files`` (globs, relative to the folder of shipway.yaml; a leading ``!``
    excludes); the CLI takes the snapshot and writes ``digest``. From there on only the digest counts.
    """

    files: tuple[str, ...] = ("**",)
    digest: DigestStr | None = None


class SecretRef(Value):
    """One key of a secret that ``shipway secret set NAME KEY`` stored."""

    name: Name
    key: EnvName


class FromSecret(Value):
    """An environment value that comes from the secret store, never from YAML."""

    secret: SecretRef


EnvVars = dict[EnvName, str | FromSecret]


class Resources(Value):
    """Limits of one replica. What a cluster cannot enforce it reports, it does not ignore it silently."""

    cpu: Cpu | None = None
    memory: Memory | None = None
    gpu: Annotated[int, Field(ge=0)] = 0
    gpu_resource: str = "nvidia.com/gpu"  # what a cluster calls them: amd.com/gpu, nvidia.com/mig-1g.5gb
    extended: dict[str, Annotated[int, Field(ge=0)]] = {}  # other extended resources of a cluster, by name
    ephemeral: Memory | None = None  # of the node's disk


class Probe(Value):
    """How to ask a replica whether it lives or is ready: HTTP GET on ``path``; without one, TCP connect."""

    path: str | None = None
    period: Seconds = 1.0
    timeout: Seconds = 1.0
    failure_threshold: Annotated[int, Field(ge=1)] = 3
