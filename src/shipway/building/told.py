"""What a build made, as data: what ``-o json`` prints, and what the text is made of. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from shipway.building.build import Outcome
from shipway.image.build import Built
from shipway.oci import Digest


def told(one: Outcome) -> Mapping[str, Any]:
    """One image. Sizes are bytes as they travel; ``size`` is what the image adds to its base."""
    first = one.image.platforms[0]
    return {
        "image": one.names[0],
        "names": list(one.names),
        "digest": str(one.image.descriptor.digest),
        "places": list(one.places),
        "platforms": [_platform(built, one.cached) for built in one.image.platforms],
        "base": {"name": first.base.name, "digest": str(first.base.manifest.digest)} if first.base else None,
        "lock": str(one.lock) if first.resolution is not None else None,
        "leftOut": [{"name": name, "why": why} for name, why in one.planned.left_out],
        "notes": list(one.planned.notes),
        "run": run_line(one),
    }


def run_line(one: Outcome) -> str:
    """How the image is run: by its digest in a registry where it was pushed, else out of the layout."""
    pushed = [place for place in one.places if "@sha256:" in place]
    reference = pushed[0] if pushed else one.places[-1]
    ports = (port.partition("/")[0] for port in one.image.platforms[0].recipe.runs.ports if port.endswith("/tcp"))
    published = "".join(f"-p 127.0.0.1:{port}:{port} " for port in ports)
    return f"podman run --rm {published}{shlex.quote(reference)}"


def _platform(built: Built, cached: frozenset[Digest]) -> Mapping[str, Any]:
    return {
        "platform": str(built.platform),
        "digest": str(built.descriptor.digest),
        "python": built.base.python.version if built.base else None,
        "size": sum(one.descriptor.size for one in built.layers),
        "baseSize": sum(one.size for one in built.base.layers) if built.base else 0,
        "layers": [
            {
                "digest": str(one.descriptor.digest),
                "size": one.descriptor.size,
                "what": one.created_by,
                "cached": one.descriptor.digest in cached,
            }
            for one in built.layers
        ],
        "referrers": [{"type": one.artifact_type, "digest": str(one.digest)} for one in built.referrers],
    }
