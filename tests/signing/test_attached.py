from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest

from shipway.controllers import Recorder
from shipway.controllers.operations.parts import Parts
from shipway.controllers.operations.signatures import Signatures
from shipway.errors import NotFound, UserError
from shipway.kinds import Model, ModelVersion, ObjectMeta
from shipway.models import Versions
from shipway.models.lineage import Lineage
from shipway.oci import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Descriptor, Digest, Layout, Manifest
from shipway.oci.registry.client import Registry
from shipway.oci.signatures import bundles
from shipway.signing import BUNDLE_TYPE, LARGEST, PrivateKey, judge, sign
from shipway.testing.clock import FakeClock
from shipway.testing.journal import FakeJournal
from shipway.testing.store import FakeStore

KEY = PrivateKey.generate()


class Home:
    """A model ``digits`` with one version."""

    def __init__(self, folder: Path) -> None:
        clock = FakeClock()
        self.clock, self.journal, self.layout = clock, FakeJournal(), Layout(folder / "oci")
        store, versions = FakeStore(clock.now), Versions(self.layout, clock)
        recorder = Recorder(self.journal, clock)
        self.signatures = Signatures(Parts(store, self.layout, versions, recorder, clock, _no_registry))
        (folder / "files").mkdir()
        (folder / "files" / "model.onnx").write_bytes(b"weights")
        store.put(Model(metadata=ObjectMeta(name="digits")))
        self.version: ModelVersion = versions.pack("digits", folder / "files", Lineage(origin="import"))

    def sign(self, key: PrivateKey = KEY) -> bytes:
        return sign(self.version.digest, key, self.clock.now())

    def attach(self, data: bytes) -> str:
        return str(asyncio.run(self.signatures.attach("digits", "1", data, "alice"))["referrer"])

    def listed(self) -> list[bytes]:
        return [base64.b64decode(one) for one in asyncio.run(self.signatures.listed("digits", "1"))["signatures"]]


def _no_registry(_: bool) -> Registry:
    raise AssertionError("nothing is sent anywhere")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_signature_is_kept_and_given_back_unchanged(home: Home) -> None:
    assert home.listed() == []
    ours, theirs = home.sign(), home.sign(PrivateKey.generate())
    home.attach(ours)
    home.attach(theirs)
    assert home.listed() == [ours, theirs]
    assert judge(home.version.digest, home.listed(), KEY.public).trusted


def test_the_same_signature_twice_is_one(home: Home) -> None:
    data = home.sign()
    first = home.attach(data)
    asyncio.run(home.clock.advance(100))
    assert home.attach(data) == first
    assert len(home.listed()) == 1


def test_the_referrer_is_as_cosign_makes_it(home: Home) -> None:
    home.attach(home.sign())
    digest = home.layout.resolve("digits:1").digest
    (referrer,) = home.layout.referrers(digest, BUNDLE_TYPE)
    manifest = home.layout.read_manifest(referrer)
    assert manifest.config.digest == EMPTY_CONFIG.digest
    assert manifest.config.media_type == "application/vnd.oci.empty.v1+json"
    assert [one.media_type for one in manifest.layers] == [BUNDLE_TYPE]
    assert manifest.subject is not None
    assert manifest.subject.digest == digest
    assert referrer.annotations["dev.sigstore.bundle.content"] == "dsse-envelope"
    assert referrer.annotations["dev.sigstore.bundle.predicateType"] == "https://sigstore.dev/cosign/sign/v1"
    assert referrer.annotations["org.opencontainers.image.created"].endswith("Z")


def test_the_ledger_says_who_brought_it(home: Home) -> None:
    home.attach(home.sign())
    (entry,) = home.journal.entries(subject="Model/digits")
    assert (entry.reason, entry.data["by"], entry.data["key"]) == ("Signed", "alice", KEY.public.hint)


def test_a_signature_of_another_version_is_refused(home: Home) -> None:
    other = "sha256:" + "0" * 64
    with pytest.raises(UserError, match=f"the signature is of {other}, and digits:1 is {home.version.digest}"):
        home.attach(sign(other, KEY, home.clock.now()))
    assert home.listed() == []


def test_what_is_no_bundle_is_refused(home: Home) -> None:
    for data in (b"", b"{}", json.dumps({"mediaType": "x"}).encode(), b"[" * (LARGEST + 1)):
        with pytest.raises(UserError):
            home.attach(data)


def test_a_version_that_is_not_there_is_not_found(home: Home) -> None:
    for name, ref in (("digits", "2"), ("digits", "champion"), ("nobody", "1")):
        with pytest.raises(NotFound):
            asyncio.run(home.signatures.listed(name, ref))
        with pytest.raises(NotFound):
            asyncio.run(home.signatures.attach(name, ref, home.sign(), "alice"))


def test_what_others_attached_in_another_shape_is_no_signature(home: Home) -> None:
    """A registry gives what it likes: two layers, a large one. It is listed as something unreadable, and not read."""
    layout, subject = home.layout, home.layout.resolve("digits:1")
    small = layout.put_blob(home.sign(), BUNDLE_TYPE)
    large = layout.put_blob(b" " * (LARGEST + 1), BUNDLE_TYPE)
    layout.put_blob(EMPTY_CONFIG_BYTES)
    for layers in ((small, small), (large,), ()):
        layout.attach(_referrer(subject, layers))
    assert bundles(layout, subject.digest) == (b"", b"", b"")
    verdict = judge(subject.digest, bundles(layout, subject.digest), KEY.public)
    assert [one.standing for one in verdict.findings] == ["unreadable"] * 3


def test_a_damaged_signature_says_nothing_against_the_others(home: Home) -> None:
    data, other = home.sign(), home.sign(PrivateKey.generate())
    home.attach(other)
    home.attach(data)
    home.layout.blob_path(Digest.of(other)).write_bytes(b"damaged")
    assert home.listed() == [b"", data]


def _referrer(subject: Descriptor, layers: tuple[Descriptor, ...]) -> Manifest:
    return Manifest(config=EMPTY_CONFIG, layers=layers, artifact_type=BUNDLE_TYPE, subject=subject)
