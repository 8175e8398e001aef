"""All that a build works with, joined for one run of the command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import astuple
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from uv import find_uv_bin

from shipway.building import git
from shipway.building.place import Place
from shipway.building.workloads import Planned
from shipway.image.bases import Base, Bases
from shipway.image.build import Builder
from shipway.image.layer import Layer
from shipway.image.layered import Layered
from shipway.image.layers.cache import LayerCache
from shipway.image.listing import keep
from shipway.image.locking import LockFolder, Mode
from shipway.image.packages.install import Installer
from shipway.image.packages.layers import Packages
from shipway.image.packages.resolve import Resolver
from shipway.image.papers.system import System, SystemPackage, read
from shipway.image.recorded import Recorded
from shipway.image.view import View
from shipway.oci import Digest, disk
from shipway.oci.leases import Lease
from shipway.packages.pip_reader import PipReader
from shipway.transfer import Report

if TYPE_CHECKING:
    from shipway.oci.registry import Registry

_FORM = 1  # of what is kept of a base's packages


class Hits(LayerCache):
    """A cache that remembers what it had."""

    def __init__(self, folder: Path, place: Place) -> None:
        super().__init__(folder, place.layout)
        self.digests: set[Digest] = set()

    def get(self, key: str, lease: Lease) -> Layer | None:
        layer = super().get(key, lease)
        if layer is not None:
            self.digests.add(layer.descriptor.digest)
        return layer


class Tools:
    """What does the work, for one run of the command: everything that it makes is in ``lease`` until it has a name."""

    def __init__(
        self, place: Place, lease: Lease, report: Report, inherited: Mapping[str, str], plain_http: bool | str | None
    ) -> None:
        """``inherited`` is the environment of programs that are called, ``plain_http`` as :class:`Registry` has it."""
        self.place, self.lease, self.report = place, lease, report
        self.inherited, self._plain_http = inherited, plain_http
        self.hits = Hits(place.cache / "layers", place)
        self.bases = Bases(place.layout, self.registry, place.cache, inherited)
        self.room = place.cache / "room"
        self._pips: dict[tuple[tuple[str, str], ...], PipReader] = {}  # asking pip takes a third of a second
        with disk.faults(f"make {self.room}"):
            self.room.mkdir(mode=0o700, parents=True, exist_ok=True)

    def registry(self) -> AbstractAsyncContextManager[Registry]:
        """A client of registries."""
        # HTTP takes 0.2 s to import, and a rebuild, which has a second in all, asks no registry.
        client = import_module("shipway.oci.registry")
        made: AbstractAsyncContextManager[Registry] = client.Registry(
            client.DockerCredentials(self.place.where.docker_config), plain_http=self._plain_http
        )
        return made

    def resolver(self, pip: Mapping[str, str]) -> Resolver:
        """What chooses packages; ``pip`` are variables for pip and uv over the caller's."""
        return Resolver(*self._uv(pip), self.room)

    def locks(self, folder: Path, mode: Mode) -> LockFolder:
        """The locks of a folder."""
        return LockFolder(folder, self.resolver({}), mode, self.report)

    def builder(self, locks: LockFolder, pip: Mapping[str, str], plan: Planned) -> Builder:
        """What builds with these locks, and records what the plan says beside its recipe."""
        layout = self.place.layout
        packages = Packages(Installer(*self._uv(pip), self.room), layout, self.hits, self.room)
        layered = Layered(layout, self.lease, self.report, self.bases, locks, packages, self.place.cache / "views")
        return Recorded(layered, layout, self.lease, self._system, plan.inputs, git.commit(plan.folder))

    def _uv(self, pip: Mapping[str, str]) -> tuple[Path, PipReader, Mapping[str, str]]:
        inherited = {**self.inherited, **pip}
        reader = self._pips.setdefault(tuple(sorted(pip.items())), PipReader(inherited))
        return Path(find_uv_bin()), reader, inherited

    def _system(self, base: Base) -> System:
        """What a base's package manager says, read once: it stands in a layer of 30 MB."""
        path = self.place.cache / "systems" / f"{base.manifest.digest.hex}.json"
        try:
            form, distribution, release, rows = json.loads(path.read_bytes())
            if form == _FORM:
                return System(distribution, release, tuple(SystemPackage(*row) for row in rows))
        except (OSError, ValueError, TypeError):
            pass  # not there, or the rest of a full disk: it is read again
        found = read(View(self.place.layout, base.layers, self.place.cache / "views"))
        rows = [astuple(one) for one in found.packages]
        keep(path, json.dumps([_FORM, found.distribution, found.release, rows]))
        return found
