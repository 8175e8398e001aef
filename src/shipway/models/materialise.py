"""Materials: artifacts as read-only folders, made once and shared by all workloads of this machine."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from shipway.errors import Corrupt, NotFound, Refused
from shipway.models import artifact, modelpack, snapshots
from shipway.oci import Descriptor, Digest, Layout, Manifest, disk
from shipway.oci.tar import Limits
from shipway.oci.unpack import LIMITS, Folders, checked_name, extract, is_tar, write
from shipway.transfer import Progress, Report, silent

Writer = Callable[[Layout, Descriptor, Path], None]
"""Writes the files of an artifact below an empty folder: plain files and folders, nothing outside of it."""


def unpack(
    layout: Layout, manifest: Manifest, folder: Path, report: Report = silent, *, limits: Limits = LIMITS
) -> None:
    """Write the files of a model or snapshot below ``folder``, verified; what they hold is :mod:`shipway.oci.unpack`'s
    to refuse. Raises Refused, Corrupt, EnvironmentFault; then some files may be there."""
    for layer in manifest.layers:
        if layer.media_type.endswith(".raw"):
            _write_raw(layout, layer, folder, limits)
        elif is_tar(layer.media_type):
            with layout.open_blob(layer) as blob:
                extract(blob, layer.media_type, folder, _limits_of(layer, manifest, limits))
        else:
            allowed = ".raw, .tar, .tar+gzip and .tar+zstd"
            raise Refused(f"layers of type {layer.media_type} cannot be unpacked: allowed are {allowed}")
        report(Progress(modelpack.file_of(layer) or layer.digest, layer.size, layer.size))


def write_files(layout: Layout, descriptor: Descriptor, folder: Path, writers: Mapping[str, Writer]) -> None:
    """Write the files of an artifact of any type below ``folder``: by the writer for its type, else as :func:`unpack`
    does, and raising as that does."""
    # Of the bytes, not of the index's entry: another tool may have left the type out there.
    writer = writers.get(layout.read_artifact(descriptor).artifact_type or "")
    if writer is not None:
        writer(layout, descriptor, folder)
    else:
        unpack(layout, artifact.opened(layout, descriptor), folder)


def _write_raw(layout: Layout, layer: Descriptor, folder: Path, limits: Limits) -> None:
    name = checked_name(layer.annotations.get(modelpack.FILEPATH, ""))
    if not name:
        raise Corrupt(f"the layer {layer.digest} does not say which file it is ({modelpack.FILEPATH})")
    with layout.open_blob(layer) as blob:
        target = Folders(folder, limits).of(name)
        write(blob, target, executable=modelpack.metadata_of(layer).executable)


def _limits_of(layer: Descriptor, manifest: Manifest, limits: Limits) -> Limits:
    """What a layer says of the size of its files is a limit too. Of a folder others say the size of its entry."""
    said = modelpack.metadata_of(layer)
    if said.size is None or (said.is_folder and not modelpack.is_ours(manifest)):
        return limits
    return replace(limits, expanded=min(limits.expanded, said.size))


class Materials:
    """Implements ``ports.Artifacts``: ``cache/artifacts/<hex>`` holds the files, ``<hex>.json`` their stamps.

    ``writers`` write what is neither a model nor a snapshot, by the type of the artifact.

    Bytes are verified while a folder is made; afterwards sizes and ctimes are: a job may have written into its input,
    and that time, unlike mtime, cannot be set back. A folder that lost, got or changed a file is made again, and so
    is one of an earlier boot: it was not flushed (that would cost a millisecond a file), and a power cut may have
    left it with the right sizes and no content.
    """

    def __init__(self, layout: Layout, cache: Path, writers: Mapping[str, Writer] | None = None) -> None:
        self._layout = layout
        self._root = cache / "artifacts"
        self._writers = dict(writers or {})
        self._boot = _boot_id()

    def materialise(self, digest: str) -> Path:
        """The folder of a snapshot, a model version or a data set; made once, also when several processes ask.

        Raises NotFound, Corrupt, Refused (what no folder should hold), EnvironmentFault (disk full).
        """
        wanted = Digest(digest)
        folder = self._root / wanted.hex
        if self._is_whole(folder):
            return folder
        descriptor = self._find(wanted)
        with self._layout.lease(f"write the files of {wanted}") as lease:
            lease.hold(wanted)  # a version that is removed meanwhile is written to its end
            with disk.faults(f"write the files of {wanted} to {self._root}"):
                self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
                with disk.locked(folder.with_suffix(".lock")):
                    if not self._is_whole(folder):
                        self._make(descriptor, folder)
        return folder

    def _find(self, digest: Digest) -> Descriptor:
        index = self._layout.index()
        descriptor = index.tags.get(snapshots.tag_of(digest)) or index.find(digest)
        if descriptor is None:
            raise NotFound(
                f"there is no snapshot, no model version and no data set with the digest {digest}",
                next_step="Run the command that made it again, or see `shipway models` and `shipway data`.",
            )
        return descriptor

    def _make(self, descriptor: Descriptor, folder: Path) -> None:
        # Whoever holds the lock is the only one: a ".part" is of a process that was killed.
        part, marker = folder.with_suffix(".part"), folder.with_suffix(".json")
        marker.unlink(missing_ok=True)
        remove(part)
        part.mkdir(mode=0o700)
        write_files(self._layout, descriptor, part, self._writers)
        _make_read_only(part)
        remove(folder)  # not before: a job that reads it now misses it for a moment only
        part.rename(folder)
        new = folder.with_suffix(".new")
        # Last: a chmod or a link of a file changes its ctime; that its folder is renamed does not.
        new.write_text(json.dumps({"boot": self._boot, "files": _stamps(folder)}))
        new.replace(marker)

    def _is_whole(self, folder: Path) -> bool:
        try:
            marker = json.loads(folder.with_suffix(".json").read_bytes())
            return folder.is_dir() and marker == {"boot": self._boot, "files": _stamps(folder)}
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return False


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # not Linux
        return ""


def _stamps(folder: Path) -> dict[str, list[int]]:
    """Whatever is not a folder, a link too: name to size and ctime in nanoseconds."""
    found = ((path.relative_to(folder).as_posix(), path.lstat()) for path in folder.rglob("*"))
    return {name: [one.st_size, one.st_ctime_ns] for name, one in found if not stat.S_ISDIR(one.st_mode)}


def _make_read_only(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o500 if path.is_dir() or path.stat().st_mode & 0o100 else 0o400)


def remove(folder: Path) -> None:
    """Remove a folder that was made read-only. Idempotent."""
    if not folder.exists():
        return
    for path in [folder, *(path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink())]:
        path.chmod(0o700)  # the files of a read-only folder can be removed by root alone
    shutil.rmtree(folder)
