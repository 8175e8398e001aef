"""What the home of this machine knows of images and models: its layout remembers where it pushed them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from shipway.clock import SystemClock
from shipway.errors import NotFound
from shipway.image.names import LATEST, tag_of
from shipway.kinds import CHAMPION, ResolvedModel
from shipway.models import Versions
from shipway.oci import Layout
from shipway.oci import cipher as ciphers
from shipway.oci.descriptor import Descriptor
from shipway.oci.pushed import pushed
from shipway.oci.reference import Reference
from shipway.rendering.world import Known, Model


def home(oci: Path, encryption_key: Path | None, registry: str = "") -> Known:
    """What the layout at ``oci`` knows; nothing where there is none, and none is made for a look. ``registry``: of
    several places where something was pushed, one that begins so."""
    return Home(Layout(oci, ciphers.of_file(encryption_key)), registry) if oci.is_dir() else Nowhere()


class Nowhere:
    """There is no home: all is to be said."""

    def image(self, name: str) -> str:
        return ""

    def model(self, reference: str) -> Model | None:
        return None


class Home:
    """Looks into a layout."""

    def __init__(self, layout: Layout, registry: str) -> None:
        self._layout = layout
        self._registry = registry.rstrip("/")

    def image(self, name: str) -> str:
        found = self._layout.tags().get(tag_of(f"{name}:{LATEST}"))
        return self._place(found) if found is not None else ""

    def model(self, reference: str) -> Model | None:
        name, _, ref = reference.partition(":")
        versions = Versions(self._layout, SystemClock())
        numbers = versions.numbers(name)
        if not numbers:
            return None
        aliases = {"latest": max(numbers), **versions.aliases(name)}
        number = int(ref) if ref.isdecimal() else aliases.get(ref or CHAMPION, 0 if ref else max(numbers))
        if number not in numbers:
            there = ", ".join(f"{name}:{one}" for one in sorted(numbers)[-10:])
            raise NotFound(f"model {reference}: this home has no such version", next_step=f"It has: {there}.")
        place = self._place(numbers[number])
        if not place:
            return None
        [version] = versions.list(name, (number,))
        resolved = ResolvedModel(
            name=name,
            version=number,
            digest=version.digest,
            format=version.format,
            origin=version.origin,
            trusted=version.trusted,
        )
        return Model(resolved, place)

    def _place(self, entry: Descriptor) -> str:
        """The newest of the places, without its tag: the digest alone says what runs."""
        places = [one for one in pushed(entry) if one.startswith(f"{self._registry}/" if self._registry else "")]
        for one in reversed(places):
            reference = Reference.parse(one)
            if reference.digest is not None:
                return str(replace(reference, tag=None))
        return ""
