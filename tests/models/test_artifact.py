"""What others packed: read where it is a model, named where it is something else. What was pulled is not trusted."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.errors import Corrupt, NotFound, Refused, ShipwayError
from shipway.kinds import ModelVersion
from shipway.models import Lineage, Materials, Versions, artifact, entries, modelpack
from shipway.oci import Descriptor, Index, Layout, Manifest
from shipway.oci.pushed import PUSHED
from shipway.testing.clock import FakeClock

Output = Callable[..., Path]
REFERENCE = "ghcr.io/team/digits:3@sha256:" + "d" * 64
LINEAGE = Lineage(run="digits-1", job="digits", fingerprint="f", metrics={"accuracy": 0.9}, gate="passed")
PACKED: Mapping[str, Callable[[bytes], bytes]] = {
    ".tar": bytes,
    ".tar+gzip": gzip.compress,
    ".tar+zstd": zstandard.ZstdCompressor().compress,
}


def _tar(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.uid, member.mtime, member.uname = len(content), 1000, 1_700_000_000, "ada"
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def _artifact(
    layout: Layout, config_type: str, config: bytes, *layers: Descriptor, artifact_type: str | None = None
) -> Descriptor:
    return layout.put_manifest(Manifest(layout.put_blob(config, config_type), layers, artifact_type))


def _foreign(layout: Layout, config: object, *layers: Descriptor) -> Descriptor:
    data = config if isinstance(config, bytes) else json.dumps(config).encode()
    return _artifact(layout, modelpack.CONFIG_TYPE, data, *layers, artifact_type=modelpack.MANIFEST_TYPE)


def _layer(layout: Layout, end: str, files: Mapping[str, bytes], **annotations: str) -> Descriptor:
    blob = layout.put_blob(PACKED[end](_tar(files)), f"application/vnd.cncf.model.weight.v1{end}")
    return blob.annotated(annotations)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# -- other tools' models


@pytest.mark.parametrize("end", PACKED)
def test_a_modelpack_of_another_tool(versions: Versions, layout: Layout, materials: Materials, end: str) -> None:
    config = {"descriptor": {"createdAt": "2025-01-01T00:00:00Z"}, "config": {"format": "safetensors"}, "modelfs": {}}
    layer = _layer(layout, end, {"model.onnx": b"weights", "a/b.json": b"{}"})
    made = versions.adopt("digits", _foreign(layout, config, layer), REFERENCE)
    assert (made.number, made.format, made.origin, made.pushed) == (1, "onnx", "pulled", (REFERENCE,))
    assert made.created_at == datetime(2025, 1, 1, tzinfo=UTC)
    assert _files(materials.materialise(made.digest)) == {"a/b.json": b"{}", "model.onnx": b"weights"}
    assert versions.lineage("digits", 1).origin == "pulled"
    assert Versions(layout, FakeClock()).list("digits") == (made,)


def test_raw_layers_are_known_by_their_annotations(versions: Versions, layout: Layout) -> None:
    raw = layout.put_blob(b"GGUF....", "application/vnd.cncf.model.weight.v1.raw")
    made = versions.adopt("llama", _foreign(layout, {}, raw.annotated({modelpack.FILEPATH: "llama.bin"})), REFERENCE)
    assert (made.format, made.size) == ("gguf", 8)


@pytest.mark.parametrize(
    "config",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"config": [], "descriptor": 3}',
        b'{"descriptor": {"createdAt": "yesterday"}}',
        b'{"descriptor": {"createdAt": "2025-01-01"}}',
        b"[" * 50_000,
    ],
)
def test_a_config_that_says_nothing_that_can_be_understood(
    versions: Versions, layout: Layout, clock: FakeClock, config: bytes
) -> None:
    made = versions.adopt("digits", _foreign(layout, config, _layer(layout, ".tar", {"x": b"1"})), REFERENCE)
    assert (made.format, made.created_at) == ("custom", clock.now())
    assert Versions(layout, FakeClock()).list("digits") == (made,)


@pytest.mark.parametrize(
    "said",
    ["", "{", "[]", '{"size": -1}', '{"size": "1"}', '{"mode": "x", "size": 1.5}', "[" * 50_000, '{"typeflag": {}}'],
)
def test_annotations_that_say_nothing_that_can_be_understood(layout: Layout, said: str) -> None:
    layer = _layer(layout, ".tar", {"x": b"1"}, **{modelpack.METADATA: said})
    assert modelpack.metadata_of(layer).size is None
    assert not modelpack.metadata_of(layer).executable


def test_a_modelkit_of_kitops(versions: Versions, layout: Layout, materials: Materials) -> None:
    kind = "application/vnd.kitops.modelkit"
    kitfile = json.dumps({"manifestVersion": "1.0.0", "package": {"name": "digits"}, "model": {"path": "./m.joblib"}})
    layers = (
        layout.put_blob(_tar({"./m.joblib": b"\x80weights"}), f"{kind}.model.v1.tar"),
        layout.put_blob(gzip.compress(_tar({"src/train.py": b"1", "src/deep/a.py": b""})), f"{kind}.code.v1.tar+gzip"),
        layout.put_blob(gzip.compress(_tar({"README.md": b"#"})), f"{kind}.docs.v1.tar+gzip"),
    )
    made = versions.adopt("digits", _artifact(layout, f"{kind}.config.v1+json", kitfile.encode(), *layers), REFERENCE)
    assert (made.format, made.origin) == ("sklearn-joblib", "pulled")
    assert sorted(_files(materials.materialise(made.digest))) == [
        "README.md",
        "m.joblib",
        "src/deep/a.py",
        "src/train.py",
    ]


# -- what is no model


@pytest.mark.parametrize(
    ("config_type", "artifact_type", "what"),
    [
        ("application/vnd.oci.image.config.v1+json", None, "a container image"),
        ("application/vnd.docker.container.image.v1+json", None, "a container image, or a model of Ollama"),
        ("application/vnd.docker.ai.model.config.v0.1+json", None, "a model of Docker Model Runner's own"),
        ("application/vnd.cncf.helm.config.v1+json", None, "a Helm chart"),
        (
            "application/vnd.oci.empty.v1+json",
            "application/vnd.shipway.dataset.v1",
            "a data set: see `shipway data pull`",
        ),
        ("application/vnd.oci.empty.v1+json", "application/vnd.dev.sigstore.bundle.v0.3+json", "a signature"),
        ("application/vnd.oci.empty.v1+json", "application/x.song", "an artifact of the type application/x.song"),
        ("application/x.unheard", None, "an artifact of the type application/x.unheard"),
    ],
)
def test_what_is_no_model_is_named(
    versions: Versions, layout: Layout, config_type: str, artifact_type: str | None, what: str
) -> None:
    descriptor = _artifact(layout, config_type, b"{}", artifact_type=artifact_type)
    with pytest.raises(Refused, match=f"is no model: it is {what}"):
        versions.adopt("digits", descriptor, REFERENCE)
    assert versions.names() == ()


def test_an_image_for_several_platforms_is_no_model(versions: Versions, layout: Layout) -> None:
    image = _artifact(layout, "application/vnd.oci.image.config.v1+json", b"{}")
    missing = replace(image, digest=layout.put_blob(b"x").digest, size=5)
    with pytest.raises(Refused, match=r"is an image index of 2 manifest\(s\), and none is a ModelPack"):
        versions.adopt("digits", layout.put_index(Index((image, missing))), REFERENCE)


def test_a_config_of_many_megabytes_is_not_read(versions: Versions, layout: Layout) -> None:
    huge = layout.put_blob(bytes((4 << 20) + 1), modelpack.CONFIG_TYPE)
    descriptor = layout.put_manifest(Manifest(huge, (), modelpack.MANIFEST_TYPE))
    with pytest.raises(Refused, match="has 4194305 bytes"):
        versions.adopt("digits", descriptor, REFERENCE)


def test_what_is_damaged_becomes_no_version(versions: Versions, layout: Layout) -> None:
    descriptor = _foreign(layout, {}, _layer(layout, ".tar", {"x": b"1"}))
    layout.blob_path(descriptor.digest).write_bytes(b"{}")
    with pytest.raises(Corrupt):
        versions.adopt("digits", descriptor, REFERENCE)
    assert versions.names() == ()


_scalars = st.none() | st.booleans() | st.integers(-3, 1 << 70) | st.floats(-1, 1) | st.text(max_size=8)
_keys = st.sampled_from(["config", "format", "descriptor", "createdAt", "size", "mode", "typeflag", "name"])
_documents = st.recursive(
    _scalars, lambda some: st.lists(some, max_size=3) | st.dictionaries(_keys, some, max_size=4), max_leaves=6
)
_texts = _documents.map(json.dumps) | st.text(max_size=8)
_LINEAGE = replace(LINEAGE, created_at=datetime(2026, 1, 1, tzinfo=UTC)).to_json()
_lineages = st.dictionaries(st.sampled_from([*_LINEAGE, "components", "lock", "source"]), _documents, max_size=2).map(
    lambda wrong: json.dumps({**_LINEAGE, **wrong})
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return Layout(tmp_path_factory.mktemp("shared") / "oci")


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=100)
@given(
    config=_documents,
    file=st.dictionaries(st.sampled_from([modelpack.FILEPATH, modelpack.METADATA]), _texts),
    said=st.dictionaries(st.sampled_from([modelpack.CONTENT, modelpack.SIGNATURE]), _texts),
    lineage=st.none() | _lineages | _texts,
    end=st.sampled_from([*PACKED, ".raw", ".tar+xz"]),
    content=st.binary(max_size=5) | st.just(_tar({"a/m.bin": b"GGUF"})),
)
def test_whatever_a_manifest_says_only_errors_of_ours_come_of_it(
    shared: Layout,
    config: object,
    file: dict[str, str],
    said: dict[str, str],
    lineage: str | None,
    end: str,
    content: bytes,
) -> None:
    ours = {} if lineage is None else {modelpack.LINEAGE: lineage, modelpack.CONTENT: "x"}
    with tempfile.TemporaryDirectory() as scratch:
        versions = Versions(shared, FakeClock())
        versions.remove("digits")
        blob = shared.put_blob(PACKED.get(end, bytes)(content), f"application/vnd.cncf.model.weight.v1{end}")
        stored = shared.put_blob(json.dumps(config).encode(), modelpack.CONFIG_TYPE)
        manifest = Manifest(stored, (blob.annotated(file),), modelpack.MANIFEST_TYPE, {**said, **ours})
        with contextlib.suppress(ShipwayError):
            made = versions.adopt("digits", shared.put_manifest(manifest), REFERENCE)
            assert Versions(shared, FakeClock()).list("digits") == (made,)
            versions.lineage("digits", 1).to_json()
            Materials(shared, Path(scratch, "cache")).materialise(made.digest)
        assert [one.name for one in Path(scratch).iterdir()] in (["cache"], [])


# -- what was pulled


@pytest.fixture
def pulled(versions: Versions, layout: Layout, output: Output) -> tuple[Versions, ModelVersion]:
    """A version of another home, that this one pulled."""
    versions.pack("elsewhere", output({"model.pkl": b"\x80evil"}), LINEAGE)
    descriptor = layout.resolve("elsewhere:1")
    return versions, versions.adopt("digits", descriptor, REFERENCE)


def test_ours_keeps_its_lineage_and_is_nobodys_run_here(pulled: tuple[Versions, ModelVersion], output: Output) -> None:
    versions, made = pulled
    assert versions.lineage("digits", 1) == versions.lineage("elsewhere", 1)
    assert (made.origin, made.run, made.fingerprint, made.metrics) == ("pulled", "", "", {"accuracy": 0.9})
    assert versions.like("digits", "f") == (), "a job must not take it for its own result"
    assert versions.pack("digits", output({"model.pkl": b"\x80mine"}, "mine"), LINEAGE).number == 2
    assert [one.number for one in versions.like("digits", "f")] == [2]


def test_pulled_twice_is_one_version(pulled: tuple[Versions, ModelVersion], layout: Layout) -> None:
    versions, made = pulled
    other = REFERENCE.replace("ghcr.io", "quay.io")
    index = layout.index()
    assert versions.adopt("digits", layout.resolve("elsewhere:1"), REFERENCE) == made
    assert layout.index() == index
    again = versions.adopt("digits", layout.resolve("elsewhere:1"), other)
    assert (again.number, again.pushed) == (1, (REFERENCE, other))


def test_what_comes_with_a_descriptor_grants_nothing(versions: Versions, layout: Layout) -> None:
    claims = {entries.ORIGIN: "job", entries.TRUSTED: "root", entries.GATE: "{}", PUSHED: '["x"]'}
    descriptor = _foreign(layout, {}, _layer(layout, ".tar", {"m.pkl": b"\x80"}))
    made = versions.adopt("digits", descriptor.annotated(claims), REFERENCE)
    assert (made.origin, made.trusted, made.pushed) == ("pulled", False, (REFERENCE,))


def test_an_entry_that_says_nothing_was_not_made_here(versions: Versions, layout: Layout, output: Output) -> None:
    """Another tool wrote it: `skopeo copy ... oci:home/oci:digits:1`."""
    versions.pack("elsewhere", output({"model.pkl": b"\x80"}), LINEAGE)
    bare = layout.resolve("elsewhere:1")
    layout.tag(replace(bare, annotations={}), "digits:1")
    [made] = versions.list("digits")
    assert (made.origin, made.fingerprint, made.metrics) == ("pulled", "", {"accuracy": 0.9})


# -- what the index says of a version


def test_where_it_was_pushed_is_remembered(versions: Versions, layout: Layout, output: Output) -> None:
    made = versions.pack("digits", output({"m.onnx": b"1"}), LINEAGE)
    assert made.pushed == ()
    other = REFERENCE.replace("ghcr.io", "quay.io")
    for reference in (REFERENCE, other, REFERENCE):
        marked = versions.mark_pushed("digits", 1, reference)
    assert marked.pushed == (other, REFERENCE), "the newest is the last"
    assert marked.digest == made.digest
    assert Versions(layout, FakeClock()).list("digits") == (marked,)
    with pytest.raises(NotFound, match="digits has no version 2"):
        versions.mark_pushed("digits", 2, REFERENCE)


def test_a_number_that_was_discarded_never_comes_again(versions: Versions, output: Output) -> None:
    for run in (1, 2):
        versions.pack("digits", output({"m.onnx": b"1"}), Lineage(run=f"digits-{run}"))
    for _ in range(2):
        versions.discard("digits", 2)
    assert [one.number for one in versions.list("digits")] == [1]
    assert versions.pack("digits", output({"m.onnx": b"1"}), Lineage(run="digits-2")).number == 3


def test_a_new_hub_lists_without_reading_a_manifest(
    versions: Versions, layout: Layout, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [versions.pack("digits", output({"m.onnx": b"1"}), replace(LINEAGE, run=f"r-{run}")) for run in range(3)]
    fresh = Layout(layout.root)
    monkeypatch.setattr(fresh, "read_blob", lambda descriptor: pytest.fail(f"{descriptor} was read"))
    assert Versions(fresh, FakeClock()).list("digits") == tuple(made)
    assert Versions(fresh, FakeClock()).like("digits", "f") == tuple(made)
    assert Versions(fresh, FakeClock()).pack("digits", output({"m.onnx": b"1"}), Lineage(run="new")).number == 4


@pytest.mark.parametrize("said", [None, "", "{", "[]", '{"format": 3}', '{"createdAt": "now", "format": "onnx"}'])
def test_the_manifest_is_the_truth_where_the_entry_says_nothing(
    versions: Versions, layout: Layout, output: Output, said: str | None
) -> None:
    made = versions.pack("digits", output({"m.onnx": b"1"}), LINEAGE)
    with layout.edit() as edit:
        edit.index = edit.index.with_tag_annotated("digits:1", entries.SUMMARY, said)
    assert Versions(layout, FakeClock()).list("digits") == (made,)


def test_a_version_with_much_to_say_is_read_from_its_manifest(
    versions: Versions, layout: Layout, output: Output
) -> None:
    many = {f"metric-{number}": float(number) for number in range(500)}
    made = versions.pack("digits", output({"m.onnx": b"1"}), replace(LINEAGE, metrics=many))
    assert entries.SUMMARY not in layout.resolve("digits:1").annotations
    assert Versions(layout, FakeClock()).list("digits") == (made,)
    assert made.metrics == many


def test_an_index_and_a_manifest_open_alike(versions: Versions, layout: Layout, output: Output) -> None:
    versions.pack("digits", output({"m.onnx": b"1"}), LINEAGE)
    descriptor = layout.resolve("digits:1")
    manifest = artifact.manifest_of(layout, descriptor)
    assert artifact.opened(layout, manifest) == artifact.opened(layout, descriptor)
    assert artifact.manifest_of(layout, manifest) == manifest
