"""Data sets come, go, and are looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from shipway.controllers.operations.parts import NewRegistry
from shipway.controllers.operations.pushing import send
from shipway.controllers.operations.requests import LocalPath, PushRequest
from shipway.controllers.recorder import Recorder
from shipway.data import DataFile, DataSets, DataVersion, Difference, Remote
from shipway.kinds import Value
from shipway.kinds.meta import Name
from shipway.oci import Descriptor, Layout
from shipway.oci.cancelling import in_thread
from shipway.oci.reference import Reference
from shipway.oci.registry.missing import missing
from shipway.transfer import Report

SUBJECT = "Data"  # and the name, in the ledger; no kind


class DataAddRequest(Value):
    """Files become the data set's next version: of this machine (``path``), or where a ``uri`` says.

    ``copy``: the files of a URI are kept here too. ``secret``: whose keys are the variables of the store's
    credentials. ``endpoint``: another than the provider's own.
    """

    path: LocalPath | None = None
    uri: Annotated[str, Field(max_length=2048)] | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    keep: bool = False
    secret: Name | None = None
    endpoint: Annotated[str, Field(pattern="^https?://")] | None = None
    plain_http: bool = False

    @model_validator(mode="after")
    def _from_one_place(self) -> Self:
        if (self.path is None) == (self.uri is None):
            raise ValueError("give either path (of this machine) or uri (s3://, gs://, az://, file://)")
        if self.uri is None and (self.keep or self.secret or self.endpoint or self.plain_http):
            raise ValueError("keep, secret, endpoint and plainHttp are for a uri: a path is always kept")
        return self


class DataPullRequest(Value):
    """What a registry holds becomes the data set's next version."""

    reference: str  # HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]
    plain_http: bool = False


class DataWriteRequest(Value):
    """The files of a version go into a folder of this machine; those that are there already stay."""

    path: LocalPath


@dataclass(frozen=True, slots=True)
class DataTransfers:
    """Implements ``api.backend.Data``. Each method may be cancelled or killed at any line and asked for again."""

    sets: DataSets
    layout: Layout
    registry: NewRegistry
    recorder: Recorder

    async def add(self, name: str, asked: DataAddRequest, by: str, report: Report) -> Mapping[str, Any]:
        """Raises UserError, Refused, NotFound, Conflict for what is at the path or the URI, EnvironmentFault."""
        source: Path | Remote = Path(asked.path or "")
        if asked.uri is not None:
            source = Remote(asked.uri, asked.endpoint or "", asked.secret or "", allow_http=asked.plain_http)
        version, new = await in_thread(
            lambda told: self.sets.add(name, source, asked.labels, told, copy=asked.keep), report
        )
        if new:
            self._record(version, "Added", f"was added from {version.source}", by)
        return await self._made(version, new)

    async def pull(self, name: str, asked: DataPullRequest, by: str, report: Report) -> Mapping[str, Any]:
        """Raises UserError, Refused for what is no data set, and what :class:`Registry` raises."""
        reference = Reference.parse(asked.reference)
        with self.layout.lease(f"pull {reference}") as lease:
            async with self.registry(asked.plain_http) as registry:
                with missing(reference):
                    descriptor = await registry.pull(reference, self.layout, lease, report)
            pinned = str(reference.pinned(descriptor.digest))
            version, new = await asyncio.to_thread(self.sets.adopt, name, descriptor, pinned)
        if new:
            self._record(version, "Pulled", f"was pulled from {pinned}", by)
        return await self._made(version, new)

    async def push(self, reference: str, asked: PushRequest, by: str, report: Report) -> Mapping[str, Any]:
        """Send what the registry does not have. Raises NotFound, UserError, and what :class:`Registry` raises."""
        version, descriptor = await asyncio.to_thread(self._found, reference)
        what = f"data {version.name}:{version.number}"
        pinned, tags = await send(self.layout, self.registry, descriptor, asked, version.number, what, report)
        await asyncio.to_thread(self.sets.mark_pushed, version.name, version.number, pinned)
        self._record(version, "Pushed", f"was pushed to {pinned}", by)
        told = {"name": version.name, "version": version.number, "digest": version.digest}
        return {**told, "reference": pinned, "tags": tags}

    async def write(self, reference: str, asked: DataWriteRequest, report: Report) -> Mapping[str, Any]:
        """Raises NotFound, Refused for another file in the way, Conflict for an object that changed, Corrupt."""
        version, descriptor = await asyncio.to_thread(self._found, reference)
        name, folder = f"{version.name}:{version.number}", Path(asked.path)
        with self.layout.lease(f"write data {name}") as lease:
            lease.hold(descriptor.digest)
            there = await in_thread(lambda told: self.sets.write(descriptor, folder, told, what=name), report)
        told = {"name": version.name, "version": version.number, "digest": version.digest, "path": asked.path}
        return {**told, "files": version.files, "bytes": version.size, "there": there}

    def latest(self) -> tuple[DataVersion, ...]:
        """The latest version of every data set."""
        return self.sets.latest()

    def versions(self, name: str) -> tuple[DataVersion, ...]:
        """All of one. Raises NotFound."""
        return self.sets.versions(name)

    def resolve(self, reference: str) -> DataVersion:
        """One. Raises NotFound."""
        return self.sets.resolve(reference)

    def files(self, reference: str) -> tuple[DataFile, ...]:
        """Its files. Raises NotFound."""
        return self.sets.files(reference)

    def difference(self, before: str, after: str) -> Difference:
        """Between two. Raises NotFound."""
        return self.sets.difference(before, after)

    async def remove(self, reference: str, by: str) -> tuple[str, ...]:
        """One version, or all of a data set; which. Raises NotFound."""
        gone = await asyncio.to_thread(self.sets.remove, reference)
        for one in gone:
            self._record(one, "VersionRemoved", "was removed", by)
        return tuple(f"{one.name}:{one.number}" for one in gone)

    def _found(self, reference: str) -> tuple[DataVersion, Descriptor]:
        version = self.sets.resolve(reference)
        return version, self.sets.descriptor(f"{version.name}:{version.number}")

    def _record(self, version: DataVersion, reason: str, what: str, by: str) -> None:
        told = {"version": version.number, "digest": version.digest, "by": by}
        said = f"data set {version.name}:{version.number} {what}"
        self.recorder.ledger(f"{SUBJECT}/{version.name}", reason, said, told)

    async def _made(self, version: DataVersion, new: bool) -> Mapping[str, Any]:
        latest = (await asyncio.to_thread(self.sets.resolve, version.name)).number
        return {
            "name": version.name,
            "version": version.number,
            "digest": version.digest,
            "there": not new,
            "latest": latest,
            "files": version.files,
            "bytes": version.size,
            "kept": version.remote is None,
        }
