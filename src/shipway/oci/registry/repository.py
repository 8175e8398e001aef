"""One repository of one registry, as a place to send requests to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

from shipway.oci.digest import Digest
from shipway.oci.reference import Reference
from shipway.oci.registry.limits import Limits
from shipway.oci.registry.transport import Body, Headers, Request, Transport
from shipway.transfer import Progress, Report, silent


@dataclass(frozen=True, slots=True)
class Repository:
    """Requests to ``host/name`` with the rights for ``scopes``; what the registry warns of goes to ``report``."""

    transport: Transport
    host: str
    name: str
    report: Report = silent
    scopes: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, transport: Transport, reference: Reference, actions: str = "pull", report: Report = silent) -> Self:
        """The repository of a reference."""
        scope = f"repository:{reference.repository}:{actions}"
        return cls(transport, reference.registry, reference.repository, report, frozenset({scope}))

    @property
    def limits(self) -> Limits:
        return self.transport.limits

    def also(self, name: str, actions: str = "pull") -> Self:
        """The same with rights in another repository too."""
        return replace(self, scopes=self.scopes | {f"repository:{name}:{actions}"})

    def manifest(self, name: str) -> str:
        """The URL of a manifest, by tag or digest."""
        return self.url(f"manifests/{name}")

    def blob(self, digest: Digest) -> str:
        """The URL of a blob."""
        return self.url(f"blobs/{digest}")

    def url(self, path: str) -> str:
        """A URL below the repository."""
        return f"{self.transport.base(self.host)}/v2/{self.name}/{path}"

    def request(
        self,
        method: str,
        url: str,
        headers: Headers | None = None,
        body: Body | None = None,
        *,
        most: int | None = None,
        patience: float | None = None,
    ) -> Request:
        """A request; ``most`` bytes of its answer are read."""
        request = Request(method, self.host, url, self.scopes, headers or {}, body, patience=patience, warn=self._warn)
        return request if most is None else replace(request, most=most)

    def _warn(self, text: str) -> None:
        self.report(Progress(self.host, 0, 0, text))
