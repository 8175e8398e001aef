"""Bases from registries and layouts: the right platform, read, kept, and found again without asking."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from shipway.errors import Corrupt, NotFound, Refused, RegistryRefused, RegistryUnreachable, UserError
from shipway.image import assemble
from shipway.image.bases import config, interpreter
from shipway.image.bases.choose import choose
from shipway.image.platform import Platform, Python
from shipway.image.view import View
from shipway.oci import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Descriptor, Digest, Index, Layout, Manifest
from shipway.oci.digest import CHUNK
from shipway.oci.document import NOT_READABLE
from shipway.oci.encrypted import Encrypted
from shipway.oci.manifest import INDEX_TYPES, MANIFEST_TYPE
from shipway.oci.sweep import Marks, sweep
from shipway.testing.registry import FakeRegistry
from tests.image.bases.conftest import Asking
from tests.image.made_base import (
    CONFIG_TYPE,
    GROUP,
    PASSWD,
    Made,
    base_files,
    elf,
    image,
    index,
    layer,
    python_files,
    synthetic_base,
)

AMD, ARM = Platform("amd64"), Platform("arm64")
SMALL = base_files(AMD)


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as running:
        yield running


def into(registry: FakeRegistry, layout: Layout, descriptor: Descriptor, tag: str | None = None) -> None:
    """Put a manifest with all below it into the registry's ``team/base``."""
    if descriptor.media_type in INDEX_TYPES:
        for one in layout.read_index(descriptor).manifests:
            into(registry, layout, one)
    else:
        read = layout.read_manifest(descriptor)
        for blob in (read.config, *read.layers):
            registry.add_blob("team/base", layout.read_blob(blob))
    registry.add_manifest("team/base", layout.read_blob(descriptor), media_type=descriptor.media_type, tag=tag)


def both(layout: Layout) -> tuple[Descriptor, dict[Platform, Descriptor]]:
    images = {one: image(layout, one, base_files(one)) for one in (AMD, ARM)}
    return index(layout, images, "both"), images


def test_the_platform_is_chosen_and_only_that_travels(asking: Asking, theirs: Layout, registry: FakeRegistry) -> None:
    found, images = both(theirs)
    into(registry, theirs, found, "1")
    name = f"{registry.host}/team/base:1"
    base = asking.get(name, "arm64")
    assert base == replace(synthetic_base(theirs, ARM), name=name, manifest=base.manifest)
    assert base.manifest.digest == images[ARM].digest
    assert base.python == Python("3.11.2", "/usr/local/bin/python3.11", "glibc", "2.36")
    assert (base.passwd, base.group, base.top) == (PASSWD, GROUP, frozenset({"etc", "lib", "tmp", "usr"}))
    assert not any(asking.layout.has_blob(one) for one in theirs.read_manifest(images[AMD]).layers)
    assert "glibc 2.36" in asking.told[-1].note
    assert asking.get(name, "amd64").manifest.digest == images[AMD].digest


def test_what_the_lock_names_needs_no_registry_while_an_image_stands_on_it(
    asking: Asking, theirs: Layout, registry: FakeRegistry
) -> None:
    into(registry, theirs, image(theirs, AMD, SMALL), "1")
    name = f"{registry.host}/team/base:1"
    base = asking.get(name)
    built = asking.layout.put_blob(assemble.config(base, (), assemble.Runs()), assemble.CONFIG_TYPE)
    asking.layout.put_manifest(assemble.manifest(built, base, ()), "image/mine:latest")
    into(registry, theirs, image(theirs, AMD, SMALL, {"version": "2"}), "1")
    sweep(asking.layout, Marks(asking.layout.blobs))
    registry.__exit__()
    assert asking.get(name, digest=base.manifest.digest) == base
    with pytest.raises(RegistryUnreachable) as caught:
        asking.get(name)
    assert caught.value.next_step.endswith("--base debian:bookworm")
    asking.layout.untag("image/mine:latest")
    sweep(asking.layout, Marks(asking.layout.blobs))
    assert not list(asking.layout.blobs.all()), "and nothing of it stays without the image"


def test_the_locks_digest_wins_over_the_tag(asking: Asking, theirs: Layout, registry: FakeRegistry) -> None:
    first = image(theirs, AMD, base_files(AMD), {"version": "1"})
    into(registry, theirs, first)
    into(registry, theirs, image(theirs, AMD, base_files(AMD), {"version": "2"}), "1")
    name = f"{registry.host}/team/base:1"
    assert asking.get(name, digest=first.digest).manifest.digest == first.digest
    assert asking.get(name).manifest.digest != first.digest


