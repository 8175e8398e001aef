"""Where an image goes when it is built: a tag of the layout, a registry, a file; several of them at once.

Model: ko's ``pkg/publish`` (an interface with one method; ``multi`` is our :class:`Tee`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from shipway.errors import Refused, UserError
from shipway.image.names import tag_of
from shipway.oci import Descriptor, Layout, archive, disk
from shipway.oci.cancelling import in_thread
from shipway.transfer import Report


class Publisher(Protocol):
    """What makes an image known under a name."""

    async def publish(self, name: str, descriptor: Descriptor) -> tuple[str, ...]:
        """Let ``name`` (``digits:latest``) stand for the image; where other programs find it now. Idempotent.

        The caller holds the image in a lease.
        """
        ...


class Tagged:
    """Names it in the layout, which keeps it."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    async def publish(self, name: str, descriptor: Descriptor) -> tuple[str, ...]:
        """``oci:/home/me/.local/state/shipway/oci:image/digits:latest``, as podman and skopeo take it."""
        tag = tag_of(name)
        with self._layout.edit() as edit:
            known = edit.index.tags.get(tag)
            if known is None or known.digest != descriptor.digest:  # else it stays: it says where the image was pushed
                edit.index = edit.index.with_tag(tag, descriptor)
        return (f"oci:{self._layout.root}:{tag}",)


class Archived:
    """Writes it to a tar that ``podman load`` and ``skopeo copy oci-archive:`` take. A file that is there is replaced
    when the new one is whole."""

    def __init__(self, layout: Layout, path: Path, report: Report) -> None:
        self._layout, self._path, self._report = layout, path, report

    async def publish(self, name: str, descriptor: Descriptor) -> tuple[str, ...]:
        """``oci-archive:/tmp/digits.tar``. Raises UserError, Refused, and EnvironmentFault when the disk is full."""
        path = self._path
        if not path.parent.is_dir():
            raise UserError(f"{path} cannot be written: there is no folder {path.parent}")
        if path.is_dir():
            raise Refused(f"{path} is a folder", next_step="Name a file: --tar digits.tar")
        part = path.with_name(f".{path.name}.part")
        with disk.faults(f"write {path}"):
            part.unlink(missing_ok=True)  # what a killed one left
            try:
                await in_thread(
                    lambda report: archive.write(self._layout, descriptor, name, part, report), self._report
                )
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
        return (f"oci-archive:{path.absolute()}",)


class Tee:
    """Publishes by all of them, in their order."""

    def __init__(self, publishers: Sequence[Publisher]) -> None:
        self._publishers = tuple(publishers)

    async def publish(self, name: str, descriptor: Descriptor) -> tuple[str, ...]:
        """Every place where it is now; none of them when a publisher fails before its turn."""
        return tuple([place for one in self._publishers for place in await one.publish(name, descriptor)])
