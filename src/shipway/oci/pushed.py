"""Where a layout's artifacts are in registries, as their entries of ``index.json`` remember it. Pure.

Only this home knows it, so it is no part of the artifact: its digest stays as it is.
"""

from __future__ import annotations

import json

from shipway.oci.descriptor import Descriptor

PUSHED = "dev.shipway.pushed"  # a JSON list of references with digests, oldest first


def pushed(entry: Descriptor) -> tuple[str, ...]:
    """The references, oldest first; none when another tool wrote something else there."""
    try:
        listed = json.loads(entry.annotations.get(PUSHED, "[]"))
    except (ValueError, RecursionError):
        return ()
    return tuple(one for one in listed if isinstance(one, str)) if isinstance(listed, list) else ()


def with_pushed(entry: Descriptor, reference: str) -> Descriptor:
    """The entry that names this reference too, as the newest."""
    others = (one for one in pushed(entry) if one != reference)
    return entry.annotated({PUSHED: json.dumps([*others, reference])})
