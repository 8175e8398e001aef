"""Bases from archives: those of OCI, those that Docker saves, and those that somebody made to do harm."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from shipway.errors import Corrupt, NotFound, Refused, ShipwayError, UserError
from shipway.image.platform import Platform
from shipway.oci import Layout, archive
from shipway.transfer import silent
from tests.image.bases.conftest import Asking
from tests.image.made_base import Files, Made, base_files, image, index, tar

AMD, ARM = Platform("amd64"), Platform("arm64")
LAYER = tar(base_files(AMD))
DIFF_ID = f"sha256:{hashlib.sha256(LAYER).hexdigest()}"


def saved(path: Path, *, more: Files | None = None, **changes: Any) -> Path:
    """An archive as `podman save` writes it; ``changes`` to its one image."""
    config = {**AMD.document(), "config": {}, "rootfs": {"type": "layers", "diff_ids": [DIFF_ID]}}
    said = {"Config": "c.json", "RepoTags": ["localhost/base:1"], "Layers": ["layer.tar"], **changes}
    files: dict[str, bytes | str | Made] = {"layer.tar": LAYER, "c.json": json.dumps(config)}
    path.write_bytes(tar({**files, "manifest.json": json.dumps([said]), **(more or {})}))
    return path


def test_an_oci_archive(asking: Asking, theirs: Layout, tmp_path: Path) -> None:
    images = {one: image(theirs, one, base_files(one)) for one in (AMD, ARM)}
    archive.write(theirs, index(theirs, images), "1", tmp_path / "base.tar", silent)
    for name in (f"tar:{tmp_path}/base.tar", f"tar:{tmp_path}/base.tar:1"):
        assert asking.get(name, "arm64").manifest.digest == images[ARM].digest
    with pytest.raises(NotFound, match="no '2'"):
        asking.get(f"tar:{tmp_path}/base.tar:2")


def test_a_docker_archive_becomes_the_same_manifest_every_time(asking: Asking, tmp_path: Path) -> None:
    first = asking.get(f"tar:{saved(tmp_path / 'a.tar')}")
    again = asking.get(f"tar:{saved(tmp_path / 'b.tar', RepoTags=None, more={'repositories': '{}'})}")
    assert first.manifest == again.manifest
    assert [str(one.digest) for one in first.layers] == [DIFF_ID], "as it is in the archive"
    assert first.python.version == "3.11.2" and first.config["config"] == {}
    assert asking.get(f"tar:{tmp_path}/a.tar:localhost/base:1").manifest == first.manifest


def test_layers_that_are_links_or_compressed(asking: Asking, tmp_path: Path) -> None:
    linked: Files = {"x/layer.tar": Made(link="../layer.tar"), "y/layer.tar": Made(hard="x/layer.tar")}
    for name in ("x/layer.tar", "y/layer.tar", "./layer.tar"):
        base = asking.get(f"tar:{saved(tmp_path / 'a.tar', more=linked, Layers=[name])}")
        assert str(base.layers[0].digest) == DIFF_ID
    packed = asking.get(f"tar:{saved(tmp_path / 'a.tar', more={'l.gz': gzip.compress(LAYER)}, Layers=['l.gz'])}")
    assert packed.layers[0].media_type.endswith("+gzip")


def test_several_images_want_a_tag(asking: Asking, tmp_path: Path) -> None:
    one = {"Config": "c.json", "Layers": ["layer.tar"]}
    both = json.dumps([{**one, "RepoTags": ["a:1"]}, {**one, "RepoTags": ["b:2"]}])
    path = saved(tmp_path / "a.tar", more={"manifest.json": both})
    with pytest.raises(UserError, match="2 images of the archive are meant") as caught:
        asking.get(f"tar:{path}")
    assert "a:1, b:2" in caught.value.next_step
    assert asking.get(f"tar:{path}:2").manifest == asking.get(f"tar:{path}:a:1").manifest


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"Layers": ["none.tar"]}, NotFound, "has no none.tar"),
        ({"Layers": []}, Corrupt, "0 layers, and its config tells of 1"),
        ({"Layers": ["c.json"]}, Corrupt, "and the image's config says"),
        ({"Layers": None}, Corrupt, "is not an archive of `docker save`"),
        ({"RepoTags": 5, "Layers": []}, Corrupt, "0 layers, and its config tells of 1"),
        ({"Config": "layer.tar"}, Corrupt, "is not an archive of `docker save`"),
        ({"Config": "../../../../etc/passwd"}, NotFound, "has no"),
        ({"Layers": ["/etc/passwd"]}, NotFound, "has no"),
    ],
)
def test_archives_that_are_not_whole(
    asking: Asking, tmp_path: Path, changes: Mapping[str, Any], error: type[ShipwayError], said: str
) -> None:
    with pytest.raises(error, match=said):
        asking.get(f"tar:{saved(tmp_path / 'a.tar', **changes)}")


@pytest.mark.parametrize(
    ("more", "error", "said"),
    [
        ({"../evil": "x"}, Refused, "leaves the folder"),
        ({"/etc/evil": "x"}, Refused, "leaves the folder"),
        ({"manifest.json": "nonsense"}, Corrupt, "is not an archive"),
        ({"manifest.json": "[[[["}, Corrupt, "is not an archive"),
        ({"manifest.json": " " * (9 << 20)}, Refused, "more than"),
        ({"manifest.json": Made(link="c.json")}, Corrupt, "is not an archive"),
        ({"a": Made(link="b"), "b": Made(link="a"), "manifest.json": Made(link="a")}, NotFound, "has no manifest.json"),
        ({"index.json": "{}"}, Corrupt, "index.json"),
    ],
)
def test_hostile_archives(asking: Asking, tmp_path: Path, more: Files, error: type[ShipwayError], said: str) -> None:
    path = saved(tmp_path / "a.tar", more=more)
    with pytest.raises(error, match=said):
        asking.get(f"tar:{path}")
    assert not list(asking.layout.tags())


def test_what_is_no_archive(asking: Asking, tmp_path: Path) -> None:
    plain = saved(tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(plain))
    (tmp_path / "half.tar").write_bytes(plain[: len(plain) // 2])
    (tmp_path / "text").write_text("no archive " * 100)
    with tarfile.open(tmp_path / "empty.tar", "w"):
        pass
    with pytest.raises(UserError, match="is compressed"):
        asking.get(f"tar:{tmp_path}/a.tar.gz")
    for name in ("half.tar", "text"):
        with pytest.raises(Corrupt, match="not a whole tar"):
            asking.get(f"tar:{tmp_path}/{name}")
    with pytest.raises(NotFound, match=r"has no index.json"):
        asking.get(f"tar:{tmp_path}/empty.tar")
    for name in ("nothing", ""):
        with pytest.raises(UserError, match="cannot be read"):
            asking.get(f"tar:{tmp_path}/{name}")


def test_an_index_within_itself_ends(asking: Asking, theirs: Layout, tmp_path: Path) -> None:
    found = index(theirs, {AMD: image(theirs, AMD, base_files(AMD))})
    for _ in range(5):
        found = index(theirs, {AMD: found})
    theirs.tag(found, "deep")
    with pytest.raises(Refused, match="indexes within each other"):
        asking.get(f"oci:{theirs.root}:deep")
