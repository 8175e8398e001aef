"""The packages of an image as layers: those that were made before come from the cache, the others are installed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shipway import __version__
from shipway.errors import DependencyFailed
from shipway.image.layer import Compression, Entry, Layer
from shipway.image.layers import venv
from shipway.image.layers.cache import LayerCache
from shipway.image.layers.compress import Compressor, method
from shipway.image.layers.write import with_folders, workers, write
from shipway.image.lock import Package, Resolution
from shipway.image.packages import bytecode as bytecodes
from shipway.image.packages import installed, wheels
from shipway.image.packages.grouping import Group, grouped
from shipway.image.packages.installed import Installed
from shipway.image.platform import Target
from shipway.oci import Layout, disk
from shipway.oci.leases import Lease
from shipway.oci.scratch import scratch
from shipway.transfer import Progress, Report

_FORM = 1  # of the layers; counted up when the same packages are to become other bytes
_NAMED = 20  # packages that a layer's line in the image's history names


@dataclass(frozen=True, slots=True)
class _Making:
    """What the layers of one call have in common."""

    target: Target
    compression: Compression
    lease: Lease
    report: Report
    bytecode: bool


class Installs(Protocol):
    """What puts locked packages below a prefix: :class:`shipway.image.packages.install.Installer`."""

    def install(self, packages: Sequence[Package], target: Target, into: Path) -> None:
        """Make the folder ``into``; see there."""
        ...


class Packages:
    """Makes and remembers the layers of packages. Safe for several builds of a home at once."""

    def __init__(self, installer: Installs, layout: Layout, cache: LayerCache, room: Path) -> None:
        """``room``: a folder on the disk of the home, for what uv installs on the way."""
        self._installer = installer
        self._layout = layout
        self._cache = cache
        self._room = room

    def layers(
        self,
        resolution: Resolution,
        compression: Compression,
        lease: Lease,
        report: Report,
        *,
        runtime_names: frozenset[str],
        sees_base: bool = False,
        bytecode: bool = False,
    ) -> tuple[Layer, ...]:
        """The virtual environment, then a layer for each group of packages, all held by the lease. Blocking.

        Raises UserError for bytecode of another Python than this one, Refused for a wheel with something that no image
        can hold, DependencyFailed when uv fails, EnvironmentFault when the disk is full.
        """
        if bytecode:
            bytecodes.check(resolution.target.python)
        making = _Making(resolution.target, compression, lease, report, bytecode)
        skeleton = venv.skeleton(resolution.target.python, sees_base)
        groups = grouped(resolution.packages, runtime_names)
        layers = {group: self._cache.get(_key(group, making), lease) for group in groups}
        layers |= self._made([group for group, layer in layers.items() if layer is None], making)
        first = write(skeleton, self._layout, lease, compression, "virtual environment")
        return (first, *(layer for layer in layers.values() if layer is not None))

    def _made(self, groups: Sequence[Group], making: _Making) -> Mapping[Group, Layer]:
        if not groups:
            return {}
        with ExitStack() as stack:
            stack.enter_context(disk.faults(f"write to {self._room}"))
            folder = stack.enter_context(scratch(self._room))
            packages = self._installed([one for group in groups for one in group.packages], making, folder)
            compressor = stack.enter_context(Compressor(workers()))
            side_by_side = ThreadPoolExecutor(workers(), thread_name_prefix="layer")
            stack.callback(side_by_side.shutdown, cancel_futures=True)  # one that fails ends those that have not begun
            written = {
                group: side_by_side.submit(self._write, group, packages, making, compressor, folder / f"code-{number}")
                for number, group in enumerate(groups)
            }
            return {group: one.result() for group, one in written.items()}

    def _installed(self, packages: Sequence[Package], making: _Making, folder: Path) -> Mapping[str, Installed]:
        """The packages as uv leaves them. A package whose files cannot be told from another's is installed once more,
        by itself: a layer must hold the same bytes whatever else is installed with it."""
        making.report(Progress("packages", 0, None, note=f"installing {len(packages)}"))
        found = self._install(packages, making, folder / "together")
        strays = installed.strays(folder / "together", found)
        apart = frozenset(found) if strays else installed.contested(found)
        again = {
            one.name: self._install([one], making, folder / f"apart-{one.name}")[one.name]
            for one in packages
            if one.name in apart
        }
        return {**found, **again}

    def _install(self, packages: Sequence[Package], making: _Making, into: Path) -> Mapping[str, Installed]:
        self._installer.install(packages, making.target, into)
        found = installed.read(into)
        lost = sorted({one.name for one in packages} - found.keys())
        if lost:
            raise DependencyFailed(
                f"uv installed {lost[0]} under another name: {', '.join(sorted(found))}",
                next_step="A source distribution whose metadata names another package is broken: ask its authors.",
            )
        return found

    def _write(
        self, group: Group, packages: Mapping[str, Installed], making: _Making, compressor: Compressor, room: Path
    ) -> Layer:
        title = _title(group)
        facts = [wheels.facts_of(packages[one.name], one) for one in group.packages]
        entries = _entries(group, packages, making)
        if making.bytecode:
            entries = bytecodes.compiled(entries, room)
        layer = write(
            with_folders(entries),
            self._layout,
            making.lease,
            making.compression,
            title,
            facts,
            compressor=compressor,
            report=making.report,
        )
        self._cache.put(_key(group, making), layer)
        making.report(Progress(title, layer.descriptor.size, layer.descriptor.size))
        return layer


def _entries(group: Group, packages: Mapping[str, Installed], making: _Making) -> Iterator[Entry]:
    """Of two packages of the group that write one file, the later by name has it, as it would have if pip had
    installed them in this order; of two groups the later layer's."""
    found: dict[str, Entry] = {}
    for package in group.packages:
        for entry in wheels.entries_of(packages[package.name], making.target.python):
            found[entry.name] = entry
    yield from found.values()


def _title(group: Group) -> str:
    names = [f"{one.name} {one.version}" for one in group.packages]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _key(group: Group, making: _Making) -> str:
    """All that decides the bytes of the layer, and the facts beside it. Not the version of uv: what it writes of its
    own stays out of layers."""
    said = {
        "form": _FORM,
        "shipway": __version__,
        "target": str(making.target),
        "compression": method(making.compression),
        "bytecode": bytecodes.method() if making.bytecode else "",
        "packages": [[one.name, one.version, one.file.name, one.file.sha256] for one in group.packages],
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