def test_a_blob_that_is_missing_or_damaged_is_brought_again(
    asking: Asking, theirs: Layout, registry: FakeRegistry
) -> None:
    into(registry, theirs, image(theirs, AMD, base_files(AMD)), "1")
    name = f"{registry.host}/team/base:1"
    base = asking.get(name)
    asking.layout.blob_path(base.layers[0].digest).unlink()
    asking.layout.blob_path(base.manifest.digest).write_bytes(b"{")
    assert asking.get(name, digest=base.manifest.digest) == base
    assert asking.layout.has_blob(base.layers[0])


def listing(platforms: Sequence[Mapping[str, str]]) -> Index:
    """An index of an image for each of these platforms."""
    digests = (Digest.of(bytes([number])) for number in range(len(platforms)))
    return Index(
        tuple(
            Descriptor(MANIFEST_TYPE, digest, 1, extra={"platform": one})
            for digest, one in zip(digests, platforms, strict=True)
        )
    )


@pytest.mark.parametrize(
    ("platforms", "said"),
    [
        (
            [{"os": "linux", "architecture": "s390x"}, {"os": "windows", "architecture": "amd64"}],
            "It is there for linux/s390x, windows/amd64.",
        ),
        ([{"os": "linux", "architecture": "amd64", "variant": "v3"}, {"os": "unknown"}], "for linux/amd64/v3."),
        ([{}, {}], "Its index says nothing of platforms."),
        ([], "Its index says nothing of platforms."),
    ],
)
def test_a_platform_that_is_not_there_is_refused_with_those_that_are(
    platforms: list[Mapping[str, str]], said: str
) -> None:
    with pytest.raises(Refused, match="is not there for linux/amd64") as caught:
        choose(listing(platforms), AMD, "a base")
    assert said in caught.value.next_step


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rootfs": {"diff_ids": ["sha256:short"]}}, "sha256:short"),
        ({"rootfs": {"diff_ids": {"a": "b"}}}, "not a diff_id for each of 1 layers"),
        ({"rootfs": {"diff_ids": []}}, "not a diff_id for each of 1 layers"),
        ({"rootfs": None}, "TypeError"),
        ({"config": ["PATH=/bin"]}, "AttributeError"),
        ({"config": {"Env": {"PATH": "/bin"}}}, "Env is no list of texts"),
        ({"config": {"Env": [["PATH"]]}}, "Env is no list of texts"),
        ({"config": {"Cmd": "python"}}, "Cmd is no list of texts"),
        ({"config": {"User": 0}}, "User is not text"),
        ({"config": {"Labels": {"a": 1}}}, "Labels does not map text to text"),
        ({"config": {"Volumes": ["/data"]}}, "Volumes is no object"),
        ({"history": ["made up"]}, "history is no list of objects"),
    ],
)
def test_configs_that_no_tool_writes_are_refused(changes: Mapping[str, object], said: str) -> None:
    good = {"rootfs": {"diff_ids": [f"sha256:{'a' * 64}"]}, "config": None, "history": None}
    assert config.read(json.dumps(good).encode(), 1) == good
    with pytest.raises(NOT_READABLE) as caught:
        config.read(json.dumps({**good, **changes}).encode(), 1)
    assert said in repr(caught.value)


@pytest.mark.parametrize("data", [b"", b"[]", b"[" * 100_000, b'{"a": NaN}'], ids=["empty", "list", "deep", "nan"])
def test_a_config_that_is_no_document_is_told(asking: Asking, theirs: Layout, data: bytes) -> None:
    theirs.put_manifest(Manifest(theirs.put_blob(data, CONFIG_TYPE), ()), "1")
    with pytest.raises(Refused, match="is not an image: its config is none"):
        asking.get(f"oci:{theirs.root}:1")


def test_nothing_of_a_path_gets_into_an_image(theirs: Layout) -> None:
    base = synthetic_base(theirs, AMD, name=f"oci:{theirs.root}:1")
    elsewhere = replace(base, name="tar:/home/alice/base.tar")
    runs = assemble.Runs(labels=assemble.said_of(base))
    assert assemble.config(base, (), runs) == assemble.config(elsewhere, (), runs)
    assert assemble.manifest(base.manifest, base, ()) == assemble.manifest(base.manifest, elsewhere, ())
    assert assemble.said_of(elsewhere) == {
        "org.opencontainers.image.base.name": "",
        "org.opencontainers.image.base.digest": base.manifest.digest,
    }
    for name in ("docker.io/library/python:3.11-slim", "debian:bookworm"):
        assert replace(base, name=name).public_name == name


