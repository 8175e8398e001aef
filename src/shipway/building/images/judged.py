"""Is every byte of an image what its digest says; who signed it; and a signature of one's own."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from shipway.building.images.opened import fetched, find, reference_of
from shipway.building.place import Place
from shipway.errors import Corrupt
from shipway.oci import Descriptor, Digest, Layout
from shipway.oci.scratch import scratch
from shipway.oci.signatures import attach, bundles
from shipway.oci.tree import damage, manifests
from shipway.signing import Bundle, PrivateKey, sign
from shipway.transfer import Report


def signed(place: Place, name: str, key: PrivateKey, now: datetime) -> Mapping[str, Any]:
    """Sign an image of the layout, of several platforms as a whole, and keep the signature beside it. NotFound."""
    layout = place.layout
    image = find(layout, name)
    data = sign(image.digest, key, now)
    with layout.lease(f"sign {name}") as lease:
        lease.hold(image.digest)
        made = attach(layout, image, data, Bundle.from_bytes(data), now)
    return {"name": name, "digest": image.digest, "referrer": made.digest, "key": key.public.hint}


def verified(place: Place, name: str, report: Report, *, plain_http: bool) -> Mapping[str, Any]:
    """Read every byte of an image again, from the disk or from its registry, and of what lies beside it; what is
    damaged, and the signatures in base64. Raises NotFound, and what :class:`Registry` raises."""
    reference = reference_of(name)
    if reference is None:
        layout = place.layout
        with layout.lease(f"verify {name}") as lease:
            image = find(layout, name)
            lease.hold(image.digest)
            return _read(layout, image, name, report)
    with scratch(place.layout.root) as folder:
        apart = Layout(folder / "oci", place.layout.blobs.cipher)  # nothing lies there in plain either
        with apart.lease(f"verify {name}") as lease:
            image = asyncio.run(fetched(place, reference, apart, lease, report, plain_http, whole=True))
        return _read(apart, image, name, report)


def _read(layout: Layout, image: Descriptor, name: str, report: Report) -> Mapping[str, Any]:
    seen: dict[Digest, Descriptor] = {}
    found = [one for root in _roots(layout, image) for one in damage(layout, root, report, seen)]
    return {
        "what": name,
        "digest": image.digest,
        "blobs": len(seen),
        "bytes": sum(one.size for one in seen.values()),
        "damage": [one.to_json() for one in found],
        "signatures": [base64.b64encode(one).decode() for one in bundles(layout, image.digest)],
    }


def _roots(layout: Layout, image: Descriptor) -> Iterator[Descriptor]:
    """The image, and what lies beside it and beside each of its platforms."""
    yield image
    try:
        subjects = manifests(layout, image)
    except Corrupt:  # told when it was read itself
        subjects = (image,)
    for one in subjects:
        yield from (beside.bare() for beside in layout.referrers(one.digest))
