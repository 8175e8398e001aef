"""FakeKubernetes: an API server for tests that speaks the real protocol, and fails as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from shipway.testing.kubernetes.access import Access
from shipway.testing.kubernetes.faults import Faults
from shipway.testing.kubernetes.handling import Asked, Handling
from shipway.testing.kubernetes.pods import Logs
from shipway.testing.kubernetes.reads import Reads
from shipway.testing.kubernetes.schema import Kind, schema
from shipway.testing.kubernetes.storage import Object, Storage, clone
from shipway.testing.kubernetes.writes import Target, Writes

LOOPBACK = "127.0.0.1"
WRITING = ("create", "update", "patch", "delete", "deletecollection")


def _wall_clock() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - this is a server, whose objects have times that others compare


class FakeKubernetes:
    """``async with FakeKubernetes() as server``: plain HTTP on 127.0.0.1, in this event loop; in memory.

    ``faults`` lets requests fail, ``access`` says who may what, ``schema`` which kinds and fields there are.
    ``requests`` are all requests so far. The verbs below write as the controllers of a cluster would, without HTTP.
    """

    def __init__(self, *, version: str = "v1.36.2", now: Callable[[], datetime] = _wall_clock) -> None:
        self.now = now
        self.schema = schema()
        self.storage = Storage()
        self.writes = Writes(self.schema, self.storage, now)
        self.reads = Reads(self.storage)
        self.logs = Logs(self.storage)
        self.faults = Faults()
        self.access = Access()
        self.requests: list[Asked] = []
        self.port = 0
        major, minor, _ = version.removeprefix("v").split(".")
        about = {"major": major, "minor": minor, "gitVersion": version, "platform": "linux/amd64"}
        self._handling = Handling(self, about)
        self._runner = web.ServerRunner(
            web.Server(self._handling, handler_cancellation=True), shutdown_timeout=0.1, handle_signals=False
        )
        for namespace in ("default", "kube-system"):
            self.create("namespaces", {"metadata": {"name": namespace}})

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await self.back()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.away()
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Of the API server."""
        return f"http://{LOOPBACK}:{self.port}"

    def kubeconfig(self, folder: Path, namespace: str = "default") -> Path:
        """Written to a folder; its only context is ``fake``."""
        path = folder / "fake.kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "fake", "user": {"token": self.access.token}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake", "namespace": namespace}}],
            "current-context": "fake",
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(document, indent=1))
        return path

    async def away(self) -> None:
        """Refuse connections, and end the ones that are open: as an API server that was killed."""
        for site in list(self._runner.sites):
            await site.stop()
        server = self._runner.server
        for connection in list(server.connections) if server else ():
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(0)

    async def back(self) -> None:
        """Listen again, on the same port."""
        site = web.TCPSite(self._runner, LOOPBACK, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    def namespace(self, name: str, **labels: str) -> str:
        """A new one; ``enforce="restricted"`` is a Pod Security label."""
        levels = {f"pod-security.kubernetes.io/{mode}": level for mode, level in labels.items()}
        self.create("namespaces", {"metadata": {"name": name, "labels": levels}})
        return name

    def offer(self, group: str, version: str, plural: str, kind: str, *, namespaced: bool = True) -> None:
        """One more kind, as a CustomResourceDefinition or metrics-server brings it."""
        self.schema.add(Kind(group, version, plural, kind, namespaced))

    def get(self, plural: str, name: str, namespace: str = "") -> Object | None:
        """A copy of an object, or None."""
        return clone(self.storage.get(self.schema.named(plural), namespace, name))  # type: ignore[no-any-return]

    def peek(self, plural: str, namespace: str = "") -> Sequence[Object]:
        """All of a kind as they are stored: not to be changed."""
        return self.storage.items(self.schema.named(plural), namespace)

    def list(self, plural: str, namespace: str = "") -> list[Object]:
        """Copies of all of a kind."""
        return clone(self.storage.items(self.schema.named(plural), namespace))  # type: ignore[no-any-return]

    def create(self, plural: str, obj: Object, namespace: str = "", *, manager: str = "controllers") -> Object:
        """A new object. Raises Refusal."""
        kind = self.schema.named(plural)
        made = self.writes.create(Target(kind, namespace, obj["metadata"].get("name", ""), manager), obj)
        return clone(made)  # type: ignore[no-any-return]

    def change(
        self,
        plural: str,
        name: str,
        how: Callable[[Object], None],
        namespace: str = "",
        *,
        subresource: str = "",
        manager: str = "controllers",
    ) -> Object:
        """Change an object in place (its status by ``subresource="status"``). Raises Refusal."""
        target = Target(self.schema.named(plural), namespace, name, manager, subresource)
        return clone(self.writes.change(target, how))  # type: ignore[no-any-return]

    def delete(self, plural: str, name: str, namespace: str = "", **options: Any) -> None:
        """With DeleteOptions as keywords (``gracePeriodSeconds=0``). Raises Refusal."""
        self.writes.delete(Target(self.schema.named(plural), namespace, name, "controllers"), options)

    def compact(self) -> None:
        """Forget all changes: each watch that goes on from before is told 410 Expired, each page too."""
        self.reads.forget()
        self.storage.compact()
        self.storage.wake()

    def count(self, verb: str = "", path: str = "") -> int:
        """How many requests of that verb, with that in their path, came so far."""
        return sum(verb in ("", one.verb) and path in one.path for one in self.requests)

    def written(self) -> Mapping[str, int]:
        """How many requests that write came so far, by verb; dry runs are none."""
        writing = [
            one.verb
            for one in self.requests
            if one.verb in WRITING and not one.query.get("dryRun") and "reviews" not in one.path
        ]
        return {verb: writing.count(verb) for verb in writing}
