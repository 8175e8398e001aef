"""Transfers: the one object through which versions come, go, and are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shipway.controllers.operations import exporting, importing, pulling, pushing, verifying
from shipway.controllers.operations.parts import Parts
from shipway.controllers.operations.requests import (
    ExportRequest,
    ImportRequest,
    PullRequest,
    PushRequest,
    RemoteVerifyRequest,
)
from shipway.transfer import Report


@dataclass(frozen=True, slots=True)
class Transfers:
    """Each method may be cancelled or killed at any line and asked for again."""

    parts: Parts

    async def pull(self, name: str, asked: PullRequest, by: str, report: Report) -> Mapping[str, Any]:
        """A registry's version becomes the model's next one."""
        return await pulling.pull(self.parts, name, asked, by, report)

    async def add_files(self, name: str, asked: ImportRequest, by: str, report: Report) -> Mapping[str, Any]:
        """Files of this machine become the model's next version."""
        return await importing.add_files(self.parts, name, asked, by, report)

    async def push(self, name: str, ref: str, asked: PushRequest, by: str, report: Report) -> Mapping[str, Any]:
        """A version goes to a registry."""
        return await pushing.push(self.parts, name, ref, asked, by, report)

    async def export(self, name: str, ref: str, asked: ExportRequest, report: Report) -> Mapping[str, Any]:
        """A version is written outside of the home."""
        return await exporting.export(self.parts, name, ref, asked, report)

    async def verify(self, name: str, ref: str, report: Report) -> Mapping[str, Any]:
        """A version is read again."""
        return await verifying.verify(self.parts, name, ref, report)

    async def verify_remote(self, asked: RemoteVerifyRequest, report: Report) -> Mapping[str, Any]:
        """What a registry holds is looked at."""
        return await verifying.verify_remote(self.parts, asked, report)
