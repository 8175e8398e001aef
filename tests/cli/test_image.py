"""``shipway image``: over a home without a hub, and a registry in this process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shipway import home, settings
from shipway.cli.image.named import IMAGE
from shipway.image.assemble import CONFIG_TYPE
from shipway.image.papers.referrers import attach
from shipway.models import Versions
from shipway.oci import Layout, Manifest
from shipway.oci.manifest import canonical
from shipway.oci.sweep import Marks, sweep
from shipway.recovery.inspect import inspect
from shipway.recovery.lost import check_nothing_lost
from shipway.recovery.plan import plan
from shipway.signing import PrivateKey
from shipway.testing.clock import FakeClock
from shipway.testing.registry import FakeRegistry
from tests.cli.conftest import Shipway
from tests.image.papers.images import FLASK, WERKZEUG, Workshop

NEWER = replace(FLASK, version="3.1.4")


@pytest.fixture(scope="module")
def two_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layout with two images, made once: writing one durably takes longer than most of these tests."""
    made = Workshop(Layout(tmp_path_factory.mktemp("two") / "oci"))
    made.recorded("image/digits:latest", FLASK, WERKZEUG)
    made.recorded("image/digits:2", NEWER, WERKZEUG, code=b"print(22)")
    return made.layout.root


@pytest.fixture
def workshop(shipway: Shipway, two_images: Path) -> Workshop:
    """Two images in the home of ``shipway``."""
    shutil.copytree(two_images, settings.read().oci)
    return Workshop(Layout(settings.read().oci))


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRegistry]:
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)  # reading the machine's certificates takes longer than the test
    with FakeRegistry() as fake:
        yield fake


@pytest.fixture
def key(tmp_path: Path) -> PrivateKey:
    """A pair in ``k.key`` and ``k.pub`` of the test's folder."""
    made = PrivateKey.generate()
    (tmp_path / "k.key").touch(mode=0o600)
    (tmp_path / "k.key").write_bytes(made.to_pem(None))
    (tmp_path / "k.pub").write_bytes(made.public.to_pem())
    return made


# -- what there is


def test_a_home_without_images_says_so_and_is_a_home_for_the_first_hub(shipway: Shipway) -> None:
    assert shipway("image").out == "no images here yet: shipway build\n"
    home.own(settings.read())
    check_nothing_lost(settings.read())


def test_ls_tells_what_only_one_image_keeps(shipway: Shipway, workshop: Workshop) -> None:
    listed = {f"{one['name']}:{one['tag']}": one for one in shipway("image", "ls", "-o", "json").json}
    first = listed["digits:latest"]
    assert listed.keys() == {"digits:2", "digits:latest"}
    assert (first["platforms"], first["base"]["name"]) == (["linux/amd64"], "docker.io/library/python:3.11-slim")
    assert first["size"] - first["own"] == workshop.base().layers[0].size
    assert "digits  latest  sha256:" in shipway("image", "ls").out


def test_ls_names_a_damaged_image_beside_the_others(shipway: Shipway, workshop: Workshop) -> None:
    workshop.layout.blob_path(workshop.layout.resolve("image/digits:2").digest).write_bytes(b"{}")
    table = shipway("image", "ls").out
    assert "is damaged" in table
    assert "digits  latest  sha256:" in table


def test_bases_are_listed_when_asked_for_and_removed_by_their_name(shipway: Shipway, workshop: Workshop) -> None:
    workshop.layout.tag(workshop.base().manifest, "base/debian-bookworm-amd64")
    assert "debian-bookworm" not in shipway("image", "ls").out
    assert "base/debian-bookworm-amd64" in shipway("image", "ls", "--bases").out
    assert shipway("image", "rm", "base/debian-bookworm-amd64").code == 0
    assert "base/" not in shipway("image", "ls", "--bases").out


