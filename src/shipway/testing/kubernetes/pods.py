"""What the kubelet serves through the API server: the logs of containers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shipway.testing.kubernetes.answers import Refusal, bad_request
from shipway.testing.kubernetes.storage import Object, Storage

_Of = tuple[str, str]  # uid of the Pod, container


@dataclass
class Logs:
    """Lines by container, and the ones of its run before. Lines have nanoseconds, so that none has another's time."""

    storage: Storage
    lines: dict[_Of, list[tuple[str, str]]] = field(default_factory=dict)
    earlier: dict[_Of, list[tuple[str, str]]] = field(default_factory=dict)
    _written: int = 0

    def write(self, pod: Object, container: str, text: str, at: datetime) -> None:
        """A container writes a line."""
        self._written += 1
        stamp = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond * 1000 + self._written % 1000:09d}Z"
        self.lines.setdefault((pod["metadata"]["uid"], container), []).append((stamp, text))
        self.storage.wake()

    def restart(self, pod: Object, container: str) -> None:
        """A new run begins a new log."""
        key = (pod["metadata"]["uid"], container)
        self.earlier[key] = self.lines.pop(key, [])

    def read(self, pod: Object, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Lines. Raises Refusal for no such container, and for one that has not started."""
        container = _container_of(pod, query)
        why = _waiting(pod, container)
        if why and query.get("previous") != "true":
            told = f'container "{container}" in pod "{pod["metadata"]["name"]}" is waiting to start: {why}'
            raise bad_request(told)
        key = (pod["metadata"]["uid"], container)
        book = self.earlier if query.get("previous") == "true" else self.lines
        if query.get("previous") == "true" and key not in book:
            told = f'previous terminated container "{container}" in pod "{pod["metadata"]["name"]}" not found'
            raise bad_request(told)
        return self._lines(pod, container, book, query)

    async def _lines(
        self, pod: Object, container: str, book: dict[_Of, list[tuple[str, str]]], query: Mapping[str, str]
    ) -> AsyncIterator[bytes]:
        key = (pod["metadata"]["uid"], container)
        since = query.get("sinceTime", "").removesuffix("Z")
        lines = [one for one in book.get(key, []) if one[0] >= since]
        if (tail := query.get("tailLines")) is not None:
            lines = lines[len(lines) - min(len(lines), int(tail)) :]
        stamps = query.get("timestamps") == "true"
        for stamp, text in lines:
            yield f"{stamp} {text}\n".encode() if stamps else f"{text}\n".encode()
        at = len(book.get(key, []))
        while query.get("follow") == "true":
            for stamp, text in self.lines.get(key, [])[at:]:
                at += 1
                yield f"{stamp} {text}\n".encode() if stamps else f"{text}\n".encode()
            if not self._goes_on(pod, container):
                return
            await self.storage.news(60.0)

    def _goes_on(self, pod: Object, container: str) -> bool:
        metadata = pod["metadata"]
        live = self.storage.objects["pods"].get((metadata["namespace"], metadata["name"]))
        if live is None or live["metadata"]["uid"] != metadata["uid"]:
            return False
        return "running" in state(live, container)


def state(pod: Object, container: str, which: str = "state") -> Mapping[str, object]:
    """``{"running": ...}``, ``{"waiting": ...}``, ``{"terminated": ...}`` or ``{}``."""
    status = pod.get("status", {})
    for one in [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]:
        if one["name"] == container:
            return one.get(which, {})  # type: ignore[no-any-return]
    return {}


def _waiting(pod: Object, container: str) -> str:
    """Why there is no log to read yet; empty when there is."""
    now = state(pod, container)
    if "running" in now or "terminated" in now or "terminated" in state(pod, container, "lastState"):
        return ""
    why = now.get("waiting")
    return str(why["reason"]) if isinstance(why, dict) and "reason" in why else "ContainerCreating"


def _container_of(pod: Object, query: Mapping[str, str]) -> str:
    """Which one is asked for. Raises Refusal."""
    name = query.get("container") or _only(pod)
    known = [one["name"] for one in [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]]
    if name not in known:
        raise bad_request(f"container {name} is not valid for pod {pod['metadata']['name']}")
    return name


def _only(pod: Object) -> str:
    names = [one["name"] for one in pod["spec"]["containers"]]
    if len(names) > 1:
        told = f"a container name must be specified for pod {pod['metadata']['name']}, choose one of: {names}"
        raise Refusal(400, "BadRequest", told)
    return str(names[0])
