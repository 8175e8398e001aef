"""Files that others made: archives, folders with links, shipway.yaml, what a job leaves behind. Nothing leads out."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shipway.controllers.metrics import metrics_of_file
from shipway.errors import Corrupt, InvalidObject, Refused, UserError
from shipway.models import Lineage, Versions
from shipway.oci import Layout
from shipway.oci.unpack import extract
from shipway.project import from_text
from shipway.testing.clock import FakeClock

SECRET = "canary-5f0c2f9e"

JOB = "apiVersion: shipway.dev/v1alpha1\nkind: ModelJob\nmetadata: {name: a}\nspec:\n  command: [python, train.py]\n"
SERVICE = "apiVersion: shipway.dev/v1alpha1\nkind: ModelService\nmetadata: {name: a}\nspec:\n  model: a\n"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder with a secret, beside the one that the test works in (``tmp_path/inside``)."""
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "train.py").write_text("")
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.py").write_text(SECRET)
    return folder


# -- archives


def archive(name: str, pax: dict[str, str] | None = None, content: bytes = b"x", **header: object) -> bytes:
    """A tar with one member, and with PAX headers that may say something else."""
    member = tarfile.TarInfo(name)
    member.size, member.pax_headers = len(content), pax or {}
    for field, value in header.items():
        setattr(member, field, value)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT) as tar:
        tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def compressed(how: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{how}") as tar:  # type: ignore[call-overload]
        member = tarfile.TarInfo("zeros")
        member.size = 1 << 20
        tar.addfile(member, io.BytesIO(bytes(member.size)))
    return out.getvalue()


@pytest.mark.parametrize(
    "tar",
    [
        pytest.param(archive("fine", {"path": "../outside/evil"}), id="PAX path that leaves"),
        pytest.param(archive("fine", {"path": "/tmp/evil"}), id="absolute PAX path"),
        pytest.param(archive("fine", {"size": "99999999999999"}), id="PAX size that lies"),
        pytest.param(archive("fine", {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}), id="PAX sparse"),
        pytest.param(archive("fine", {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(2**60)}), id="PAX sparse map"),
        pytest.param(archive("a/" * 90 + "../" * 100 + "evil"), id="long name that leaves"),
        pytest.param(archive("fine", type=tarfile.GNUTYPE_SPARSE), id="GNU sparse"),
        pytest.param(archive("fine", type=tarfile.CONTTYPE), id="contiguous"),
        pytest.param(archive("fine", type=b"Z"), id="unknown type"),
        pytest.param(archive("fine")[:700], id="cut"),
        pytest.param(archive("n" * 300), id="name that no disk takes"),
        pytest.param(compressed("gz"), id="gzip bomb"),
        pytest.param(compressed("xz"), id="xz bomb"),
    ],
)
def test_a_hostile_archive_becomes_an_error_and_no_file(outside: Path, tar: bytes) -> None:
    into = outside.parent / "inside" / "new"
    with pytest.raises((Refused, Corrupt, OSError)):
        extract(io.BytesIO(tar), ".tar", into)
    assert sorted(one.name for one in outside.iterdir()) == ["secret.py"]
    assert sum(one.stat().st_size for one in into.rglob("*") if one.is_file()) <= len(tar)


@pytest.mark.parametrize("name", ["．．／evil", "..\\evil", "%2e%2e%2fevil", "C:evil", "~evil"])  # noqa: RUF001
def test_a_strange_name_is_a_plain_name(outside: Path, name: str) -> None:
    into = outside.parent / "inside" / "new"
    extract(io.BytesIO(archive(name)), ".tar", into)
    assert [one.name for one in into.iterdir()] == [name]


# -- source folders and shipway.yaml


@pytest.mark.parametrize(
    ("spec", "links"),
    [
        pytest.param(JOB, {"link.py": "../outside/secret.py"}, id="link to a file outside"),
        pytest.param(JOB, {"data": "../outside"}, id="link to a folder outside"),
        pytest.param(JOB, {"passwd": "/etc/passwd"}, id="absolute link"),
        pytest.param(JOB, {"a": "b", "b": "/etc/passwd"}, id="link to a link"),
        pytest.param(JOB, {"loop": "loop"}, id="link to itself"),
        pytest.param(JOB, {"up": ".."}, id="link to the folder above"),
        pytest.param(JOB, {"here": "."}, id="link to the folder that holds it"),
        pytest.param(JOB, {"mem": "/proc/self/environ"}, id="link into /proc"),
        pytest.param(JOB + "  source: {files: [../outside/secret.py]}\n", {}, id="file that leaves"),
        pytest.param(JOB + "  source: {files: [/etc/passwd]}\n", {}, id="absolute file"),
        pytest.param(JOB + "  source: {files: ['../**']}\n", {}, id="glob that leaves"),
        pytest.param(JOB + "  source: {files: ['{..,x}/*', 'x/../../outside/*']}\n", {}, id="glob that leaves later"),
        pytest.param(SERVICE + "  predictor: ../outside/secret.py:P\n", {}, id="predictor that leaves"),
        pytest.param(SERVICE + "  predictor: /etc/passwd.py:P\n", {}, id="absolute predictor"),
        pytest.param(SERVICE + "  predictor: link.py:P\n", {"link.py": "../outside/secret.py"}, id="linked predictor"),
        pytest.param(JOB + "  requirements: ../outside/secret.py\n", {}, id="requirements that leave"),
        pytest.param(JOB + "  requirements: /etc/passwd\n", {}, id="absolute requirements"),
        pytest.param(
            JOB + "  source: {files: [train.py]}\n",
            {"requirements.txt": "../outside/secret.py"},
            id="linked requirements",
        ),
    ],
)
def test_a_project_reads_nothing_outside_of_its_folder(outside: Path, spec: str, links: dict[str, str]) -> None:
    folder = outside.parent / "inside"
    for name, target in links.items():
        (folder / name).symlink_to(target)
    with pytest.raises(InvalidObject) as told:
        from_text(spec, folder / "shipway.yaml")
    assert SECRET not in str(told.value)
    assert "root:" not in str(told.value)


def test_an_input_is_the_one_thing_that_may_lie_elsewhere(outside: Path) -> None:
    """Data sets do; but what is taken is the folder that was named, and no link in it leads further."""
    folder = outside.parent / "inside"
    spec = JOB + "  inputs: {data: ../outside}\n"
    assert len(from_text(spec, folder / "shipway.yaml").snapshots) == 2
    (outside / "link").symlink_to("/etc/passwd")
    with pytest.raises(InvalidObject, match="outside"):
        from_text(spec, folder / "shipway.yaml")


def test_an_ignore_file_elsewhere_is_not_shown(outside: Path) -> None:
    folder = outside.parent / "inside"
    (outside / "secret.py").write_text(f"[{SECRET}\n[z-a]\n")
    (folder / ".shipwayignore").symlink_to(outside / "secret.py")
    with pytest.raises(UserError) as told:
        from_text(JOB, folder / "shipway.yaml")
    assert SECRET not in str(told.value)


# -- what a job leaves behind


def pack(folder: Path, work: Path) -> None:
    lineage = Lineage(run="a-1", job="a", created_at=datetime(2026, 1, 1, tzinfo=UTC))
    Versions(Layout(work / "oci"), FakeClock()).pack("a", folder, lineage)


@pytest.mark.parametrize(
    "target", ["../outside/secret.py", "../outside", "/etc/passwd", "/proc/self/environ", ".", "link"]
)
def test_an_output_with_a_link_that_leaves_is_refused(outside: Path, target: str) -> None:
    folder = outside.parent / "inside"
    (folder / "link").symlink_to(target)
    with pytest.raises(UserError, match="link"):
        pack(folder, outside.parent)
    blobs = outside.parent / "oci" / "blobs"
    assert not any(SECRET.encode() in one.read_bytes() for one in blobs.rglob("*") if one.is_file())


def fifo(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def link(path: Path, outside: Path) -> None:
    (outside / "metrics.json").write_text('{"accuracy": 1.0}')
    path.symlink_to(outside / "metrics.json")


def endless(path: Path, outside: Path) -> None:
    path.symlink_to("/dev/zero")


def huge(path: Path, outside: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


def deep(path: Path, outside: Path) -> None:
    path.write_text("[" * 100_000)


def folder(path: Path, outside: Path) -> None:
    path.mkdir()


@pytest.mark.timeout(10)
@pytest.mark.parametrize("make", [fifo, link, endless, huge, deep, folder])
def test_strange_metrics_neither_hold_nor_fill_the_hub(outside: Path, make: Callable[[Path, Path], None]) -> None:
    inside = outside.parent / "inside"
    make(inside / "metrics.json", outside)
    assert metrics_of_file(inside) == {}