@pytest.mark.parametrize(
    "name, code, said",
    [
        ("digit", 3, "Did you mean digits:2?"),
        ("sha256:00", 3, "there is no image sha256:00 here"),
        ("sha256:", 2, "begins the digests of 2 images"),
        ("Ä", 2, "no name of an image"),
        ("../../etc", 2, "is not a reference"),
        ("localhost:1/Upper", 2, "is not a repository"),
    ],
)
def test_what_names_no_image_is_told(shipway: Shipway, workshop: Workshop, name: str, code: int, said: str) -> None:
    ended = shipway("image", "show", name)
    assert (ended.code, said in ended.err) == (code, True), ended.err


def test_what_holds_no_image_is_none(shipway: Shipway, workshop: Workshop) -> None:
    workshop.layout.tag(workshop.index(), "image/nothing:latest")
    assert "is no image that runs" in shipway("image", "show", "nothing").err


# -- what is in one


def test_show_tells_what_it_runs_and_what_is_in_each_layer(shipway: Shipway, workshop: Workshop) -> None:
    [part] = shipway("image", "show", "digits", "-o", "json").json["platforms"]
    assert part["config"]["entrypoint"] == ["/opt/venv/bin/python", "-m", "x"]
    assert part["config"]["user"] == "10001:10001"
    assert part["system"] == "debian 12, 1 packages"
    assert [(one["createdBy"], one["files"], one["packages"]) for one in part["layers"]] == [
        ("debian", 3, []),
        ("packages: Flask, Werkzeug", 2, ["Flask 3.1.3", "Werkzeug 3.1.0"]),
        ("code", 1, []),
    ]
    text = shipway("image", "show", "digits").out
    for said in (
        "runs               /opt/venv/bin/python -m x",
        "bill of materials  sha256:",
        "env                PORT=8080",
    ):
        assert said in text
    digest = workshop.layout.resolve("image/digits:latest").digest
    assert shipway("image", "show", digest[:20]).out.splitlines()[1:] == text.splitlines()[1:]


def test_show_tells_each_platform_of_an_index(shipway: Shipway, workshop: Workshop) -> None:
    images = [workshop.layout.resolve(f"image/digits:{tag}") for tag in ("latest", "2")]
    workshop.index("image/both:latest", amd64=images[0], arm64=images[1])
    shown = shipway("image", "show", "both", "-o", "json").json
    assert [one["digest"] for one in shown["platforms"]] == [one.digest for one in images]


def test_diff_tells_layers_packages_files_and_config(shipway: Shipway, workshop: Workshop) -> None:
    found = shipway("image", "diff", "digits", "digits:2", "-o", "json").json
    assert {name: len(found["layers"][name]) for name in found["layers"]} == {"shared": 1, "removed": 2, "added": 2}
    assert found["packages"] == [{"name": "Flask", "before": "3.1.3", "after": "3.1.4"}]
    assert found["config"] == found["systemPackages"] == []
    assert {one["path"].rpartition("/")[2]: (one["before"], one["after"]) for one in found["files"][:1]} == {
        "serve.py": (8, 9)
    }
    text = shipway("image", "diff", "digits", "digits:2", "--files", "--limit", "1").out
    assert "app/serve.py  8 B  ->  9 B\n  ... 2 more: --limit 0" in text
    assert "files: 1 added, 1 removed, 1 changed" in text
    assert shipway("image", "diff", "digits", "digits:latest").out.endswith(": the same image\n")


def test_the_bill_of_materials_is_printed_as_it_lies_there(shipway: Shipway, workshop: Workshop) -> None:
    assert shipway("image", "sbom", "digits").json["bomFormat"] == "CycloneDX"
    table = shipway("image", "sbom", "digits", "--format", "table").out
    assert "Flask" in table and "BSD-3-Clause" in table and "pkg:deb/debian/libc6@" in table
    workshop.image(workshop.base(), (), "image/bare:latest")
    assert (bare := shipway("image", "sbom", "bare")).code == 3
    assert "says what is in it" in bare.err


# -- signatures, and going away


