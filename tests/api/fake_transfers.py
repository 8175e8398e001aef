"""Transfers that move nothing: what was asked is kept, and every answer is the same."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from shipway.errors import NotFound
from shipway.kinds import Value
from shipway.transfer import Progress, Report

DIGEST = "sha256:" + "0" * 64


class FakeTransfers:
    """``asked``: the verb, what it names, the body, and who. A model ``nobody`` is not there; one that is called
    ``endless`` never ends, and ``cancelled`` is set when it is given up."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Value | None, str]] = []
        self.cancelled = asyncio.Event()

    async def pull(self, name: str, asked: Value, by: str, report: Report) -> Mapping[str, Any]:
        return await self._done("pull", name, asked, by, report)

    async def add_files(self, name: str, asked: Value, by: str, report: Report) -> Mapping[str, Any]:
        return await self._done("import", name, asked, by, report)

    async def push(self, name: str, ref: str, asked: Value, by: str, report: Report) -> Mapping[str, Any]:
        return await self._done("push", f"{name}:{ref}", asked, by, report)

    async def export(self, name: str, ref: str, asked: Value, report: Report) -> Mapping[str, Any]:
        return await self._done("export", f"{name}:{ref}", asked, "", report)

    async def verify(self, name: str, ref: str, report: Report) -> Mapping[str, Any]:
        return await self._done("verify", f"{name}:{ref}", None, "", report)

    async def verify_remote(self, asked: Value, report: Report) -> Mapping[str, Any]:
        return await self._done("verify", "a registry", asked, "", report)

    async def _done(self, verb: str, what: str, asked: Value | None, by: str, report: Report) -> Mapping[str, Any]:
        self.asked.append((verb, what, asked, by))
        report(Progress("model.onnx", 1, 1))
        if what.startswith("nobody"):
            raise NotFound("there is no model 'nobody'")
        if what.startswith("endless"):
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        version = {"name": what.partition(":")[0], "version": 1, "digest": DIGEST, "format": "onnx", "size": 1}
        made = {"there": False, "champion": True, "trusted": False}
        went = {"reference": "r", "tags": [], "form": "files", "path": "/x", "bytes": 1}
        verified = {"what": what, "blobs": 1, "damage": [], "signatures": []}
        return {**version, **made, **went, **verified}
