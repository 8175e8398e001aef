"""Export: a version is written outside of the home, as files or as other tools of OCI read it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from shipway.controllers.operations.parts import Parts
from shipway.controllers.operations.requests import ExportRequest
from shipway.errors import Refused, UserError
from shipway.models import artifact, materialise
from shipway.oci import Descriptor, Layout, archive, disk
from shipway.oci.cancelling import in_thread
from shipway.oci.leases import Lease
from shipway.oci.tree import blobs
from shipway.transfer import Report

_MARKER_NAME: Final = "oci-layout"
_FORCE: Final = "Take another path, or say --force to replace what is there."


async def export(parts: Parts, name: str, ref: str, asked: ExportRequest, report: Report) -> Mapping[str, Any]:
    """Write a version to a path of this machine. Raises NotFound, Refused for what is there already (without
    ``force``), UserError where nothing can be written, EnvironmentFault when the disk is full."""
    version, descriptor = await parts.version(name, ref)
    path, tag = Path(asked.path), f"{name}:{version.number}"
    export = _Export(parts.layout, descriptor, path, tag, asked.force)
    size = await in_thread(partial(export.write, _FORMS[asked.form]), report)
    told = {"name": name, "version": version.number, "digest": version.digest}
    return {**told, "path": str(path), "form": asked.form, "bytes": size}


class _Export:
    """One version on its way to one place."""

    def __init__(self, layout: Layout, descriptor: Descriptor, path: Path, tag: str, force: bool) -> None:
        self._layout = layout
        self._descriptor = descriptor
        self._path = path
        self._part = path.parent / f".{path.name}.part"  # fixed: the next export removes what a killed one left
        self._tag = tag
        self._force = force

    def write(self, form: Callable[[_Export, Report], int], report: Report) -> int:
        """Write it in that form; bytes that were written. What is there changes at the end, or not at all."""
        if not self._path.name or not self._path.parent.is_dir():
            raise UserError(f"{self._path} cannot be written: there is no folder {self._path.parent}")
        with disk.faults(f"write {self._path}"), self._layout.lease(f"export {self._tag}") as lease:
            lease.hold(self._descriptor.digest)  # somebody may remove the version meanwhile
            self._clear()
            try:
                return form(self, report)
            finally:
                self._clear()

    def files(self, report: Report) -> int:
        """The model's files, into a folder."""
        path = self._path
        free = not path.exists() or (path.is_dir() and not any(path.iterdir()))
        if not free and not (self._force and path.is_dir()):
            raise Refused(f"{path} is there, and not an empty folder", next_step=_FORCE)
        self._part.mkdir()
        materialise.unpack(self._layout, artifact.opened(self._layout, self._descriptor), self._part, report)
        found = [one for one in self._part.rglob("*") if one.is_file()]
        size = sum(one.stat().st_size for one in found)
        if free:
            self._part.rename(path)
            return size
        for file in found:
            target = path / file.relative_to(self._part)
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)
        return size

    def archive(self, report: Report) -> int:
        """An OCI layout in a tar, which skopeo calls oci-archive."""
        if self._path.exists() and not (self._force and self._path.is_file()):
            raise Refused(f"{self._path} is there", next_step=_FORCE)
        size = archive.write(self._layout, self._descriptor, self._tag, self._part, report)
        self._part.replace(self._path)
        return size

    def layout(self, report: Report) -> int:
        """An OCI layout; one that is there gets the version besides what it has."""
        path, size = self._path, 0
        if path.exists() and not path.is_dir():
            raise Refused(f"{path} is there, and no folder", next_step="Take another path.")
        if path.exists() and any(path.iterdir()) and not (path / _MARKER_NAME).is_file():
            raise Refused(f"{path} is there, and no OCI layout", next_step="Take another path.")
        target = Layout(path)
        known = target.tags().get(self._tag)
        if known is not None and known.digest != self._descriptor.digest and not self._force:
            raise Refused(f"{path} has another {self._tag}", next_step=_FORCE)
        with target.lease(f"export {self._tag}") as lease:
            for one in blobs(self._layout, self._descriptor):
                self._copy(one, target, lease, report)
                size += one.size
            if known is None or known.digest != self._descriptor.digest:
                target.tag(self._descriptor, self._tag)  # else it stays: a home says there that it made the version
            for one in self._layout.referrers(self._descriptor.digest):
                for blob in blobs(self._layout, one):
                    self._copy(blob, target, lease, report)
                target.attach_bytes(self._layout.read_blob(one), one.media_type, lease=lease)
        return size

    def _copy(self, one: Descriptor, target: Layout, lease: Lease, report: Report) -> None:
        lease.hold(one.digest)
        if not target.has_blob(one):
            with self._layout.open_blob(one) as blob:
                target.put_blob(archive.heard(blob, one, report), one.media_type, expected=one.digest, lease=lease)

    def _clear(self) -> None:
        if self._part.is_dir():
            shutil.rmtree(self._part)
        else:
            self._part.unlink(missing_ok=True)


_FORMS: Mapping[str, Callable[[_Export, Report], int]] = {
    "files": _Export.files,
    "archive": _Export.archive,
    "layout": _Export.layout,
}