def test_signed_images_are_verified_and_others_are_not(
    shipway: Shipway, workshop: Workshop, key: PrivateKey, tmp_path: Path
) -> None:
    with_key = ("--key", tmp_path / "k.pub")
    assert shipway("image", "verify", "digits").out.endswith("not signed\n")
    assert shipway("image", "verify", "digits", *with_key).code == 2
    made = shipway("image", "sign", "digits", "--key", tmp_path / "k.key", "-o", "json").json
    assert made["key"] == key.public.hint
    ended = shipway("image", "verify", "digits", *with_key)
    assert (ended.code, f"signed with the key {key.public.hint}" in ended.out) == (0, True)
    assert shipway("image", "show", "digits", "-o", "json").json["signatures"] == 1
    assert shipway("image", "verify", "digits:2", *with_key).code == 2


@pytest.mark.parametrize("what", ["layer", "bill"])
def test_a_byte_that_changed_is_found_wherever_it_is(shipway: Shipway, workshop: Workshop, what: str) -> None:
    image = workshop.layout.resolve("image/digits:latest")
    bill = workshop.layout.read_manifest(workshop.layout.referrers(image.digest)[0]).layers[0]
    victim = bill if what == "bill" else workshop.layout.read_manifest(image).layers[1]
    path = workshop.layout.blob_path(victim.digest)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    ended = shipway("image", "verify", "digits", "-o", "json")
    assert (ended.code, [one["digest"] for one in ended.json["damage"]]) == (5, [victim.digest])


def test_what_rm_let_go_is_collected_with_its_referrers_and_the_rest_stays(
    shipway: Shipway, workshop: Workshop
) -> None:
    layout = workshop.layout
    gone = layout.resolve("image/digits:2")
    kept = shipway("image", "show", "digits").out
    assert shipway("image", "rm", "digits:2", "nope").code == 3
    assert shipway("image", "rm", "digits:2").out == f"digits:2 is removed ({gone.digest})\n"
    assert gone.digest in sweep(layout, Marks(layout.blobs)).blobs
    assert layout.referrers(gone.digest) == ()
    assert shipway("image", "show", "digits").out == kept
    assert shipway("image", "verify", "digits").code == 0
    assert not sweep(layout, Marks(layout.blobs)).blobs


def test_a_digest_is_not_removed(shipway: Shipway, workshop: Workshop) -> None:
    assert "only names are removed" in shipway("image", "rm", workshop.layout.resolve("image/digits:2").digest).err


def test_images_are_no_models_and_their_damage_is_told_as_theirs(shipway: Shipway, workshop: Workshop) -> None:
    assert Versions(workshop.layout, FakeClock()).names() == ()
    found = inspect(settings.read())
    assert (found.models, found.blobs) == ((), ())
    digest = workshop.layout.read_manifest(workshop.layout.resolve("image/digits:2")).layers[-1].digest
    workshop.layout.blob_path(digest).unlink()
    lost = plan(inspect(settings.read())).lost
    assert lost == ("image/digits:2: it is no image any more; `shipway build` makes it again",)


# -- registries


@pytest.mark.slow
def test_what_was_pushed_is_looked_at_without_its_layers(
    shipway: Shipway, workshop: Workshop, registry: FakeRegistry
) -> None:
    images = {
        name: workshop.layout.resolve(f"image/digits:{tag}") for name, tag in (("amd64", "latest"), ("arm64", "2"))
    }
    index = workshop.index("image/both:latest", **images)
    reference = f"{registry.host}/team/both"
    ended = shipway("image", "push", "both", reference, "-o", "json")
    assert ended.json["reference"] == f"{reference}:latest@{index.digest}"
    assert shipway("image", "ls", "-o", "json").json[0]["pushed"] == [ended.json["reference"]]
    shipway("image", "rm", "both", "digits", "digits:2")
    sweep(workshop.layout, Marks(workshop.layout.blobs))

    registry.forget()
    shown = shipway("image", "show", reference, "-o", "json").json
    assert [len(one["referrers"]) for one in shown["platforms"]] == [2, 2]
    layers = shown["platforms"][0]["layers"]
    assert [one["files"] for one in layers] == [None] * 3
    assert layers[1]["packages"] == ["Flask 3.1.3", "Werkzeug 3.1.0"]
    bill = shipway("image", "sbom", reference, "--platform", "linux/amd64").json
    assert bill["bomFormat"] == "CycloneDX"
    assert not any(registry.requests("GET", f"*/blobs/{one['digest']}") for one in layers)


