"""The bill of materials of an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shipway.building.images.opened import Image
from shipway.errors import NotFound, UserError
from shipway.image.papers import referrers, sbom
from shipway.oci import document as documents


def billed(image: Image, platform: str | None) -> bytes:
    """The CycloneDX document beside an image for a platform, as it stands there. Raises NotFound, Corrupt."""
    part = image.part(platform)
    data = referrers.find(image.layout, part.descriptor, sbom.MEDIA_TYPE)
    if data is None:
        raise NotFound(
            f"nothing lies beside {image.name} ({part.platform}) that says what is in it",
            next_step="Images that `shipway build` makes have one; `shipway image show` reads the layers of any image.",
        )
    return data


def listed(data: bytes) -> list[dict[str, str]]:
    """The components of a CycloneDX document, of any tool: name, version, kind, licence and package URL of each; "-"
    for what it does not say. Raises UserError when it is none."""
    try:
        components = documents.read(data).get("components")
    except ValueError as error:
        raise UserError(f"the bill of materials cannot be read: {error}") from error
    found = components if isinstance(components, list) else []
    return [_row(one) for one in found if isinstance(one, Mapping)]


def _row(one: Mapping[str, Any]) -> dict[str, str]:
    said = {key: str(one.get(key) or "-") for key in ("name", "version", "purl")}
    kind, _, _ = said["purl"].removeprefix("pkg:").partition("/")
    kinds = {"pypi": "Python", "deb": "Debian", "oci": "base", "-": str(one.get("type") or "-")}
    return {**said, "kind": kinds.get(kind, kind), "licence": ", ".join(_licences(one.get("licenses"))) or "-"}


def _licences(said: Any) -> Iterator[str]:
    for one in said if isinstance(said, list) else ():
        if isinstance(one, Mapping):
            named = one.get("license")
            inner = named if isinstance(named, Mapping) else {}
            text = one.get("expression") or inner.get("id") or inner.get("name")
            if isinstance(text, str):
                yield text
