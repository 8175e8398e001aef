"""Programs that others wrote read our layers: skopeo, umoci and tar find in them what we put there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from shipway.image.layer import Compression, Entry, Layer
from shipway.image.layers import body, user, venv
from shipway.image.layers.write import write
from shipway.packages.body import PACKAGE
from tests.image.made_layers import Workshop, base, contents, image, odd, tar_of
from tests.image.made_wheels import DEBIAN, Place

pytestmark = [
    pytest.mark.realtool,
    pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed"),
    pytest.mark.skipif(shutil.which("umoci") is None, reason="umoci is not installed"),
]


def run(*command: str | Path) -> str:
    done = subprocess.run([str(one) for one in command], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def layers(workshop: Workshop, place: Place, compression: Compression) -> tuple[Layer, ...]:
    several: list[tuple[str, tuple[Entry, ...]]] = [
        ("environment", venv.skeleton(DEBIAN.python, system_site=False)),
        ("runtime", body.entries(PACKAGE)),
        ("user", user.entries(base(), 10001)),
    ]
    with workshop.layout.lease("test") as lease:
        made = [write(entries, workshop.layout, lease, compression, title) for title, entries in several]
    return (*made, *workshop.layers(odd(place), compression=compression))


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_skopeo_copies_and_verifies(place: Place, workshop: Workshop, tmp_path: Path, compression: Compression) -> None:
    """It decompresses each layer, and names what comes out by its digest."""
    made = layers(workshop, place, compression)
    image(workshop.layout, made, "image")
    places = f"oci:{workshop.layout.root}:image", f"dir:{tmp_path}/to"
    run("skopeo", "--insecure-policy", "copy", "--dest-decompress", *places)
    assert {one.diff_id.hex for one in made} <= {path.name for path in (tmp_path / "to").iterdir()}


def test_umoci_unpacks_what_we_put_there(place: Place, workshop: Workshop, tmp_path: Path) -> None:
    made = layers(workshop, place, "gzip")
    image(workshop.layout, made, "image")
    options = () if os.geteuid() == 0 else ("--rootless",)
    run("umoci", "unpack", *options, "--image", f"{workshop.layout.root}:image", tmp_path / "bundle")
    root = tmp_path / "bundle/rootfs"
    expected = {name: what for one in made for name, what in contents(workshop.layout, one).items()}
    found = {path.relative_to(root).as_posix() for path in root.rglob("*")}
    assert found == {*expected, "etc"}  # which the base has
    for name, what in expected.items():
        path = root / name
        assert (path.is_symlink() and str(path.readlink())) == what or path.is_dir() or path.read_bytes() == what


def test_tar_lists_owners_modes_and_times(place: Place, workshop: Workshop, tmp_path: Path) -> None:
    [layer] = workshop.layers(odd(place))
    (tmp_path / "layer.tar").write_bytes(tar_of(workshop.layout, layer))
    lines = run("tar", "--utc", "--numeric-owner", "-tvf", tmp_path / "layer.tar").splitlines()
    assert {tuple(line.split()[:2]) for line in lines} == {
        ("drwxr-xr-x", "0/0"),
        ("-rw-r--r--", "0/0"),
        ("-rwxr-xr-x", "0/0"),
    }
    assert {line.split()[3] for line in lines} == {"1970-01-01"}
