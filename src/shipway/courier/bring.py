"""What a Pod needs before its command starts: models, inputs and data sets in their folders; the launcher of jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Self

from shipway.clock import SystemClock
from shipway.courier.patience import Patience, Say
from shipway.data import ARTIFACT_TYPE, Access, DataSets, ObjectStores
from shipway.errors import UserError
from shipway.models import materialise
from shipway.oci import Descriptor, Layout, disk
from shipway.oci.reference import Reference
from shipway.oci.registry import Registry
from shipway.oci.registry.threads import in_thread


@dataclass(frozen=True, slots=True)
class Item:
    """An artifact, by digest, and the folder that gets its files."""

    reference: Reference
    folder: Path

    @classmethod
    def parse(cls, text: str) -> Self:
        """``ghcr.io/team/digits@sha256:...=/model``. Raises UserError."""
        reference, equals, folder = text.rpartition("=")
        if not equals or not folder.startswith("/"):
            raise UserError(f"{text!r} is no item: write REFERENCE=FOLDER, with an absolute path")
        parsed = Reference.parse(reference)
        if parsed.digest is None:
            raise UserError(f"{reference} has no digest: what a tag names may be another thing tomorrow")
        return cls(parsed, Path(folder))


async def bring(
    items: Sequence[Item],
    state: Path,
    new_registry: Callable[[], Registry],
    say: Say,
    *,
    environment: Mapping[str, str] = MappingProxyType({}),
    patience: Patience | None = None,
) -> None:
    """Put each item into its folder, verified and read-only; what lay there goes. Blobs lie in ``state`` meanwhile,
    which is gone afterwards. Run again, it does all of it again: a container that is started anew finds half of it.

    ``environment``: variables by which an object store is reached, where a data set was left in one.

    Raises Refused for what no folder should hold, Corrupt, EnvironmentFault (disk full), and what a registry raises.
    """
    for reference in dict.fromkeys(one.reference for one in items):
        await in_thread(_remove, state)
        layout = await in_thread(Layout, state)

        async def pulled(reference: Reference = reference, layout: Layout = layout) -> Descriptor:
            async with new_registry() as registry:
                with layout.lease(f"bring {reference}") as lease:
                    return await registry.pull(reference, layout, lease)

        found = await (patience or Patience()).persist(f"pull {reference}", pulled, say)
        for folder in (one.folder for one in items if one.reference == reference):
            await in_thread(_write, layout, found, folder, environment)
            say(f"{reference} is at {folder}")
    await in_thread(_remove, state)


def install(launcher: Path) -> None:
    """Put the launcher of jobs there (:mod:`shipway.runtime.launch`, a file of its own). Idempotent."""
    with disk.faults(f"write {launcher}"):
        launcher.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = launcher.with_suffix(".part")
        # Read as a file: nothing of the platform imports the body that runs in workloads.
        part.write_bytes((resources.files("shipway") / "runtime" / "launch.py").read_bytes())
        part.chmod(0o444)
        part.replace(launcher)


def _write(layout: Layout, descriptor: Descriptor, folder: Path, environment: Mapping[str, str]) -> None:
    with disk.faults(f"write the files of {descriptor.digest} to {folder}"):
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        for one in folder.iterdir():  # the folder itself is where a volume is mounted
            _remove(one)
        # A data set that was left in an object store is read from there, by the Pod's own rights.
        sets = DataSets(layout, SystemClock(), ObjectStores(Access(environment, lambda _: {})))
        materialise.write_files(layout, descriptor, folder, {ARTIFACT_TYPE: sets.materialise})
        for path in folder.rglob("*"):
            path.chmod(0o555 if path.is_dir() or path.stat().st_mode & 0o100 else 0o444)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        materialise.remove(path)
    else:
        path.unlink(missing_ok=True)
