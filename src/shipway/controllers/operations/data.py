"""Data sets come, go, and are looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from shipway.controllers.operations.cancelling import in_thread
from shipway.controllers.operations.parts import NewRegistry
from shipway.controllers.operations.pushing import targets_of
from shipway.controllers.operations.requests import LocalPath, PushRequest
from shipway.data import DataFile, DataSets, DataVersion, Difference, Remote
from shipway.kinds import Value
from shipway.kinds.meta import Name
from shipway.oci import Layout
from shipway.oci.reference import Reference
from shipway.transfer import Report


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

    async def add(self, name: str, asked: DataAddRequest, report: Report) -> Mapping[str, Any]:
        """Raises UserError, Refused, NotFound, Conflict for what is at the path or the URI, EnvironmentFault."""
        source: Path | Remote = Path(asked.path or "")
        if asked.uri is not None:
            source = Remote(asked.uri, asked.endpoint or "", asked.secret or "", allow_http=asked.plain_http)
        version, new = await in_thread(
            lambda told: self.sets.add(name, source, asked.labels, told, copy=asked.keep), report
        )
        return self._made(version, new)

    async def pull(self, name: str, asked: DataPullRequest, report: Report) -> Mapping[str, Any]:
        """Raises UserError, Refused for what is no data set, and what :class:`Registry` raises."""
        reference = Reference.parse(asked.reference)
        with self.layout.lease(f"pull {reference}") as lease:
            async with self.registry(asked.plain_http) as registry:
                descriptor = await registry.pull(reference, self.layout, lease, report)
            pinned = str(reference.pinned(descriptor.digest))
            version, new = await asyncio.to_thread(self.sets.adopt, name, descriptor, pinned)
        return self._made(version, new)

    async def push(self, reference: str, asked: PushRequest, report: Report) -> Mapping[str, Any]:
        """Send what the registry does not have. Raises NotFound, UserError, and what :class:`Registry` raises."""
        version = self.sets.resolve(reference)
        descriptor = self.sets.descriptor(f"{version.name}:{version.number}")
        targets = targets_of(asked, version.number)
        with self.layout.lease(f"push data {version.name}:{version.number}") as lease:
            lease.hold(descriptor.digest)  # somebody may remove the version meanwhile
            async with self.registry(asked.plain_http) as registry:
                for target in targets:
                    await registry.push(self.layout, descriptor, target, report, referrers=asked.referrers)
        pinned = str(targets[0].pinned(descriptor.digest))
        await asyncio.to_thread(self.sets.mark_pushed, version.name, version.number, pinned)
        told = {"name": version.name, "version": version.number, "digest": version.digest}
        return {**told, "reference": pinned, "tags": [one.tag for one in targets]}

    async def write(self, reference: str, asked: DataWriteRequest, report: Report) -> Mapping[str, Any]:
        """Raises NotFound, Refused for another file in the way, Conflict for an object that changed, Corrupt."""
        version = self.sets.resolve(reference)
        name = f"{version.name}:{version.number}"
        descriptor = self.sets.descriptor(name)
        folder = Path(asked.path)
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

    def remove(self, reference: str) -> tuple[str, ...]:
        """One version, or all of a data set; which. Raises NotFound."""
        return self.sets.remove(reference)

    def _made(self, version: DataVersion, new: bool) -> Mapping[str, Any]:
        latest = self.sets.resolve(version.name).number
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
