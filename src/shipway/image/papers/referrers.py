"""What lies beside an image as its referrers: the bill of materials and the build record.

Source: OCI image-spec v1.1.1, manifest.md, "Guidelines for Artifact Usage".
"""

from __future__ import annotations

from shipway.image.papers import record, sbom
from shipway.oci import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Descriptor, Layout, Manifest
from shipway.oci.leases import Lease

LARGEST = 64 << 20  # bytes of a document that is read; those of an image with torch have some 100 kB

_PREDICATE_TYPE = "in-toto.io/predicate-type"  # as buildx writes it, for who looks for one


def attach(
    layout: Layout, subject: Descriptor, bill: bytes, statement: bytes, lease: Lease
) -> tuple[Descriptor, Descriptor]:
    """Keep a CycloneDX document and an in-toto statement beside the manifest that they speak of. Idempotent."""
    return (
        _attach(layout, subject, bill, sbom.MEDIA_TYPE, {}, lease),
        _attach(layout, subject, statement, record.MEDIA_TYPE, {_PREDICATE_TYPE: record.PREDICATE}, lease),
    )


def find(layout: Layout, subject: Descriptor, media_type: str) -> bytes | None:
    """The newest document of that type beside a manifest; None when there is none of at most 64 MB. Raises Corrupt."""
    for one in reversed(layout.referrers(subject.digest, media_type)):
        for layer in layout.read_manifest(one).layers:
            if layer.media_type == media_type and layer.size <= LARGEST:
                return layout.read_blob(layer)
    return None


def _attach(
    layout: Layout, subject: Descriptor, data: bytes, media_type: str, annotations: dict[str, str], lease: Lease
) -> Descriptor:
    layer = layout.put_blob(data, media_type, lease=lease)
    layout.put_blob(EMPTY_CONFIG_BYTES, EMPTY_CONFIG.media_type, lease=lease)
    manifest = Manifest(
        config=EMPTY_CONFIG,
        layers=(layer.annotated(annotations),),
        artifact_type=media_type,
        annotations=annotations,
        subject=subject.bare(),
    )
    return layout.attach(manifest, lease=lease)
