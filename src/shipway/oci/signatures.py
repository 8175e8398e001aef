"""Signatures as referrers of what they are of, as ``cosign sign`` keeps them. Who has a key judges them.

Source: sigstore/cosign, specs/BUNDLE_SPEC.md.
"""

from __future__ import annotations

from datetime import datetime

from shipway.errors import Corrupt, Refused
from shipway.oci.descriptor import Descriptor
from shipway.oci.digest import Digest
from shipway.oci.layout import Layout
from shipway.oci.manifest import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Manifest
from shipway.signing import BUNDLE_TYPE, CONTENT, LARGEST, Bundle

_CREATED = "org.opencontainers.image.created"


def bundles(layout: Layout, digest: Digest) -> tuple[bytes, ...]:
    """The bundles that refer to an artifact, oldest first, for :func:`shipway.signing.judge`.

    One that is damaged, or no single small blob, is given as no bytes: it says nothing against the others. Raises
    Corrupt when the list itself is damaged.
    """
    return tuple(_bundle(layout, one) for one in layout.referrers(digest, BUNDLE_TYPE))


def attach(layout: Layout, subject: Descriptor, data: bytes, bundle: Bundle, now: datetime) -> Descriptor:
    """Keep a bundle (``data``, read as ``bundle``) beside its subject; its referrer. Idempotent."""
    with layout.lease(f"sign {subject.digest}") as lease:
        layer = layout.put_blob(data, BUNDLE_TYPE, lease=lease)
        layout.put_blob(EMPTY_CONFIG_BYTES, EMPTY_CONFIG.media_type, lease=lease)
        manifest = Manifest(
            config=EMPTY_CONFIG,
            layers=(layer,),
            artifact_type=BUNDLE_TYPE,
            annotations={
                # Of the bundle where it says so: the same bundle is the same referrer then.
                _CREATED: bundle.signed_at or now.isoformat(timespec="seconds"),
                "dev.sigstore.bundle.content": CONTENT,
                "dev.sigstore.bundle.predicateType": bundle.predicate_type,
            },
            subject=subject.bare(),
        )
        return layout.attach(manifest, lease=lease)


def _bundle(layout: Layout, referrer: Descriptor) -> bytes:
    try:
        layers = layout.read_manifest(referrer).layers
        return layout.read_blob(layers[0]) if len(layers) == 1 and layers[0].size <= LARGEST else b""
    except (Corrupt, Refused):
        return b""
