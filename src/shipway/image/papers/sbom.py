"""The bill of materials of an image, in CycloneDX 1.6: every wheel, the base with its packages, Shipway itself. Pure.

The same image has the same bytes: no time, and a serial number that is made of the image's digest.
Sources: CycloneDX 1.6 (bom-1.6.schema.json); package-url, purl-types (``pypi``, ``deb``, ``oci``); PEP 508 for markers.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

from shipway import __version__
from shipway.errors import UserError
from shipway.image.bases import Base
from shipway.image.layer import Layer, PackageFacts
from shipway.image.papers.system import System, SystemPackage
from shipway.image.platform import Target
from shipway.oci import Descriptor, Digest
from shipway.oci.manifest import canonical
from shipway.oci.reference import Reference

MEDIA_TYPE = "application/vnd.cyclonedx+json"
LAYER = "dev.shipway:layer"  # property of a component: the digest of the image's layer in which it lies
UNPACKED = "dev.shipway:size"  # and its bytes there

_LONGEST = 200  # characters of a licence's name: some authors write all of its text

_Component = dict[str, Any]


def cyclonedx(
    name: str,
    image: Descriptor,
    base: Base,
    layers: Sequence[Layer],
    *,
    asked: Iterable[str] = (),
    system: System = System(),  # noqa: B008 - frozen
    body: bool = True,
) -> bytes:
    """The document for the image of that name and digest.

    ``layers`` are those above the base, ``asked`` the requirements that somebody wrote (of the lock), ``system`` what
    the base's own package manager says; ``body``: Shipway's runtime lies in the image.
    """
    wheels = [(one, layer.descriptor.digest) for layer in layers for one in layer.packages]
    whole = _container(name, str(image.digest), _oci(name, image.digest, None))
    below = _container(base.public_name or "base", str(base.manifest.digest), _oci(*_said(base)))
    own = [_shipway()] if body else []
    installed = [_deb(one, system) for one in system.packages]
    graph = _graph([one for one, _ in wheels], tuple(asked), base.target)
    direct = [one["bom-ref"] for one in (below, *own)]
    depends = {
        whole["bom-ref"]: [*direct, *graph.pop("")],
        below["bom-ref"]: [one["bom-ref"] for one in installed],
        **{one["bom-ref"]: [] for one in (*own, *installed)},
        **graph,
    }
    components = [below, *own, *(_wheel(one, digest) for one, digest in wheels), *installed]
    return canonical(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{MEDIA_TYPE}:{image.digest}')}",
            "version": 1,
            "metadata": {
                "component": whole,
                "tools": {"components": [{"type": "application", "name": "shipway", "version": __version__}]},
            },
            "components": components,
            "dependencies": [
                {"ref": ref, **({"dependsOn": sorted(set(names))} if names else {})}
                for ref, names in sorted(depends.items())
            ],
        }
    )


def purl(name: str, version: str, wheel: str = "") -> str:
    """The package URL of a wheel: ``pkg:pypi/numpy@2.4.6?file_name=numpy-2.4.6-py3-none-any.whl``."""
    file_name = f"?file_name={_quoted(wheel)}" if wheel else ""
    return f"pkg:pypi/{canonicalize_name(name)}@{_quoted(version)}{file_name}"


def _wheel(one: PackageFacts, layer: Digest) -> _Component:
    ref = purl(one.name, one.version, one.wheel)
    properties = [{"name": LAYER, "value": str(layer)}, {"name": UNPACKED, "value": str(one.size)}]
    return {
        "type": "library",
        "bom-ref": ref,
        "name": one.name,
        "version": one.version,
        "purl": ref,
        **({"hashes": [{"alg": "SHA-256", "content": one.sha256}]} if one.sha256 else {}),
        **_licences(one.licence),
        "properties": properties,
    }


def _licences(said: str) -> dict[str, Any]:
    """As an SPDX expression when it is one, else as the name that its author gave."""
    text = next((line.strip() for line in said.splitlines() if line.strip()), "")
    if not text:
        return {}
    try:
        return {"licenses": [{"expression": canonicalize_license_expression(text)}]}
    except InvalidLicenseExpression:
        return {"licenses": [{"license": {"name": text[:_LONGEST]}}]}


def _container(name: str, version: str, ref: str) -> _Component:
    hashes = [{"alg": "SHA-256", "content": version.removeprefix("sha256:")}]
    return {"type": "container", "bom-ref": ref, "name": name, "version": version, "purl": ref, "hashes": hashes}


def _shipway() -> _Component:
    ref = purl("shipway", __version__)
    licence = [{"expression": "Apache-2.0"}]
    return {
        "type": "library",
        "bom-ref": ref,
        "name": "shipway",
        "version": __version__,
        "purl": ref,
        "licenses": licence,
    }


def _deb(one: SystemPackage, system: System) -> _Component:
    release = f"{system.distribution}-{system.release}" if system.release else system.distribution
    qualifiers = {"arch": one.architecture, "distro": release, "upstream": one.source}
    said = "&".join(f"{key}={_quoted(value)}" for key, value in qualifiers.items() if value)
    place = f"pkg:deb/{_quoted(system.distribution)}/{_quoted(one.name)}@{_quoted(one.version)}"
    ref = f"{place}?{said}" if said else place
    return {"type": "library", "bom-ref": ref, "name": one.name, "version": one.version, "purl": ref}


def _said(base: Base) -> tuple[str, Digest, str | None]:
    """Name, digest and repository of a base; a path of somebody's machine is no name of it."""
    name = base.public_name or "base"
    try:
        reference = Reference.parse(name)
    except UserError:  # it is made here, or was a file
        return name.partition(":")[0], base.manifest.digest, None
    repository = f"{reference.registry}/{reference.repository}"
    return reference.repository.rpartition("/")[2], base.manifest.digest, repository


