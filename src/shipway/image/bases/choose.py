"""Which image of an index is for a platform. Pure.

Source: OCI image-spec v1.1.1, image-index.md ("platform", "variant").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipway.errors import Refused
from shipway.image.platform import Platform
from shipway.oci import Descriptor, Index

LEVELS = 4  # of indexes within indexes

# Best first. What needs more than the least of an architecture (amd64/v3) does not run everywhere.
_VARIANTS = {"amd64": ("", "v1"), "arm64": ("", "v8")}


def choose(index: Index, platform: Platform, name: str) -> Descriptor:
    """The entry for the platform. Raises Refused with the platforms that there are."""
    wanted = _VARIANTS[platform.architecture]
    fitting = sorted(
        (wanted.index(variant), at)
        for at, (system, architecture, variant) in enumerate(map(_platform, index.manifests))
        if (system, architecture) == ("linux", platform.architecture) and variant in wanted
    )
    if fitting:
        return index.manifests[fitting[0][1]]
    # An index of one that says nothing: its config says it.
    if len(index.manifests) == 1 and "platform" not in index.manifests[0].extra:
        return index.manifests[0]
    there = sorted({_written(one) for one in index.manifests} - {""})
    raise Refused(
        f"the base {name} is not there for {platform}",
        next_step=f"It is there for {', '.join(there)}." if there else "Its index says nothing of platforms.",
    )


def check(config: Mapping[str, Any], platform: Platform, name: str) -> None:
    """Refused when an image's config says that it is for another platform."""
    said = f"{config.get('os')}/{config.get('architecture')}"
    if said != str(platform):
        raise Refused(
            f"the base {name} is for {said}, not for {platform}",
            next_step=f"Name a base for {platform}, or build with --platform {said}.",
        )


def _platform(entry: Descriptor) -> tuple[str, str, str]:
    found = entry.extra.get("platform")
    said = found if isinstance(found, Mapping) else {}
    system, architecture, variant = (said.get(one) for one in ("os", "architecture", "variant"))
    return str(system or ""), str(architecture or ""), str(variant or "")


def _written(entry: Descriptor) -> str:
    """As a person reads it; "" for what is no image (BuildKit lists its attestations as unknown/unknown)."""
    system, architecture, variant = _platform(entry)
    if not system or system == "unknown":
        return ""
    return "/".join(filter(None, (system, architecture, variant)))
