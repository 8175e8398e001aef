"""The layers that are not packages: the user, Shipway itself, a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shipway import __version__
from shipway.errors import Corrupt, Refused
from shipway.image.layer import Entry
from shipway.image.layers import body, user, venv
from shipway.image.layers.model import model_layers
from shipway.image.platform import Python
from shipway.models import Versions
from shipway.models.lineage import Lineage
from shipway.oci import Descriptor, Index, Layout
from shipway.packages.body import PACKAGE, body_files
from shipway.testing.clock import FakeClock
from tests.image.made_layers import base

PASSWD = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"
GROUP = "root:x:0:\nnogroup:x:65534:\n"


def text(entries: tuple[Entry, ...]) -> dict[str, str]:
    return {one.name: bytes(one.content).decode() for one in entries if isinstance(one.content, bytes)}


def test_the_user_is_added_to_the_bases() -> None:
    assert text(user.entries(base(passwd=PASSWD, group=GROUP), 10001)) == {
        "etc/passwd": PASSWD + "shipway:x:10001:10001:shipway:/app:/sbin/nologin\n",
        "etc/group": GROUP + "shipway:x:10001:\n",
    }


def test_a_user_that_is_known_stays() -> None:
    known = base(passwd=PASSWD + "app:x:10001:10001::/:/bin/sh", group=GROUP)
    assert text(user.entries(known, 10001)) == {"etc/group": GROUP + "shipway:x:10001:\n"}
    assert user.entries(base(passwd=PASSWD, group=GROUP), 65534) == ()


def test_a_name_that_is_taken_gets_its_number() -> None:
    taken = base(passwd="shipway:x:5:5::/:/bin/sh\n", group="shipway:x:5:\n")
    found = text(user.entries(taken, 10001))
    assert found["etc/passwd"].endswith("\nshipway-10001:x:10001:10001:shipway:/app:/sbin/nologin\n")
    assert found["etc/group"].endswith("\nshipway-10001:x:10001:\n")


def test_a_base_without_users_gets_root_too() -> None:
    found = text(user.entries(base(), 10001))
    assert [line.partition(":")[0] for line in found["etc/passwd"].splitlines()] == ["root", "shipway"]
    assert [line.partition(":")[0] for line in found["etc/group"].splitlines()] == ["root", "shipway"]


def test_the_skeleton_says_which_python_it_is_of() -> None:
    python = Python("3.12.4", "/usr/local/bin/python3.12", "glibc", "2.36")
    for sees_base in (False, True):
        found = {one.name: one for one in venv.skeleton(python, sees_base)}
        assert found["opt/venv/bin/python"].target == "/usr/local/bin/python3.12"
        settings = dict(line.split(" = ") for line in bytes(found["opt/venv/pyvenv.cfg"].content).decode().splitlines())
        assert settings == {
            "home": "/usr/local/bin",
            "include-system-site-packages": "true" if sees_base else "false",
            "version": "3.12.4",
            "executable": "/usr/local/bin/python3.12",
        }
        assert found["opt/venv/lib/python3.12/site-packages/shipway.pth"].content == b"/opt/shipway\n"


def test_the_runtime_and_nothing_else() -> None:
    names = {one.name for one in body.entries(PACKAGE) if one.kind == "file"}
    assert names == {f"opt/shipway/shipway/{name}" for name in body_files(PACKAGE)}
    assert "opt/shipway/shipway/__init__.py" in names
    assert all(name.count("/") == 3 or name.startswith("opt/shipway/shipway/runtime/") for name in names)
    assert not [name for name in names if "__pycache__" in name]


def test_the_whole_package_is_an_installed_one() -> None:
    found = {one.name: one for one in body.whole(PACKAGE)}
    info = f"opt/shipway/shipway-{__version__}.dist-info"
    metadata = bytes(found[f"{info}/METADATA"].content).decode()
    assert f"\nName: shipway\nVersion: {__version__}\nRequires-Dist: aiohttp" in metadata
    assert "extra ==" not in metadata
    assert found["opt/venv/bin/shipway"].executable
    assert "opt/shipway/shipway/cli/main.py" in found
    assert not [name for name in found if name.startswith("opt/shipway/shipway/testing")]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "oci")


def packed(layout: Layout, tmp_path: Path, *names: str, form: str = "tar") -> Descriptor:
    folder = tmp_path / "files"
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    versions = Versions(layout, FakeClock())
    made = versions.pack("digits", folder, Lineage(origin="import"), form=form)  # type: ignore[arg-type]
    return layout.resolve(f"digits:{made.number}")


def test_a_model_is_its_own_blobs_and_links(layout: Layout, tmp_path: Path) -> None:
    version = packed(layout, tmp_path, "model.joblib", "vocabulary/words.txt")
    layers, links = model_layers(layout, version, base(), tmp_path / "cache")
    stored = {one.digest for one in layout.read_manifest(layout.read_index(version).manifests[0]).layers}
    assert {one.descriptor.digest for one in layers} == stored
    assert all(one.descriptor.media_type == "application/vnd.oci.image.layer.v1.tar" for one in layers)
    assert [one.diff_id for one in layers] == [one.descriptor.digest for one in layers]
    assert {one.name: one.target for one in links if one.kind == "link"} == {
        "model/model.joblib": "../model.joblib",
        "model/vocabulary/words.txt": "../../vocabulary/words.txt",
    }
    assert {one.name for one in links if one.kind == "folder"} == {"model", "model/vocabulary"}


@pytest.mark.parametrize("name", ["etc/passwd", "bin", "model/weights.bin", "app/main.py", "opt"])
def test_a_file_in_the_place_of_the_bases_is_refused(layout: Layout, tmp_path: Path, name: str) -> None:
    version = packed(layout, tmp_path, "model.joblib", name)
    with pytest.raises(Refused, match=f"would lie where .* has its own '{name.partition('/')[0]}'"):
        model_layers(layout, version, base())


def test_a_version_without_an_image_is_refused(layout: Layout, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no image for linux/amd64: it was packed with --raw"):
        model_layers(layout, packed(layout, tmp_path, "model.joblib", form="raw"), base())


def test_a_config_that_does_not_fit_its_layers_is_damaged(layout: Layout, tmp_path: Path) -> None:
    version = packed(layout, tmp_path, "model.joblib")
    index = layout.read_index(version)
    twin = layout.read_manifest(index.manifests[1])
    config = layout.put_blob(json.dumps({"rootfs": {"diff_ids": []}}).encode(), twin.config.media_type)
    other = layout.put_manifest(type(twin)(config=config, layers=twin.layers))
    platform = {"platform": {"architecture": "amd64", "os": "linux"}}
    listed = layout.put_index(Index((Descriptor(other.media_type, other.digest, other.size, extra=platform),)))
    with pytest.raises(Corrupt, match=r"the config .* is damaged"):
        model_layers(layout, listed, base())
