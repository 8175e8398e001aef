"""Packages become layers: only what came with the wheels, installed once, and the same whatever else is installed."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from email import message_from_string
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from shipway.errors import Refused, UserError
from shipway.image.layer import Compression, PackageFacts
from shipway.image.layers import compress, venv
from shipway.image.layers.write import arranged, pieces
from shipway.image.lock import File, Package
from shipway.image.packages import wheels
from shipway.image.packages.installed import Installed, read
from shipway.image.platform import Platform, Python, Target
from shipway.oci import Digest
from tests.image.made_layers import Workshop, contents, odd, tar_of, wheel
from tests.image.made_wheels import DEBIAN, Place

SITE = "opt/venv/lib/python3.11/site-packages"
TAR = Digest("sha256:a671dc2f36e8af222182d4a5e54b84403a3cb3ba2d45bf747d013cd2d7797513")
GOLDEN = {
    "zstd 1.5.7 level 6 block 4194304": "sha256:27b52f29965409b749b285a7187387d6562af5b6ebfa6be79c238d45c7b62b96",
    "zlib 1.2.13 level 6 block 4194304": "sha256:13264ffc534ea078412819f521ef5ffda7b884d02642cf64d13ac7b807578e2f",
}


WHOLE_TEXT = f"Copyright me\n        {'word ' * 99}"


def large(one: Package) -> Package:
    """As if its wheel were: it gets a layer of its own."""
    assert one.wheel is not None
    return replace(one, wheel=replace(one.wheel, size=100 << 20))


def unpacked(root: Path, files: Mapping[str, str], *recorded: str) -> Installed:
    """The package ``evil`` as uv leaves it, with these files below the prefix, and more that its RECORD names."""
    prefix = root / "prefix"
    info = prefix / "lib/python3.11/site-packages/evil-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    for name, text in files.items():
        (prefix / name).parent.mkdir(parents=True, exist_ok=True)
        (prefix / name).write_text(text)
    lines = (*(f"../../../{name}" for name in files), *recorded)
    (info / "RECORD").write_text("".join(f"{one},,\n" for one in lines))
    return read(prefix)["evil"]


def record(found: Mapping[str, object], info: str) -> dict[str, tuple[str, str]]:
    text = found[f"{SITE}/{info}/RECORD"]
    assert isinstance(text, bytes)
    return {row[0]: (row[1], row[2]) for row in csv.reader(io.StringIO(text.decode()))}


def test_a_wheel_with_everything(place: Place, workshop: Workshop) -> None:
    [layer] = workshop.layers(odd(place))
    found = contents(workshop.layout, layer)
    files = {name: text for name, text in found.items() if isinstance(text, bytes)}
    assert sorted(files) == sorted(
        {
            "opt/venv/bin/odd",
            "opt/venv/bin/oddly",
            "opt/venv/bin/oddw",
            "opt/venv/bin/shelly",
            "opt/venv/include/site/python3.11/odd/odd.h",
            "opt/venv/lib/libodd.so",
            f"{SITE}/odd-1.0.dist-info/METADATA",
            f"{SITE}/odd-1.0.dist-info/RECORD",
            f"{SITE}/odd-1.0.dist-info/WHEEL",
            f"{SITE}/odd-1.0.dist-info/entry_points.txt",
            f"{SITE}/odd.py",
            f"{SITE}/odd/__init__.py",
            f"{SITE}/odd/{'long' * 30}.txt",
            f"{SITE}/odd/naïve, name.txt",
            f"{SITE}/oddly_pure.py",
            "opt/venv/share/odd/data.txt",
        }
    )
    assert files["opt/venv/bin/oddly"] == b"#!/opt/venv/bin/python\nprint(1)\n"
    assert files["opt/venv/bin/shelly"] == b"#!/bin/sh\necho\n"
    assert b"from odd import a\n" in files["opt/venv/bin/oddw"]
    assert b"sys.exit(a.b())\n" in files["opt/venv/bin/oddw"]
    assert str(place.folder.parent).encode() not in tar_of(workshop.layout, layer)
    assert os.fsencode(sys.executable) not in tar_of(workshop.layout, layer)


def test_record_names_what_is_there(place: Place, workshop: Workshop) -> None:
    [layer] = workshop.layers(odd(place))
    found = contents(workshop.layout, layer)
    rows = record(found, "odd-1.0.dist-info")
    for name, (digest, size) in rows.items():
        content = found[os.path.normpath(f"{SITE}/{name}")]
        assert isinstance(content, bytes)
        if name != "odd-1.0.dist-info/RECORD":
            assert (digest.partition("=")[0], size) == ("sha256", str(len(content))), name
    assert "../../../bin/odd" in rows
    assert rows["odd-1.0.dist-info/RECORD"] == ("", "")
    assert len(rows) == 16


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_the_bytes_of_a_wheel_are_known(place: Place, workshop: Workshop, compression: Compression) -> None:
    [layer] = workshop.layers(odd(place), compression=compression)
    assert layer.diff_id == TAR
    assert GOLDEN.get(compress.method(compression), layer.descriptor.digest) == layer.descriptor.digest
    assert layer.created_by == "odd 1.0"


def test_for_another_python_and_machine(place: Place, tmp_path: Path, workshop: Workshop) -> None:
    workshop.target = Target(Platform("arm64"), Python("3.12.4", "/usr/bin/python3.12", "glibc", "2.36"))
    [layer] = workshop.layers(odd(place))
    names = contents(workshop.layout, layer).keys()
    assert "opt/venv/lib/python3.12/site-packages/odd/__init__.py" in names
    assert "opt/venv/include/site/python3.12/odd/odd.h" in names
    assert not [name for name in names if "3.11" in name]


def test_facts(place: Place, workshop: Workshop) -> None:
    one = odd(place)
    [layer] = workshop.layers(one)
    assert one.wheel is not None
    [facts] = layer.packages
    assert facts == PackageFacts("odd", "1.0", one.wheel.name, one.wheel.sha256, size=facts.size)
    assert facts.size > 300


def test_only_what_is_not_cached_is_installed(place: Place, workshop: Workshop) -> None:
    torch, flask, click = large(wheel(place, "torch")), wheel(place, "flask"), wheel(place, "click")
    first = workshop.layers(click, flask, torch, runtime=frozenset({"click"}))
    assert [one.created_by for one in first] == ["torch 1.0", "click 1.0", "flask 1.0"]
    assert workshop.layers(click, flask, torch, runtime=frozenset({"click"})) == first
    newer = wheel(place, "flask", "2.0")
    second = workshop.layers(click, newer, torch, runtime=frozenset({"click"}))
    assert second[:2] == first[:2]
    assert workshop.installer.asked == [["torch", "click", "flask"], ["flask"]]
    assert not list(workshop.room.iterdir())


def test_a_layer_whose_blob_is_gone_is_made_again(place: Place, workshop: Workshop) -> None:
    one = wheel(place, "one")
    [first] = workshop.layers(one)
    workshop.layout.blob_path(first.descriptor.digest).unlink()
    assert workshop.layers(one) == (first,)
    assert len(workshop.installer.asked) == 2


def test_a_damaged_note_counts_as_none(place: Place, workshop: Workshop) -> None:
    one = wheel(place, "one")
    [first] = workshop.layers(one)
    [note] = (workshop.root / "cache").glob("*.json")
    whole = note.read_bytes()
    with workshop.layout.lease("test") as lease:
        for damage in (b"", b"{", b"[]", b"null", b'{"descriptor": {}}', b"\x80", b"[" * 100_000, whole[:-1]):
            note.write_bytes(damage)
            assert workshop.cache.get(note.stem, lease) is None, damage[:20]
    assert workshop.layers(one) == (first,)
    assert note.read_bytes() == whole


def test_two_packages_that_write_one_file(place: Place, workshop: Workshop) -> None:
    """Which of them is on the disk is chance; each layer has its own, and the last layer, or name, has it."""
    shared = {"tests/__init__.py": "", "docs/same.txt": "same"}
    ones = [wheel(place, name, files={**shared, "tests/data.txt": name}) for name in ("first", "second", "third")]
    together = workshop.layers(*ones)
    assert contents(workshop.layout, together[0])[f"{SITE}/tests/data.txt"] == b"third"
    apart = workshop.layers(*map(large, ones))
    found = [contents(workshop.layout, one)[f"{SITE}/tests/data.txt"] for one in apart]
    assert found == [b"first", b"second", b"third"]
    alone = Workshop(workshop.root / "other", workshop.installer)
    assert alone.layers(large(ones[0]))[0] == apart[0]


def test_equal_files_of_two_packages_need_no_second_look(place: Place, workshop: Workshop) -> None:
    workshop.layers(*(wheel(place, name, files={"tests/__init__.py": ""}) for name in ("first", "second")))
    assert len(workshop.installer.asked) == 1


def test_a_file_that_no_record_names_is_its_packages(place: Place, workshop: Workshop) -> None:
    files = {"bad_extra/__init__.py": "", "bad_extra/more.txt": "more"}
    layers = workshop.layers(wheel(place, "bad", files=files, unrecorded=tuple(files)), wheel(place, "good"))
    found = contents(workshop.layout, layers[0])
    assert found[f"{SITE}/bad_extra/more.txt"] == b"more"
    assert "bad_extra/more.txt" in record(found, "bad-1.0.dist-info")
    assert "bad_extra/more.txt" not in record(found, "good-1.0.dist-info")


@pytest.mark.parametrize(
    "name, value",
    [("../../etc/cron", "odd:main"), ("x", "odd:main; import os"), ("x", "os"), ("x", "a b:c"), ("..", "a:b")],
)
def test_an_entry_point_that_is_no_program_is_refused(place: Place, name: str, value: str) -> None:
    with pytest.raises(Refused, match="the package evil has the entry point"):
        wheels.program(EntryPoint(name, value, "console_scripts"), "evil")


@pytest.mark.parametrize("name, whose", [("pyvenv.cfg", r"pyvenv\.cfg"), ("bin/python/x", "bin/python")])
def test_a_file_in_the_place_of_the_environment_is_refused(tmp_path: Path, name: str, whose: str) -> None:
    found = unpacked(tmp_path, {name: "evil"})
    with pytest.raises(Refused, match=rf"place of the environment's own /opt/venv/{whose}"):
        list(wheels.entries_of(found, DEBIAN.python))


def test_what_lies_in_lib64_lies_in_lib_as_everywhere_in_an_environment(tmp_path: Path) -> None:
    found = unpacked(tmp_path, {"lib64/libfast.so": ""})
    names = [one.name for one in wheels.entries_of(found, DEBIAN.python)]
    assert "opt/venv/lib/libfast.so" in names


@pytest.mark.parametrize("name", ["../../../../evil", "../../../../lib/../../evil", "/etc/cron.d/evil"])
def test_a_record_that_leads_out_of_the_environment_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused, match="the package evil names a file outside of its environment"):
        unpacked(tmp_path, {}, name)


@pytest.mark.parametrize(
    "script, expected",
    [
        (b"#!/home/me/.venv/bin/python\nx", b"#!/opt/venv/bin/python\nx"),
        (b"#!/usr/bin/python3.11 -E\nx", b"#!/opt/venv/bin/python -E\nx"),
        (b"#!/bin/sh\n'''exec' '/a b/python' \"$0\" \"$@\"\n' '''\nx", b"#!/opt/venv/bin/python\nx"),
        (b"#!/usr/bin/env python3\nx", None),
        (b"#!/bin/sh\npython\n", None),
        (b"#!/usr/bin/pythonista\n", None),
        (b"\x7fELF", None),
        (b"", None),
    ],
)
def test_scripts_get_the_images_python(tmp_path: Path, script: bytes, expected: bytes | None) -> None:
    (tmp_path / "script").write_bytes(script)
    assert wheels.rewritten(tmp_path / "script") == expected


@pytest.mark.parametrize(
    "text, licence",
    [
        ("License-Expression: MIT OR Apache-2.0\nLicense: other", "MIT OR Apache-2.0"),
        ("License: BSD 3-Clause\nClassifier: License :: OSI Approved :: BSD License", "BSD 3-Clause"),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License", "MIT License"),
        ("Classifier: License :: OSI Approved\nClassifier: License :: Public Domain", "Public Domain"),
        (
            f"License: Copyright me\n        {'word ' * 99}\nClassifier: License :: OSI Approved :: MIT License",
            "MIT License",
        ),
        (f"License: {WHOLE_TEXT}", "Copyright me"),
        ("Name: none", ""),
    ],
)
def test_licences(text: str, licence: str) -> None:
    assert wheels.licence(message_from_string(text)) == licence


def test_bytecode(place: Place, workshop: Workshop) -> None:
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    site, tag = f"opt/venv/lib/python{ours}/site-packages", sys.implementation.cache_tag
    workshop.target = replace(DEBIAN, python=replace(DEBIAN.python, version=f"{ours}.0"))
    one = wheel(place, "one", files={"broken.py": "def"})
    plain = workshop.layers(one)
    [layer] = workshop.layers(one, bytecode=True)
    assert [layer] != list(plain)
    found = contents(workshop.layout, layer)
    code = found[f"{site}/__pycache__/one.{tag}.pyc"]
    assert isinstance(code, bytes)
    assert code[4:8] == b"\1\0\0\0"  # PEP 552: by hash, unchecked
    assert not [name for name in found if "broken" in name and name.endswith(".pyc")]
    other = replace(workshop, root=workshop.root / "other")
    assert other.layers(one, bytecode=True) == (layer,)


def test_bytecode_of_another_python_is_refused(place: Place, workshop: Workshop) -> None:
    workshop.target = replace(DEBIAN, python=replace(DEBIAN.python, version="3.9.1"))
    with pytest.raises(UserError, match=r"bytecode for Python 3\.9 cannot be made"):
        workshop.layers(wheel(place, "one"), bytecode=True)
    assert not workshop.installer.asked


def test_what_cannot_be_installed_leaves_nothing(place: Place, workshop: Workshop) -> None:
    with pytest.raises(Exception, match="missing"):
        workshop.layers(Package("missing", "1.0", File("missing-1.0-py3-none-any.whl", "0" * 64)))
    assert not list(workshop.room.iterdir())


@pytest.mark.slow
def test_python_runs_in_the_environment(place: Place, tmp_path: Path, workshop: Workshop) -> None:
    """The skeleton and a package, unpacked: the real interpreter takes them for a virtual environment."""
    base = Path(sysconfig.get_config_var("BINDIR"), f"python{sys.version_info.major}.{sys.version_info.minor}")
    python = Python(sysconfig.get_python_version() + ".0", str(base), "glibc", "2.36")
    workshop.target = replace(DEBIAN, python=python)
    [layer] = workshop.layers(odd(place))
    root = tmp_path / "root"
    skeleton = b"".join(pieces(arranged(venv.skeleton(python, system_site=False))))
    for data in (skeleton, tar_of(workshop.layout, layer)):
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            archive.extractall(root, filter="fully_trusted")
    code = (
        "import importlib.metadata as m, sys, odd, oddly_pure; d = m.distribution('odd');"
        "print(d.version, sys.prefix, len(d.files), all(f.locate().exists() for f in d.files))"
    )
    done = subprocess.run([root / "opt/venv/bin/python", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1.0", str(root / "opt/venv"), "16", "True"]
    program = (root / "opt/venv/bin/odd").read_text()
    assert program.startswith("#!/opt/venv/bin/python\n")
    done = subprocess.run(
        [root / "opt/venv/bin/python", root / "opt/venv/bin/odd"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "odd\n"
