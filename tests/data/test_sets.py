"""Versions of data sets: made, found, compared, forgotten, written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from obstore.exceptions import GenericError

from shipway.data import DataSets, FileChange, Remote, stores
from shipway.errors import Conflict, Corrupt, EnvironmentFault, NotFound, Refused, ShipwayError, UserError
from shipway.oci import EMPTY_CONFIG, Digest, Layout, Manifest
from shipway.transfer import Progress
from tests.data.material import noise

MB = 1 << 20


def files(folder: Path) -> dict[str, bytes]:
    return {one.relative_to(folder).as_posix(): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()}


def blobs(layout: Layout) -> int:
    return sum(one.stat().st_size for one in layout.blobs.folder.iterdir())


# -- add


def test_a_version_is_what_went_in(sets: DataSets, folder: Path, tmp_path: Path) -> None:
    (folder / "a.csv").chmod(0o755)
    version, new = sets.add("raw", folder, {"residency": "eu"})
    assert new
    assert (version.name, version.number, version.files, version.size) == ("raw", 1, 3, 8)
    assert (version.labels, version.source, version.remote) == ({"residency": "eu"}, str(folder), None)
    assert [(one.name, one.executable) for one in sets.files("raw")] == [
        ("a.csv", True),
        ("deep/b.csv", False),
        ("empty", False),
    ]
    assert sets.write(sets.descriptor("raw:1"), tmp_path / "out") == 0
    assert files(tmp_path / "out") == files(folder)
    assert os.access(tmp_path / "out" / "a.csv", os.X_OK)


def test_equal_files_are_one_version_wherever_they_lie(sets: DataSets, folder: Path, tmp_path: Path) -> None:
    first, _ = sets.add("raw", folder, {})
    shutil.copytree(folder, tmp_path / "copy")
    again, new = sets.add("raw", tmp_path / "copy", {})
    other, _ = sets.add("other", tmp_path / "copy", {})
    assert (again.number, new) == (1, False)
    assert other.digest == first.digest == again.digest


def test_other_labels_are_another_version_of_the_same_content(sets: DataSets, folder: Path) -> None:
    first, _ = sets.add("raw", folder, {})
    second, new = sets.add("raw", folder, {"residency": "eu"})
    assert new
    assert second.digest != first.digest
    assert second.content == first.content


def test_a_file_alone_is_a_data_set(sets: DataSets, folder: Path) -> None:
    sets.add("raw", folder / "a.csv", {})
    assert [one.name for one in sets.files("raw")] == ["a.csv"]


@pytest.mark.slow
def test_rows_that_are_inserted_store_little_more(sets: DataSets, layout: Layout, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    data, rows = noise(16 * MB), noise(MB // 4, "rows")
    table.write_bytes(data)
    sets.add("raw", table, {})
    before = blobs(layout)
    table.write_bytes(data[: 7 * MB] + rows + data[7 * MB :])
    sets.add("raw", table, {})
    assert blobs(layout) - before < len(rows) + 5 * MB
    assert sets.difference("raw:1", "raw:2").new_bytes < len(rows) + 5 * MB


@pytest.mark.slow
def test_small_files_share_chunks(sets: DataSets, layout: Layout, tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / "many").mkdir(exist_ok=True)
        (tmp_path / "many" / f"{number:04}").write_bytes(noise(2000, str(number)))
    sets.add("raw", tmp_path / "many", {})
    assert len(list(layout.blobs.folder.iterdir())) < 10


def test_progress_is_told_to_the_last_byte(sets: DataSets, folder: Path) -> None:
    told: list[Progress] = []
    sets.add("raw", folder, {}, told.append)
    assert told[-1] == Progress("raw", 8, 8)


def test_who_gives_up_leaves_nothing_but_chunks_and_can_begin_again(sets: DataSets, folder: Path) -> None:
    def give_up(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sets.add("raw", folder, {}, give_up)
    assert sets.latest() == ()
    assert sets.add("raw", folder, {})[0].number == 1


@pytest.mark.parametrize("more", [b"", b"5,6\n"])
def test_a_file_that_changes_while_it_is_read_is_named(sets: DataSets, folder: Path, more: bytes) -> None:
    def writes(progress: Progress) -> None:
        with (folder / "deep" / "b.csv").open("ab" if more else "wb") as file:
            file.write(more)

    with pytest.raises(UserError, match=r"deep/b.csv changed while it was read"):
        sets.add("raw", folder, {}, writes)


def test_a_file_that_goes_meanwhile_is_named(sets: DataSets, folder: Path) -> None:
    with pytest.raises(UserError, match=r"deep/b.csv cannot be read"):
        sets.add("raw", folder, {}, lambda progress: (folder / "deep" / "b.csv").unlink(missing_ok=True))


@pytest.mark.parametrize("label", [{"Residency": "eu"}, {"a": ""}, {"": "x"}, {"a": "x y"}, {"a" * 64: "x"}])
def test_a_label_that_placement_could_not_compare(sets: DataSets, folder: Path, label: dict[str, str]) -> None:
    with pytest.raises(UserError, match="is not valid"):
        sets.add("raw", folder, label)


def test_nothing_is_no_data_set(sets: DataSets, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no file"):
        sets.add("raw", tmp_path / "empty", {})
    with pytest.raises(UserError, match="matches nothing"):
        sets.add("raw", tmp_path / "nowhere", {})


# -- numbers


def test_numbers_never_come_again(sets: DataSets, folder: Path) -> None:
    sets.add("raw", folder, {})
    sets.add("raw", folder, {"a": "b"})
    assert [one.number for one in sets.remove("raw:2")] == [2]
    assert sets.add("raw", folder, {"a": "c"})[0].number == 3
    assert [one.number for one in sets.remove("raw")] == [1, 3]
    assert sets.latest() == ()
    assert sets.add("raw", folder, {})[0].number == 4


def test_what_is_not_there_is_told_with_what_is(sets: DataSets, folder: Path) -> None:
    sets.add("digits-raw", folder, {})
    with pytest.raises(NotFound, match="the nearest: digits-raw"):
        sets.resolve("digit-raw:1")
    with pytest.raises(NotFound) as caught:
        sets.resolve("digits-raw:7")
    assert caught.value.next_step == "Versions of digits-raw: 1."
    with pytest.raises(NotFound):
        sets.resolve("digits-raw:x")
    assert sets.resolve("digits-raw:latest") == sets.resolve("digits-raw")
    assert [one.number for one in sets.versions("digits-raw")] == [1]


def test_a_model_of_the_same_name_is_none_of_them(sets: DataSets, layout: Layout, folder: Path) -> None:
    layout.put_manifest(Manifest(EMPTY_CONFIG, ()), tag="raw:7")
    assert sets.add("raw", folder, {})[0].number == 1
    sets.remove("raw")
    assert "raw:7" in layout.tags()


def test_files_are_found_by_digest_while_a_version_has_them(sets: DataSets, folder: Path) -> None:
    version, _ = sets.add("raw", folder, {})
    assert sets.files_of(version.digest) == sets.files("raw")
    sets.remove("raw")
    with pytest.raises(NotFound, match="any more"):
        sets.files_of(version.digest)


def test_where_it_was_pushed_is_remembered_and_changes_no_digest(sets: DataSets, folder: Path) -> None:
    version, _ = sets.add("raw", folder, {})
    for _ in range(2):
        sets.mark_pushed("raw", 1, "ghcr.io/team/raw@x")
    assert sets.resolve("raw").pushed == ("ghcr.io/team/raw@x",)
    assert sets.resolve("raw").digest == version.digest
    assert sets.resolve("raw").source == str(folder)


def test_what_was_pulled_becomes_the_next_version(sets: DataSets, layout: Layout, folder: Path) -> None:
    sets.add("raw", folder, {})
    version, new = sets.adopt("mine", sets.descriptor("raw"), "ghcr.io/team/raw:1")
    assert (version.name, version.number, version.source, new) == ("mine", 1, "ghcr.io/team/raw:1", True)
    other = layout.put_manifest(Manifest(EMPTY_CONFIG, (), "application/vnd.other"))
    with pytest.raises(Refused, match=r"is application/vnd\.other, not a data set"):
        sets.adopt("mine", other, "ghcr.io/team/other:1")


# -- diff


def test_what_differs_is_told_by_file_and_bytes(sets: DataSets, folder: Path) -> None:
    sets.add("raw", folder, {})
    (folder / "a.csv").write_text("1,2\n9,9\n")
    (folder / "deep" / "b.csv").rename(folder / "c.csv")
    sets.add("raw", folder, {})
    found = sets.difference("raw:1", "raw")
    assert found.added == (FileChange("c.csv", None, 4),)
    assert found.removed == (FileChange("deep/b.csv", 4, None),)
    assert found.changed == (FileChange("a.csv", 4, 8),)
    assert (found.unchanged, found.new_bytes) == (1, 12)
    assert sets.difference("raw", "raw").new_bytes == 0


def test_a_mode_is_a_change(sets: DataSets, folder: Path) -> None:
    sets.add("raw", folder, {})
    (folder / "a.csv").chmod(0o755)
    sets.add("raw", folder, {})
    assert sets.difference("raw:1", "raw:2").changed == (FileChange("a.csv", 4, 4),)


# -- write


def test_a_write_that_was_broken_off_goes_on(sets: DataSets, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sets.add("raw", folder, {})
    sets.write(sets.descriptor("raw"), out)
    (out / "deep" / "b.csv").unlink()
    (out / ".shipway-part").write_text("of a killed one")
    assert sets.write(sets.descriptor("raw"), out) == 2
    assert files(folder).items() <= files(out).items()


def test_two_do_not_write_to_one_folder(sets: DataSets, folder: Path, tmp_path: Path) -> None:
    sets.add("raw", folder, {})

    def second(progress: Progress) -> None:
        with pytest.raises(Conflict, match="somebody else writes files to"):
            sets.write(sets.descriptor("raw"), tmp_path / "out")

    sets.write(sets.descriptor("raw"), tmp_path / "out", second)
    assert files(tmp_path / "out") == files(folder)


def test_what_a_killed_pull_left_is_no_file_of_a_data_set(sets: DataSets, folder: Path) -> None:
    (folder / "deep" / ".shipway-part").write_text("half")
    with pytest.raises(UserError, match=r"deep/\.shipway-part is what a pull that was killed left behind"):
        sets.add("raw", folder, {})


def test_nothing_of_the_users_is_written_over(sets: DataSets, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.csv").write_text("9,9\n")
    sets.add("raw", folder, {})
    with pytest.raises(Refused, match=r"a\.csv is there and is not the file"):
        sets.write(sets.descriptor("raw"), out)
    assert (out / "a.csv").read_text() == "9,9\n"


def test_a_link_in_the_folder_leads_nothing_out_of_it(sets: DataSets, folder: Path, tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "deep").symlink_to(elsewhere)
    sets.add("raw", folder, {})
    with pytest.raises(Refused, match="leaves"):
        sets.write(sets.descriptor("raw"), out)
    assert not files(elsewhere)


def test_a_damaged_chunk_is_never_written_as_a_file(
    sets: DataSets, layout: Layout, folder: Path, tmp_path: Path
) -> None:
    sets.add("raw", folder, {})
    chunk = layout.blob_path(layout.read_manifest(sets.descriptor("raw")).layers[1].digest)
    chunk.write_bytes(b"x" * chunk.stat().st_size)
    with pytest.raises(Corrupt):
        sets.write(sets.descriptor("raw"), tmp_path / "out")
    assert not (tmp_path / "out" / "a.csv").exists()


def test_parts_of_large_files_are_put_together(sets: DataSets, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.mkdir()
    for name, size in {"a": 100, "b": 3 * MB, "c": 0, "d": 5 * MB + 1, "e": 7}.items():
        (large / name).write_bytes(noise(size, name))
    sets.add("raw", large, {})
    sets.write(sets.descriptor("raw"), tmp_path / "out")
    assert files(tmp_path / "out") == files(large)
    (tmp_path / "out" / "d").unlink()
    assert sets.write(sets.descriptor("raw"), tmp_path / "out") == 4
    assert files(tmp_path / "out") == files(large)


# -- pinned where they are


def test_a_uri_is_pinned_and_not_kept(sets: DataSets, layout: Layout, folder: Path, tmp_path: Path) -> None:
    (folder / "large").write_bytes(noise(2 * MB))
    version, _ = sets.add("raw", Remote(folder.as_uri()), {}, copy=False)
    assert version.remote == Remote(f"{folder.as_uri()}/")
    assert sets.add("raw", Remote(f"{folder.as_uri()}/"), {}, copy=False) == (version, False)
    assert blobs(layout) < 10_000
    sets.write(sets.descriptor("raw"), tmp_path / "out")
    assert files(tmp_path / "out") == files(folder)


def test_with_copy_it_is_what_the_folder_would_be(sets: DataSets, folder: Path) -> None:
    pinned, _ = sets.add("raw", Remote(folder.as_uri()), {}, copy=False)
    copied, _ = sets.add("raw", Remote(folder.as_uri()), {}, copy=True)
    local, new = sets.add("raw", folder, {})
    assert (local.number, new, copied.content) == (2, False, pinned.content)


def test_a_pinned_file_that_changed_or_went_is_named(sets: DataSets, folder: Path, tmp_path: Path) -> None:
    sets.add("raw", Remote(folder.as_uri()), {}, copy=False)
    (folder / "a.csv").write_text("1,3\n")
    with pytest.raises(Conflict) as caught:
        sets.write(sets.descriptor("raw"), tmp_path / "out")
    assert "a.csv changed since it was pinned: expected 4 bytes with sha256:" in caught.value.message
    assert f"found 4 bytes with {Digest.of(b'1,3' + bytes([10]))}" in caught.value.message
    (folder / "a.csv").write_text("1,2,3,4\n")
    with pytest.raises(Conflict, match="found 8 bytes"):
        sets.write(sets.descriptor("raw"), tmp_path / "out")
    (folder / "a.csv").unlink()
    with pytest.raises(UserError, match=r"a\.csv went: it had 4 bytes"):
        sets.write(sets.descriptor("raw"), tmp_path / "out")


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("http://x/y", "is not the URI of a data set"),
        ("s3:///x", "names no bucket"),
        ("file://host/x", "names no folder of this machine"),
        ("s3://key:secret@bucket/x", "and nothing more"),
        ("s3://bucket/x?versionId=3", "and nothing more"),
    ],
)
def test_what_is_no_uri(sets: DataSets, uri: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        sets.add("raw", Remote(uri), {}, copy=False)


def test_http_is_for_this_machine_only(sets: DataSets) -> None:
    with pytest.raises(Refused, match=r"http://example\.com is not encrypted"):
        sets.add("raw", Remote("s3://bucket/x", "http://example.com"), {}, copy=False)


@pytest.mark.parametrize("endpoint", ["https://u:hunter2@store.example", "https://store.example/?sig=hunter2"])
def test_an_endpoint_with_a_password_is_refused(sets: DataSets, endpoint: str) -> None:
    with pytest.raises(UserError, match="the endpoint of s3://bucket/x has more in it") as caught:
        sets.add("raw", Remote("s3://bucket/x", endpoint), {}, copy=False)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("told", "error", "shown"),
    [
        ("GET https://a.example/c/x?sv=1&sig=hunter2 - 500", EnvironmentFault, "GET https://a.example/c/x - 500"),
        ("the key hunter2 is unknown", EnvironmentFault, r"the key \*\*\* is unknown"),
        ("Error performing PUT http://169.254.169.254/latest/api/token", Refused, "there are no credentials for it"),
    ],
)
def test_an_error_of_a_store_has_no_secret_in_it(told: str, error: type[ShipwayError], shown: str) -> None:
    with pytest.raises(error, match=shown) as caught, stores._told("s3://bucket/x", ["hunter2"]):
        raise GenericError(told)
    assert "hunter2" not in str(caught.value)


def test_a_link_that_leaves_the_folder_is_refused_as_in_snapshots(sets: DataSets, folder: Path) -> None:
    (folder / "out").symlink_to("/etc/passwd")
    with pytest.raises(UserError, match="outside"):
        sets.add("raw", folder, {})
