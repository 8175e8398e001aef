"""When ``wait`` is over: ``over(object, condition) -> bool``. Pure; objects are JSON as the hub sends it."""

from __future__ import annotations

from collections.abc import Mapping

from shipway.deploy.documents import FINAL, Key, Object, condition, key_of
from shipway.deploy.progress import Failure
from shipway.deploy.result import failure_text
from shipway.errors import NotFound, WorkloadFailed


def found(kind: str, name: str, objects: Mapping[Key, Object]) -> Object:
    """The object that is waited for. Raises NotFound."""
    if (kind, name) not in objects:
        raise NotFound(f"there is no {kind} {name!r}")
    return objects[kind, name]


def over(obj: Object, type_: str) -> bool:
    """Whether the condition (empty: that of the kind) is true. Raises WorkloadFailed when it cannot become true."""
    judged = condition(obj, _wanted(obj, type_))
    if judged.get("observedGeneration") != obj["metadata"]["generation"]:
        return False
    if judged["status"] == "False" and judged["type"] in FINAL.values():
        tail = obj.get("status", {}).get("tail", "")
        raise WorkloadFailed(failure_text(Failure(key_of(obj), judged["reason"], judged.get("message", ""), tail)))
    return bool(judged["status"] == "True")


def too_late(obj: Object, type_: str, timeout: float | None) -> WorkloadFailed:
    """The error when the time is over: how the condition stands."""
    (kind, name), wanted = key_of(obj), _wanted(obj, type_)
    judged = condition(obj, wanted)
    stands = f": {judged['status']}, {judged['reason']}: {judged.get('message', '')}" if judged else ""
    return WorkloadFailed(f"{kind}/{name} is not {wanted} after {timeout:g} s{stands}", next_step="it goes on")


def _wanted(obj: Object, type_: str) -> str:
    return type_ or FINAL.get(obj["kind"], "Ready")
