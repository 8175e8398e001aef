"""One request to an API server, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Self


@dataclass(frozen=True, slots=True)
class Call:
    """``verb`` and ``what`` are the words of Kubernetes' rights ("create", "deployments.apps"), for messages.

    ``again``: to do it twice is as good as once, so it may be tried again when nobody knows whether it was done.
    ``attempts``: at most so many tries. ``stream``: the answer is read for so many seconds (0: without end), and
    not at once.
    """

    verb: str
    what: str
    method: str
    path: str
    namespace: str = ""
    name: str = ""
    params: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    body: bytes | None = field(default=None, repr=False)  # may hold a Secret
    content_type: str = ""
    again: bool = False
    stream: float | None = None
    attempts: int = 5

    def sending(self, body: bytes, content_type: str) -> Self:
        return replace(self, body=body, content_type=content_type)

    def __str__(self) -> str:
        """For messages: ``get deployments.apps "digits" in namespace "ml"``."""
        name = f' "{self.name}"' if self.name else ""
        place = f' in namespace "{self.namespace}"' if self.namespace else ""
        return f"{self.verb} {self.what}{name}{place}"
