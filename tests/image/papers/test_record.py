"""The build record, and both documents as referrers."""

from __future__ import annotations

import json

import pytest

from shipway import __version__
from shipway.image.papers import record, referrers, sbom
from shipway.image.papers.record import Input, provenance
from shipway.oci import Descriptor, Digest, Manifest
from shipway.oci.manifest import MANIFEST_TYPE
from tests.image.papers.images import FLASK, Workshop

IMAGE = Descriptor(MANIFEST_TYPE, Digest("sha256:" + "1" * 64), 7)
INPUTS = (
    Input("base", Digest("sha256:" + "2" * 64), "docker.io/library/python:3.11-slim"),
    Input("lock", Digest("sha256:" + "3" * 64)),
)


def test_it_names_the_image_what_went_in_and_what_built_it() -> None:
    made = json.loads(provenance("digits", IMAGE, INPUTS, {"compression": "zstd"}))
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    assert made["subject"] == [{"name": "digits", "digest": {"sha256": "1" * 64}}]
    built = made["predicate"]["buildDefinition"]
    assert built["externalParameters"] == {"compression": "zstd"}
    assert built["resolvedDependencies"] == [
        {"name": "base", "digest": {"sha256": "2" * 64}, "uri": "docker.io/library/python:3.11-slim"},
        {"name": "lock", "digest": {"sha256": "3" * 64}},
    ]
    assert made["predicate"]["runDetails"]["builder"]["version"] == {"shipway": __version__}
    assert provenance("digits", IMAGE, INPUTS, {"compression": "zstd"}) == provenance(
        "digits", IMAGE, INPUTS, {"compression": "zstd"}
    )


def test_both_lie_beside_the_image_once(workshop: Workshop) -> None:
    image = workshop.recorded("image/digits:latest", FLASK)
    before = workshop.layout.referrers(image.digest)
    assert workshop.recorded("image/digits:latest", FLASK) == image
    assert workshop.layout.referrers(image.digest) == before
    assert [one.artifact_type for one in before] == [sbom.MEDIA_TYPE, record.MEDIA_TYPE]
    found = referrers.find(workshop.layout, image, record.MEDIA_TYPE)
    assert found is not None
    assert json.loads(found)["subject"][0]["digest"]["sha256"] == image.digest.hex


def test_a_document_that_is_too_large_is_none(workshop: Workshop) -> None:
    image = workshop.recorded("image/digits:latest")
    claimed = Descriptor(sbom.MEDIA_TYPE, Digest("sha256:" + "9" * 64), referrers.LARGEST + 1)
    listed = workshop.layout.referrers(image.digest, sbom.MEDIA_TYPE)[0]
    config = workshop.layout.read_manifest(listed).config
    subject = Descriptor(image.media_type, image.digest, image.size)
    workshop.layout.attach(Manifest(config, (claimed,), artifact_type="x/y", subject=subject))
    assert referrers.find(workshop.layout, image, "x/y") is None


@pytest.mark.extras
def test_in_totos_own_model_takes_it() -> None:
    from google.protobuf.json_format import Parse

    provenance_pb2 = pytest.importorskip("in_toto_attestation.predicates.provenance.v1.provenance_pb2")
    statement_pb2 = pytest.importorskip("in_toto_attestation.v1.statement_pb2")
    statement = pytest.importorskip("in_toto_attestation.v1.statement")

    data = provenance("digits", IMAGE, INPUTS, {"compression": "zstd", "platform": "linux/amd64"})
    statement.Statement.copy_from_pb(Parse(data, statement_pb2.Statement())).validate()
    # Raises for a field that SLSA does not know.
    Parse(json.dumps(json.loads(data)["predicate"]), provenance_pb2.Provenance())
