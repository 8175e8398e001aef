"""A merged file system is what overlayfs would show, and nothing that a stranger writes leads out of it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import zstandard

from shipway.errors import Corrupt, NotFound, Refused
from shipway.image.view import View
from shipway.oci import Layout
from shipway.oci.tar import Limits
from tests.image.made_base import TAR_TYPE, Files, Made, layer, tar


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "layout")


def view(layout: Layout, *layers: Files) -> View:
    return View(layout, [layer(layout, one)[0] for one in layers])


def read(seen: View, path: str) -> bytes:
    return seen.read(path, 1000)


FOLDER = Made(folder=True)


def test_layers_are_merged(layout: Layout) -> None:
    seen = view(
        layout,
        {"etc": FOLDER, "etc/a": "one", "etc/b": "one", "old/x": "x", "tool": Made(b"#!", executable=True)},
        {"./etc/b": "two", "/etc/c": "two", "old": Made(link="etc")},
    )
    assert list(seen.paths()) == ["etc", "etc/a", "etc/b", "etc/c", "old", "tool"]
    assert [read(seen, f"etc/{one}") for one in "abc"] == [b"one", b"two", b"two"]
    assert (seen.stat("etc/a").layer, seen.stat("etc/b").layer, seen.stat("etc").layer) == (0, 1, 0)
    assert seen.stat("tool").executable and not seen.stat("etc/a").executable
    assert read(seen, "old/c") == b"two" and seen.stat("old").path == "etc"
    found = seen.find("old", follow=False)
    assert found is not None and (found.kind, found.target) == ("link", "etc")
    assert [one.path for one in seen.walk("/old/")] == ["etc/a", "etc/b", "etc/c"]


def test_whiteouts_hide_what_is_below_and_not_what_is_beside(layout: Layout) -> None:
    below: Files = {"a/x": "1", "a/y": "1", "b/x": "1", "b/deep/z": "1", "c": "1", "d/x": "1"}
    seen = view(
        layout,
        below,
        {"a/.wh.x": "", "b/new": "2", "b/.wh..wh..opq": "", ".wh.c": "", "c": "2", ".wh.nothing": "", ".wh.d": ""},
    )
    assert list(seen.paths()) == ["a", "a/y", "b", "b/new", "c"]
    assert read(seen, "c") == b"2"
    again = view(layout, below, {".wh.a": ""}, {"a/z": "3"})
    assert [one for one in again.paths() if one.startswith("a")] == ["a", "a/z"]


def test_a_folder_takes_the_place_of_a_link_and_a_file_that_of_a_folder(layout: Layout) -> None:
    seen = view(
        layout,
        {"usr/lib/a": "1", "lib": Made(link="usr/lib"), "f/x": "1"},
        {"lib/b": "2", "f": "2"},
    )
    assert [one for one in seen.paths() if not one.startswith("usr")] == ["f", "lib", "lib/b"]
    within = view(layout, {"usr/lib": FOLDER, "lib": Made(link="usr/lib"), "lib/b": "one layer: through the link"})
    assert list(within.paths()) == ["lib", "usr", "usr/lib", "usr/lib/b"]


def test_hard_links_are_the_file_in_this_layer_or_below(layout: Layout) -> None:
    seen = view(
        layout,
        {"a": "a", "b": Made(hard="a"), "z": Made(hard="./b")},
        {"c": Made(hard="a"), "a": "new"},
    )
    assert [read(seen, one) for one in "abcz"] == [b"new", b"a", b"a", b"a"]
    assert {stat.path: stream.read(9) for stat, stream in seen.contents(["a", "b", "c", "z"])} == {
        "a": b"new",
        "b": b"a",
        "c": b"a",
        "z": b"a",
    }


@pytest.mark.parametrize(
    ("target", "leads_to"),
    [
        ("../../../../etc/passwd", b"inside"),
        ("/etc/passwd", b"inside"),
        ("/../etc/./passwd", b"inside"),
        ("../../home", None),
        ("/etc/passwd/x", None),
    ],
)
def test_links_stay_inside(layout: Layout, target: str, leads_to: bytes | None) -> None:
    seen = view(layout, {"etc/passwd": "inside", "x/link": Made(link=target)})
    if leads_to is None:
        assert seen.find("x/link") is None
        with pytest.raises(NotFound, match="there is no 'x/link' in the image"):
            seen.stat("x/link")
    else:
        assert read(seen, "x/link") == leads_to


def test_cycles_of_links_end(layout: Layout) -> None:
    seen = view(layout, {"a": Made(link="b"), "b": Made(link="a"), "me": Made(link="me/me")})
    for path in ("a", "me", "a/x"):
        with pytest.raises(Refused, match="more than 40 links"):
            seen.find(path)
    assert [one.kind for one in seen.walk()] == ["link"] * 3
    with pytest.raises(Refused, match="more than 40 links"):
        view(layout, {"a": Made(link="b"), "b": Made(link="a"), "a/file": "through a cycle"})


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"../x": ""}, "leaves the folder"),
        ({"a/../../x": ""}, "leaves the folder"),
        ({"a": "", "a/b": ""}, "below a file|as a folder and as a file"),
        ({"a": Made(hard="../../etc/passwd")}, "hard link to '../../etc/passwd', which is not there"),
        ({"d/x": "", "a": Made(hard="d")}, "hard link to 'd'"),
        ({".wh.": ""}, "whiteout of nothing"),
        ({".wh..": ""}, "whiteout of nothing"),
        ({"a/.wh...": ""}, "whiteout of nothing"),
        ({".wh.a/b": ""}, "reserved name"),
        ({"a": Made(link="x/" * 3000)}, "a link of more than 4096"),
        ({f"{n}/" + "/".join("d" * 50): "" for n in range(3)}, "too many files and folders"),
        ({"a": "", **{f"l{n}": Made(hard="a") for n in range(120)}}, "more than 100 members"),
        (
            {
                "d": FOLDER,
                "a": Made(link="d/../" * 200),
                **{f"a{n}": Made(link=f"a{n - 1 or ''}/../" * 9) for n in range(1, 9)},
                "a8/x": "",
            },
            "more than 4096 names",
        ),
    ],
)
def test_what_no_tool_writes_is_refused(layout: Layout, files: Files, said: str) -> None:
    with pytest.raises(Refused, match=said):
        View(layout, [layer(layout, files)[0]], limits=Limits(members=100))


def test_members_of_all_layers_count_together_hard_links_and_whiteouts_too(layout: Layout) -> None:
    small = Limits(members=100)
    for more in ({f"l{n}": Made(hard="a") for n in range(60)}, {f".wh.{n}": "" for n in range(60)}):
        layers = [layer(layout, {"a": "", **more})[0]]
        View(layout, layers, limits=small)
        with pytest.raises(Refused, match="too many files and folders"):
            View(layout, layers * 2, limits=small)


def test_deep_names_need_no_deep_stack(layout: Layout) -> None:
    deep = "/".join("d" * 1000)
    seen = view(layout, {deep: "deep"}, {f"{deep}2": "2", "d/.wh.x": ""})
    assert sum(1 for _ in seen.walk()) == 1001 and read(seen, deep) == b"deep"


def test_a_bomb_is_refused_and_a_large_file_is_read_to_its_limit(layout: Layout) -> None:
    blob = layout.put_blob(
        zstandard.compress(tar({"zeros": bytes(5_000_000)})), "application/vnd.oci.image.layer.v1.tar+zstd"
    )
    with pytest.raises(Refused, match="expands to more than"):
        View(layout, [blob], limits=Limits(free=100_000))
    with pytest.raises(Refused, match="5000000 bytes: at most 1000"):
        read(View(layout, [blob]), "zeros")


def test_all_compressions_of_oci_and_docker(layout: Layout) -> None:
    plain = tar({"a": "a"})
    gzipped, zstd = gzip.compress(plain), zstandard.compress(plain)
    oci, docker = "application/vnd.oci.image.layer.v1.tar", "application/vnd.docker.image.rootfs.diff.tar"
    for data, kind in (
        (plain, oci),
        (gzipped, f"{oci}+gzip"),
        (zstd, f"{oci}+zstd"),
        (plain, docker),
        (gzipped, f"{docker}.gzip"),
        (zstd, f"{docker}.zstd"),
        (gzipped, "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
        (gzipped, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
    ):
        assert read(View(layout, [layout.put_blob(data, kind)]), "a") == b"a", kind
    for kind in (f"{oci}+gzip+encrypted", f"{oci}+xz", "application/vnd.cncf.model.weight.v1.tar"):
        with pytest.raises(Refused, match="is not read here"):
            View(layout, [layout.put_blob(plain, kind)])


def test_what_is_no_file_is_named(layout: Layout) -> None:
    seen = view(layout, {"d": FOLDER, "f": "x"})
    with pytest.raises(Refused, match="'d' in the image is a folder"):
        read(seen, "d")
    with pytest.raises(NotFound, match="'f' is no folder"):
        seen.walk("f")
    assert seen.stat("").kind == "folder" and seen.find("f/x") is None


def test_a_second_look_reads_no_blob(layout: Layout, tmp_path: Path) -> None:
    blob, _ = layer(layout, {"a": "a", "link": Made(link="a")})
    first = View(layout, [blob], tmp_path / "views")
    layout.blob_path(blob.digest).write_bytes(b"damaged" + bytes(blob.size - 7))
    second = View(layout, [blob], tmp_path / "views")
    assert list(second.walk()) == list(first.walk())
    with pytest.raises(Corrupt):
        read(second, "a")
    (tmp_path / "views" / f"{blob.digest.hex}.json").write_text("[1, [[")
    with pytest.raises(Corrupt):
        View(layout, [blob], tmp_path / "views")


def test_a_file_that_changed_since_it_was_listed_is_corrupt(layout: Layout, tmp_path: Path) -> None:
    blob = layout.put_blob(tar({"a": "good"}), TAR_TYPE)
    seen = View(layout, [blob])
    path = layout.blob_path(blob.digest)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"good", b"evil"))
    with pytest.raises(Corrupt, match="not what it was"):
        read(seen, "a")


def test_too_many_layers(layout: Layout) -> None:
    blob, _ = layer(layout, {"a": "a"})
    with pytest.raises(Refused, match="501 layers"):
        View(layout, [blob] * 501)


def test_an_empty_image_has_a_root(layout: Layout) -> None:
    assert list(view(layout).paths()) == []
    assert view(layout).stat("/").path == ""
