"""What differs from one image to another: layers, packages, files, and what they run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipway.building.images.opened import Image
from shipway.building.images.packages import installed
from shipway.building.images.parts import Part
from shipway.building.images.shown import runs
from shipway.image.papers import system
from shipway.image.view import Stat, View
from shipway.oci import Descriptor


def compared(before: Image, after: Image, platform: str | None) -> Mapping[str, Any]:
    """All that differs between two images for one platform. Raises NotFound for a platform that one lacks, Corrupt."""
    old, new = before.part(platform), after.part(platform)
    first, second = before.view(old), after.view(new)
    return {
        "before": _named(before, old),
        "after": _named(after, new),
        "same": old.descriptor.digest == new.descriptor.digest,
        "size": {"before": old.size, "after": new.size},
        "base": _change("base", _base(old), _base(new)),
        "layers": _layers(old, new),
        "packages": _changes(_packages(first), _packages(second)),
        "systemPackages": _changes(_system(first), _system(second)),
        "config": _changes(_flat(runs(old)), _flat(runs(new))),
        "files": _files(first, second),
    }


def _named(image: Image, part: Part) -> dict[str, str]:
    return {"name": image.name, "platform": part.platform, "digest": part.descriptor.digest}


def _base(part: Part) -> str:
    return " ".join(filter(None, part.base))


def _layers(old: Part, new: Part) -> dict[str, list[dict[str, Any]]]:
    """Those of both, and those of one only, in their order."""
    first, second = _created(old), _created(new)
    return {
        "shared": [_layer(one, second[one]) for one in second if one in first],
        "removed": [_layer(one, first[one]) for one in first if one not in second],
        "added": [_layer(one, second[one]) for one in second if one not in first],
    }


def _created(part: Part) -> dict[Descriptor, str]:
    return dict(zip(part.manifest.layers, part.commands, strict=True))


def _layer(one: Descriptor, created_by: str) -> dict[str, Any]:
    return {"digest": one.digest, "size": one.size, "createdBy": created_by}


def _packages(view: View) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in installed(view):
        found[one.name] = f"{found[one.name]}, {one.version}" if one.name in found else one.version
    return found


def _system(view: View) -> dict[str, str]:
    return {one.name: one.version for one in system.read(view).packages}


def _flat(config: Mapping[str, Any]) -> dict[str, str]:
    """Variables and labels one by one: a list of twenty that differs in one says little."""
    found: dict[str, str] = {}
    for name, value in config.items():
        if name == "env" and isinstance(value, list):
            found |= {f"env {key}": text for key, _, text in (str(one).partition("=") for one in value)}
        elif isinstance(value, Mapping):
            found |= {f"{name} {key}": str(text) for key, text in value.items()}
        else:
            found[name] = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return found


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[dict[str, Any]]:
    names = sorted(before.keys() | after.keys())
    changes = (_change(name, before.get(name), after.get(name)) for name in names)
    return [one for one in changes if one is not None]


def _change(name: str, before: str | None, after: str | None) -> dict[str, Any] | None:
    return None if before == after else {"name": name, "before": before, "after": after}


def _files(before: View, after: View) -> list[dict[str, Any]]:
    """Files and links that differ, by path; sizes in bytes, None where there is none."""
    first, second = ({one.path: one for one in view.walk() if one.kind != "folder"} for view in (before, after))
    return [
        {"path": path, "before": _size(first.get(path)), "after": _size(second.get(path))}
        for path in sorted(first.keys() | second.keys())
        if _content(first.get(path)) != _content(second.get(path))
    ]


def _content(one: Stat | None) -> tuple[Any, ...] | None:
    return None if one is None else (one.kind, one.digest, one.target, one.executable)


def _size(one: Stat | None) -> int | None:
    return None if one is None else one.size