@pytest.mark.parametrize("variant", ["", "v8"])
def test_variants_that_are_the_architecture(variant: str) -> None:
    platform = {"os": "linux", "architecture": "arm64", **({"variant": variant} if variant else {})}
    offered = listing([{**platform, "variant": "v9"}, platform])
    assert choose(offered, ARM, "a base") == offered.manifests[1]


def test_a_base_for_another_architecture_is_refused(asking: Asking, theirs: Layout) -> None:
    image(theirs, ARM, base_files(ARM), tag="arm")
    with pytest.raises(Refused, match=r"is for linux/arm64, not for linux/amd64"):
        asking.get(f"oci:{theirs.root}:arm")


def test_a_layout_is_only_read(asking: Asking, theirs: Layout) -> None:
    _, images = both(theirs)
    before = {path: path.stat().st_mtime_ns for path in theirs.root.rglob("*")}
    base = asking.get(f"oci:{theirs.root}")
    assert base.manifest.digest == images[AMD].digest and base.name == f"oci:{theirs.root}"
    assert {path: path.stat().st_mtime_ns for path in theirs.root.rglob("*")} == before
    assert asking.get(f"oci:{theirs.root}:both") == replace(base, name=f"oci:{theirs.root}:both")


def test_our_own_layout_is_a_base_too_encrypted_as_it_is(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "home" / "oci", Encrypted(bytes(32)))
    one = image(layout, AMD, base_files(AMD), tag="image/mine:latest")
    asking = Asking(tmp_path / "home", layout)
    assert asking.get(f"oci:{layout.root}:image/mine:latest").manifest.digest == one.digest


def test_a_layout_with_several_images_wants_a_tag(asking: Asking, theirs: Layout) -> None:
    for tag in ("a", "b"):
        image(theirs, AMD, base_files(AMD), {tag: tag}, tag=tag)
    with pytest.raises(UserError, match="no tag was named") as caught:
        asking.get(f"oci:{theirs.root}")
    assert "a, b" in caught.value.next_step
    with pytest.raises(NotFound, match="no 'c'"):
        asking.get(f"oci:{theirs.root}:c")


