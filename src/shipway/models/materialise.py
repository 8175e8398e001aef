"""Materials: artifacts as read-only folders, made once and shared by all workloads of this machine."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

from shipway.errors import Corrupt, NotFound, Refused
from shipway.models import modelpack, snapshots
from shipway.oci import Descriptor, Digest, Layout, Manifest, disk
from shipway.oci.digest import CHUNK
from shipway.snapshot import checked_name, extract_tar


class Materials:
    """Implements ``ports.Artifacts``: ``cache/artifacts/<hex>`` holds the files, ``<hex>.json`` their stamps.

    Bytes are verified while a folder is made; afterwards sizes and ctimes are: a job may have written into its input,
    and that time, unlike mtime, cannot be set back. A folder that lost, got or changed a file is made again, and so
    is one of an earlier boot: it was not flushed (that would cost a millisecond a file), and a power cut may have
    left it with the right sizes and no content.
    """

    def __init__(self, layout: Layout, cache: Path) -> None:
        self._layout = layout
        self._root = cache / "artifacts"
        self._boot = _boot_id()

    def materialise(self, digest: str) -> Path:
        """The folder of a snapshot or of a model version; made once, also when several processes ask.

        Raises NotFound, Corrupt, Refused (names that leave the folder), EnvironmentFault (disk full).
        """
        wanted = Digest(digest)
        folder = self._root / wanted.hex
        if self._is_whole(folder):
            return folder
        manifest = self._find(wanted)
        with disk.faults(f"write the files of {wanted} to {self._root}"):
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with disk.locked(folder.with_suffix(".lock")):
                if not self._is_whole(folder):
                    self._make(manifest, folder)
        return folder

    def _find(self, digest: Digest) -> Manifest:
        index = self._layout.index()
        descriptor = index.tags.get(snapshots.tag_of(digest)) or index.find(digest)
        if descriptor is None:
            raise NotFound(
                f"there is no snapshot and no model version with the digest {digest}",
                next_step="Run the command that made it again, or see `shipway models`.",
            )
        return self._layout.read_manifest(descriptor)

    def _make(self, manifest: Manifest, folder: Path) -> None:
        # Whoever holds the lock is the only one: a ".part" is of a process that was killed.
        part, marker = folder.with_suffix(".part"), folder.with_suffix(".json")
        marker.unlink(missing_ok=True)
        _remove(part)
        part.mkdir(mode=0o700)
        for layer in manifest.layers:
            self._write(layer, part)
        _make_read_only(part)
        _remove(folder)  # not before: a job that reads it now misses it for a moment only
        part.rename(folder)
        new = folder.with_suffix(".new")
        # Last: a chmod or a link of a file changes its ctime; that its folder is renamed does not.
        new.write_text(json.dumps({"boot": self._boot, "files": _stamps(folder)}))
        new.replace(marker)

    def _write(self, layer: Descriptor, folder: Path) -> None:
        if layer.media_type.endswith(".tar"):
            with self._layout.open_blob(layer) as blob:
                extract_tar(blob, folder)
            return
        if not layer.media_type.endswith(".raw"):
            raise Refused(f"layers of type {layer.media_type} cannot be unpacked: allowed are .raw and .tar")
        name = checked_name(layer.annotations.get(modelpack.FILEPATH, ""))
        if not name:
            raise Corrupt(f"the layer {layer.digest} does not say which file it is ({modelpack.FILEPATH})")
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._layout.open_blob(layer) as blob, target.open("xb") as out:
            shutil.copyfileobj(blob, out, CHUNK)
        target.chmod(0o700 if modelpack.is_executable(layer) else 0o600)

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


def _remove(folder: Path) -> None:
    if not folder.exists():
        return
    for path in [folder, *(path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink())]:
        path.chmod(0o700)  # the files of a read-only folder can be removed by root alone
    shutil.rmtree(folder)