def _oci(name: str, digest: Digest, repository: str | None) -> str:
    where = f"?repository_url={_quoted(repository)}" if repository else ""
    return f"pkg:oci/{_quoted(name.lower())}@{_quoted(str(digest))}{where}"


def _quoted(text: str) -> str:
    # As packageurl-python writes it: no name or version of a wheel, a Debian package or a digest has a slash.
    return quote(text, safe="-._~:/")


# -- who needs whom


def _graph(facts: Sequence[PackageFacts], asked: Sequence[str], target: Target) -> dict[str, list[str]]:
    """Of each package those that it needs; under ``""`` those that were asked for, all when nobody says which."""
    refs = {canonicalize_name(one.name): purl(one.name, one.version, one.wheel) for one in facts}
    needs = {canonicalize_name(one.name): tuple(_requirements(one.requires)) for one in facts}
    wanted = [one for one in _requirements(asked) if _holds(one, frozenset(), target)]
    extras = _extras(wanted, needs, target)
    direct = [refs[name] for one in wanted if (name := canonicalize_name(one.name)) in refs]
    graph = {
        refs[name]: [
            refs[needed]
            for one in lines
            if (needed := canonicalize_name(one.name)) in refs and needed != name and _holds(one, extras[name], target)
        ]
        for name, lines in needs.items()
    }
    return {**graph, "": direct or list(refs.values())}


def _extras(
    wanted: Iterable[Requirement], needs: Mapping[NormalizedName, Sequence[Requirement]], target: Target
) -> dict[NormalizedName, frozenset[str]]:
    """Which extras of each package somebody asks for."""
    found: dict[NormalizedName, frozenset[str]] = dict.fromkeys(needs, frozenset())
    waiting = [*wanted, *(one for lines in needs.values() for one in lines if _holds(one, frozenset(), target))]
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        if name not in found or found[name] >= one.extras:
            continue
        found[name] |= one.extras
        waiting += [other for other in needs[name] if other.extras and _holds(other, found[name], target)]
    return found


def _requirements(lines: Iterable[str]) -> Iterator[Requirement]:
    for line in lines:
        try:
            yield Requirement(line)
        except InvalidRequirement:  # an old wheel, or an option of a requirements file
            continue


def _holds(one: Requirement, extras: frozenset[str], target: Target) -> bool:
    if one.marker is None:
        return True
    where = target.markers()
    return any(one.marker.evaluate({**where, "extra": extra}) for extra in ("", *extras))