def test_what_is_no_layout_and_what_is_damaged(asking: Asking, theirs: Layout, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not an OCI layout"):
        asking.get(f"oci:{tmp_path}/nothing")
    one = image(theirs, AMD, base_files(AMD), tag="1")
    layer = theirs.read_manifest(one).layers[0]
    theirs.blob_path(layer.digest).write_bytes(bytes(layer.size))
    with pytest.raises(Corrupt, match="does not have the digest"):
        asking.get(f"oci:{theirs.root}:1")
    theirs.blob_path(layer.digest).unlink()
    with pytest.raises(NotFound, match="blobs/sha256/"):
        asking.get(f"oci:{theirs.root}:1")
    theirs.blob_path(one.digest).write_bytes(b"{}")
    with pytest.raises(Corrupt, match="is damaged"):
        asking.get(f"oci:{theirs.root}:1")


def test_what_is_no_image_is_refused(asking: Asking, theirs: Layout) -> None:
    theirs.put_blob(EMPTY_CONFIG_BYTES)
    theirs.put_manifest(Manifest(EMPTY_CONFIG, (), "application/x"), "artifact")
    with pytest.raises(Refused, match="an artifact of application/x"):
        asking.get(f"oci:{theirs.root}:artifact")
    theirs.put_manifest(Manifest(EMPTY_CONFIG, ()), "empty")
    with pytest.raises(Refused, match="its config is none"):
        asking.get(f"oci:{theirs.root}:empty")


def test_a_registry_that_says_no(asking: Asking, registry: FakeRegistry) -> None:
    with pytest.raises(RegistryRefused, match="404"):
        asking.get(f"{registry.host}/team/base:none")


def test_a_second_look_is_from_the_cache(asking: Asking, theirs: Layout) -> None:
    image(theirs, AMD, base_files(AMD), tag="1")
    name = f"oci:{theirs.root}:1"
    base = asking.get(name)
    kept = asking.home / "cache" / "bases" / f"{base.manifest.digest.hex}-amd64.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    for path in (asking.home / "cache" / "views").glob("*.json"):
        path.unlink()
    assert asking.get(name) == base and not list((asking.home / "cache" / "views").glob("*.json"))
    for damaged in ("", "[1]", "[0, {}]", '[1, {"python": {}}]', json.dumps([1, []])):
        kept.write_text(damaged)
        assert asking.get(name) == base


def found(layout: Layout, files: Mapping[str, bytes | str | Made], env: tuple[str, ...] = ()) -> Python:
    """The Python of a base of these files."""
    view = View(layout, [layer(layout, files)[0]])
    return interpreter.find(view, {"config": {"Env": list(env)}}, AMD, "made-up").python


PATH_CONDA = ("PATH=/opt/conda/bin:/usr/local/bin:/usr/bin",)


@pytest.mark.parametrize(
    ("files", "env", "python"),
    [
        (python_files(AMD, "3.12.0rc1"), (), Python("3.12.0rc1", "/usr/local/bin/python3.12", "glibc", "2.36")),
        (python_files(AMD, libc=("musl", "1.2.4")), (), Python("3.11.2", "/usr/local/bin/python3.11", "musl", "1.2.4")),
        (
            {**python_files(AMD, "3.9.2", folder="usr"), **python_files(AMD)},
            (),
            Python("3.11.2", "/usr/local/bin/python3.11", "glibc", "2.36"),
        ),
        (
            {**python_files(AMD), **python_files(AMD, "3.10.1", folder="opt/conda")},
            PATH_CONDA,
            Python("3.10.1", "/opt/conda/bin/python3.10", "glibc", "2.36"),
        ),
        (
            {**python_files(AMD), "opt/app/bin/python": Made(link="/usr/local/bin/python3")},
            ("PATH=/opt/app/bin",),
            Python("3.11.2", "/usr/local/bin/python3.11", "glibc", "2.36"),
        ),
        (
            {
                **python_files(AMD, "9"),
                "usr/local/bin/python3.11": Made(python_files(AMD, "9")["usr/local/bin/python9"].content),  # type: ignore[union-attr]
            },
            ("PYTHON_VERSION=3.11.7",),
            Python("3.11.7", "/usr/local/bin/python3.11", "glibc", "2.36"),
        ),
        (
            {
                **python_files(AMD, folder="usr"),
                "usr/bin/python2.7": Made(b"old"),
                "usr/bin/python": Made(link="python2.7"),
            },
            (),
            Python("3.11.2", "/usr/bin/python3.11", "glibc", "2.36"),
        ),
    ],
    ids=["candidate", "alpine", "local-first", "conda", "venv", "says-only-in-env", "python2-beside"],
)
def test_interpreters(
    theirs: Layout, files: Mapping[str, bytes | str | Made], env: tuple[str, ...], python: Python
) -> None:
    assert found(theirs, files, env) == python


def test_the_version_may_stand_in_the_library(theirs: Layout) -> None:
    files = python_files(AMD)
    said = files["usr/local/bin/python3.11"]
    assert isinstance(said, Made)
    small = {
        **files,
        "usr/local/bin/python3.11": Made(said.content.replace(b"\x003.11.2\0", b"\0")),
        "usr/local/lib/libpython3.11.so.1.0": bytes((1 << 20) - 3) + b"\x003.11.9\0",  # over the end of a piece
    }
    assert found(theirs, small).version == "3.11.9"


def test_a_version_is_read_whole_where_a_piece_ends_in_it(theirs: Layout) -> None:
    libc = elf(AMD, "GNU C Library (Debian GLIBC) stable release version 2.36.").partition(b"6.")[0]
    padded = bytes(CHUNK - len(libc)) + libc + b"6.\0"
    assert found(theirs, {**SMALL, "lib/x86_64-linux-gnu/libc.so.6": padded}).libc_version == "2.36"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"etc/passwd": PASSWD}, "has no Python on its PATH"),
        ({"usr/bin/python2.7": b"", "usr/bin/python": Made(link="python2.7")}, "only /usr/bin/python2.7"),
        (python_files(AMD, "3.7.3"), "no Python of 3.8 or newer, only /usr/local/bin/python3.7"),
        (python_files(ARM), "is a program for linux/arm64"),
        ({**python_files(AMD), "usr/local/bin/python3.11": "#!/bin/sh"}, "is no program for a machine"),
        ({**python_files(AMD), "lib/x86_64-linux-gnu/libc.so.6": "?"}, "no C library that wheels are made for"),
        ({"usr/bin/python3": Made(link="python3")}, "more than 40 links"),
    ],
)
def test_bases_that_cannot_be_built_on(theirs: Layout, files: Mapping[str, bytes | str | Made], said: str) -> None:
    with pytest.raises(Refused, match=said):
        found(theirs, files)


def test_a_locked_base_that_is_another_one_now_is_refused(asking: Asking, theirs: Layout) -> None:
    locked = image(theirs, AMD, base_files(AMD), {"version": "1"})
    image(theirs, AMD, base_files(AMD), {"version": "2"}, tag="1")
    with pytest.raises(Refused, match=f"and the lock says {locked.digest}") as caught:
        asking.get(f"oci:{theirs.root}:1", digest=locked.digest)
    assert "--upgrade" in caught.value.next_step
