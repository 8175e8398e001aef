"""The home and the registries, as commands that work in their own process open them: without a hub, or beside one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from shipway.oci import Layout, disk
from shipway.oci import cipher as ciphers
from shipway.settings import Settings


@dataclass(frozen=True)
class Place:
    """The layout of a home, opened when it is asked for, and the folder for what can be made again.

    Whichever is asked for first makes the home, its owner's only.
    """

    where: Settings

    @cached_property
    def layout(self) -> Layout:
        """Raises Refused when it is encrypted with another key, Corrupt, EnvironmentFault."""
        self._make_home()
        return Layout(self.where.oci, ciphers.of_file(self.where.encryption_key))

    @cached_property
    def cache(self) -> Path:
        """``HOME/cache/image``: what is known of layers by their digests. Raises EnvironmentFault."""
        self._make_home()
        return self.where.cache / "image"

    def _make_home(self) -> None:
        with disk.faults(f"make the home {self.where.home}"):
            self.where.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.where.cache.mkdir(mode=0o700, exist_ok=True)
