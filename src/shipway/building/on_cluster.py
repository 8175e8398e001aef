"""The images of a project's workloads for a cluster, pushed to the registry that its nodes read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from shipway import settings
from shipway.building.asked import Asked, Goals
from shipway.building.build import Outcome, build
from shipway.building.place import Place
from shipway.errors import PlatformError, UserError
from shipway.image.locking import Mode
from shipway.image.platform import Platform
from shipway.oci.reference import Reference
from shipway.transfer import Report

DEFAULT_PLATFORMS = ("linux/amd64",)  # while nobody has looked at the nodes


@dataclass(frozen=True, slots=True)
class Wanted:
    """Images for one cluster. ``workloads``: ``job/NAME`` and ``service/NAME``, of the project ``file``; ``platforms``:
    of the nodes, as ``linux/amd64``."""

    file: Path
    workloads: tuple[str, ...]
    registry: str
    plain_http: bool = False
    base: str = ""
    platforms: tuple[str, ...] = ()
    mode: Mode = "keep"


def images(wanted: Wanted, report: Report) -> Mapping[str, str]:
    """Built and pushed to ``REGISTRY/NAME``; by workload the image by digest. What did not change is neither made nor
    sent again, and has the digest that it had. Credentials are this process's. Locks as ``shipway build`` has them:
    ``pylock.NAME.toml`` beside the project's file.

    Raises what :func:`shipway.building.build.build` raises.
    """
    asked = Asked(
        wanted.file,
        only=wanted.workloads,
        base=wanted.base,
        platforms=_platforms(wanted.platforms),
        mode=wanted.mode,
        any_version=True,
        goals=_goals(wanted.registry, plain_http=wanted.plain_http),
    )
    outcomes = _built(asked, wanted.registry, report)
    return {name: _pinned(one) for name, one in zip(wanted.workloads, outcomes, strict=True)}


def courier_image(
    registry: str, *, plain_http: bool, platforms: tuple[str, ...] = (), base: str = "", report: Report
) -> str:
    """The courier, built and pushed to ``REGISTRY/shipway-courier``: its reference by digest. Raises as above."""
    asked = Asked(
        Path(),
        name="shipway-courier",
        base=base,
        platforms=_platforms(platforms),
        courier=True,
        goals=_goals(registry, plain_http=plain_http),
    )
    return _pinned(_built(asked, registry, report)[0])


def _goals(registry: str, *, plain_http: bool) -> Goals:
    """Only the cluster's own registry was said to speak HTTP: bases come from others, with the caller's credentials."""
    return Goals(push="", plain_http=registry.partition("/")[0] if plain_http else None)


def _platforms(names: tuple[str, ...]) -> tuple[Platform, ...]:
    return tuple(Platform.parse(one) for one in names or DEFAULT_PLATFORMS)


def _built(asked: Asked, registry: str, report: Report) -> tuple[Outcome, ...]:
    if not registry:
        raise UserError("the cluster names no registry", next_step="Add it again, with --registry HOST/TEAM.")
    where = replace(settings.read(), registry=registry)
    return build(asked, Place(where), settings.inherited(), report)


def _pinned(one: Outcome) -> str:
    """Without its tag: the digest alone says what runs, and a tag beside it would only look as if it did."""
    for place in one.places:
        if "@sha256:" in place and not place.startswith("oci"):
            reference = Reference.parse(place)
            return str(replace(reference, tag=None))
    raise PlatformError(f"{one.names[0]} was pushed, and no registry is among its places: {', '.join(one.places)}")
