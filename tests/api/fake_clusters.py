"""What the join does with clusters: keeps what it was asked for, and answers what a test wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shipway.kinds import ClusterSpec, Object

FINDING = {"name": "rights", "state": "missing", "message": "create Pods is forbidden", "nextStep": "ask for it"}


@dataclass
class FakeClusters:
    """``asked`` has a line for each call; ``fault`` is raised by the next one."""

    asked: list[tuple[Any, ...]] = field(default_factory=list)
    fault: Exception | None = None

    async def check(self, spec: ClusterSpec, name: str) -> Sequence[Mapping[str, Any]]:
        self._note("check", name, spec.namespace)
        return [FINDING]

    async def claim(self, name: str, *, take_over: bool, by: str) -> Mapping[str, Any]:
        self._note("claim", name, take_over, by)
        return {"owner": "0123456789ab", "before": "ffffffffffff" if take_over else ""}

    async def diff(self, objects: Sequence[Object]) -> Sequence[Mapping[str, Any]]:
        self._note("diff", *(one.key for one in objects))
        return [{"object": "prod: Deployment/d", "field": "spec.replicas", "from": 1, "to": 2}]

    async def forward(self, service: str) -> int:
        self._note("forward", service)
        return 41234

    async def undo(self, service: str, *, to: str, by: str) -> Mapping[str, Any]:
        self._note("undo", service, to, by)
        return {
            "service": service,
            "from": "d-00002",
            "to": to or "d-00001",
            "generation": 3,
            "changed": [],
            "message": "",
        }

    def _note(self, *call: Any) -> None:
        self.asked.append(call)
        if self.fault is not None:
            raise self.fault