@pytest.mark.slow
def test_an_image_of_a_registry_is_verified_and_compared_where_it_is(
    shipway: Shipway, workshop: Workshop, registry: FakeRegistry, key: PrivateKey, tmp_path: Path
) -> None:
    shipway("image", "sign", "digits", "--key", tmp_path / "k.key")
    reference = f"{registry.host}/team/digits"
    assert shipway("image", "push", "digits", reference).code == 0
    ended = shipway("image", "verify", reference, "--key", tmp_path / "k.pub")
    assert (ended.code, "signed with the key" in ended.out) == (0, True)
    assert shipway("image", "diff", reference, "digits").out.endswith(": the same image\n")
    found = shipway("image", "diff", reference, "digits:2", "-o", "json").json
    assert found["packages"] == [{"name": "Flask", "before": "3.1.3", "after": "3.1.4"}]
    assert shipway("image", "show", f"{registry.host}/team/nothing").code == 3


def test_a_push_without_a_reference_goes_to_the_default_registry(
    shipway: Shipway, workshop: Workshop, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "SHIPWAY_REGISTRY" in shipway("image", "push", "digits:2").err
    monkeypatch.setenv("SHIPWAY_REGISTRY", f"{registry.host}/team")
    assert shipway("image", "push", "digits:2").out.startswith(f"pushed digits:2 to {registry.host}/team/digits:2@")
    digest = workshop.layout.resolve("image/digits:2").digest
    assert "has no tag" in shipway("image", "push", digest, f"{registry.host}/team/digits").err


def test_names_are_completed(workshop: Workshop, shipway: Shipway) -> None:
    offered = IMAGE.shell_complete(None, None, "dig")  # type: ignore[arg-type]
    assert [one.value for one in offered] == ["digits:2", "digits:latest"]


# -- what strangers wrote


def test_a_strangers_config_and_papers_are_shown_as_far_as_they_make_sense(
    shipway: Shipway, workshop: Workshop
) -> None:
    layout = workshop.layout
    said = {
        "os": 7,
        "config": {"Env": [1, "A=\x1b[31m"], "Cmd": "sh", "ExposedPorts": 3, "Labels": {"a\nb": None}, "User": ["x"]},
        "history": [{"created_by": "\x1b]0;owned\x07"}, "x"],
    }
    blob = layout.put_blob(canonical(said), CONFIG_TYPE)
    image = layout.put_manifest(Manifest(blob, workshop.base().layers), "image/odd:latest")
    bill = canonical({"components": [1, {"name": ["x"], "licenses": [{"license": "MIT"}, 2, {"expression": "MIT"}]}]})
    with layout.lease("test") as lease:
        attach(layout, image, bill, b"[]", lease)
    shown = shipway("image", "show", "odd")
    assert (shown.code, "\x1b" in shown.out) == (0, False)
    assert "label              a b=None" in shown.out
    assert shipway("image", "sbom", "odd", "--format", "table").out.splitlines()[-1].split()[-3:] == ["-", "MIT", "-"]
    assert shipway("image", "diff", "odd", "digits", "--platform", "7/unknown").code == 3
    assert "7/unknown" in shipway("image", "ls").out


def test_a_bill_of_materials_that_is_none_is_told(shipway: Shipway, workshop: Workshop) -> None:
    image = workshop.image(workshop.base(), (), "image/odd:latest")
    with workshop.layout.lease("test") as lease:
        attach(workshop.layout, image, b"[", b"", lease)
    ended = shipway("image", "sbom", "odd", "--format", "table")
    assert (ended.code, "cannot be read" in ended.err) == (2, True)
