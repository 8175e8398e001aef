"""The garbage collection: what is reachable by any road stays, the rest goes, and nobody who writes is disturbed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Set
from pathlib import Path

import pytest

from shipway.errors import Corrupt
from shipway.oci import (
    EMPTY_CONFIG,
    EMPTY_CONFIG_BYTES,
    Descriptor,
    Digest,
    Fetch,
    Index,
    Layout,
    Lease,
    Manifest,
    leases,
)
from shipway.oci import sweep as sweeping
from shipway.oci.index import REF_NAME
from shipway.oci.manifest import INDEX_TYPE, LARGEST_MANIFEST
from shipway.oci.sweep import Garbage, Marks, garbage, sweep


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "oci")


def version(layout: Layout, content: bytes, tag: str | None = None) -> Descriptor:
    layout.put_blob(EMPTY_CONFIG_BYTES)
    return layout.put_manifest(Manifest(EMPTY_CONFIG, (layout.put_blob(content),), "application/x"), tag)


def collected(layout: Layout) -> Garbage:
    """What went, which must be what was announced."""
    announced = garbage(layout, Marks(layout.blobs))
    went = sweep(layout, Marks(layout.blobs))
    assert went == announced
    assert garbage(layout, Marks(layout.blobs)) == Garbage()
    return went


def there(layout: Layout) -> set[Digest]:
    return {digest for digest, _ in layout.blobs.all()}


def age(layout: Layout, seconds: float = leases.AFTERLIFE + 1) -> None:
    """Let the leases have been written so long ago."""
    for path in layout.leases.folder.iterdir():
        os.utime(path, (time.time() - seconds,) * 2)


def test_what_no_tag_leads_to_goes(layout: Layout) -> None:
    kept, gone = version(layout, b"kept", "a:1"), version(layout, b"gone", "b:1")
    layout.untag("b:1")
    went = collected(layout)
    assert set(went.blobs) == {gone.digest, Digest.of(b"gone")}
    assert went.size == gone.size + 4
    assert there(layout) == {kept.digest, Digest.of(b"kept"), EMPTY_CONFIG.digest}


def test_a_nested_index_keeps_what_is_in_it(layout: Layout) -> None:
    inner = layout.put_index(Index((version(layout, b"a"), version(layout, b"b"))))
    layout.put_index(Index((inner, version(layout, b"c"))), "all:1")
    before = there(layout)
    assert collected(layout) == Garbage()
    assert there(layout) == before


def test_an_untagged_entry_is_a_root_too(layout: Layout) -> None:
    model = version(layout, b"a")
    with layout.edit() as edit:
        edit.index = Index((model,))
    assert collected(layout) == Garbage()


def test_artifacts_of_types_unknown_here_keep_what_they_name(layout: Layout) -> None:
    deep = layout.put_blob(b"deep")
    note = layout.put_blob(json.dumps({"see": {"also": [f"blob {deep.digest} of 1970"]}}).encode(), "text/plain")
    layout.put_manifest_bytes(json.dumps({"anything": note.digest}).encode(), "application/theirs", "theirs")
    assert collected(layout) == Garbage()


def test_a_layer_of_json_is_read_to_its_end(layout: Layout) -> None:
    far = layout.put_blob(b"far")
    layer = layout.put_blob(b'{"' + b"x" * ((1 << 20) - 40) + f'": "{far.digest}"}}'.encode())
    layout.put_manifest(Manifest(EMPTY_CONFIG, (layer,)), "a:1")
    collected(layout)
    assert far.digest in there(layout)


def test_what_is_larger_than_any_manifest_is_content(layout: Layout) -> None:
    far = layout.put_blob(b"far")
    layer = layout.put_blob(b'{"' + b"x" * LARGEST_MANIFEST + f'": "{far.digest}"}}'.encode())
    layout.put_manifest(Manifest(EMPTY_CONFIG, (layer,)), "a:1")
    assert set(collected(layout).blobs) == {far.digest}


def test_writers_do_not_wait_for_a_look_at_everything(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    class Watched(Marks):
        def reachable(self, index: Index, held: Collection[Digest] = ()) -> Set[Digest]:
            looks.append(index)
            return super().reachable(index, held)

    monkeypatch.setattr(sweeping, "_AT_ONCE", 1)
    for number in range(5):
        version(layout, b"%d" % number, f"a:{number}")
        layout.untag(f"a:{number}")
    assert len(sweep(layout, Watched(layout.blobs)).blobs) == 11
    assert len(looks) == 2, "of the lists and of the blobs; none while the index and the leases stay as they are"


def test_what_is_tagged_between_two_batches_stays(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "_AT_ONCE", 1)
    lost = [version(layout, b"%d" % number) for number in range(5)]
    saved, remove = max(lost, key=lambda one: one.digest), layout.blobs.remove

    def removing(digest: Digest) -> None:
        remove(digest)
        entry = saved.annotated({REF_NAME: "saved:1"})
        (layout.root / "index.json").write_bytes(Index((entry,)).to_bytes())  # another program, without a lock

    monkeypatch.setattr(layout.blobs, "remove", removing)
    sweep(layout, Marks(layout.blobs))
    assert saved.digest in there(layout)


def test_nobody_can_call_anothers_manifest_a_leaf(layout: Layout) -> None:
    victim = version(layout, b"weights", "victim:1")
    lie = Descriptor("image/png", victim.digest, victim.size)
    layout.put_manifest(Manifest(EMPTY_CONFIG, (lie,)), "a-liar:1")
    collected(layout)
    assert Digest.of(b"weights") in there(layout)


def test_referrers_live_as_long_as_their_subject(layout: Layout) -> None:
    model = version(layout, b"weights", "a:1")
    signature = layout.attach(Manifest(EMPTY_CONFIG, (layout.put_blob(b"signed"),), "sig", subject=model))
    layout.attach(Manifest(EMPTY_CONFIG, (layout.put_blob(b"countersigned"),), "sig", subject=signature))
    assert len(collected(layout).blobs) == 0, "each list replaces the one before, and there were none before"
    layout.untag("a:1")
    went = collected(layout)
    assert len(went.lists) == 2
    assert there(layout) == set()
    assert layout.tags() == {}


def test_lists_of_referrers_that_were_replaced_go(layout: Layout) -> None:
    model = version(layout, b"weights", "a:1")
    for content in (b"1", b"2"):
        layout.attach(Manifest(EMPTY_CONFIG, (layout.put_blob(content),), "sig", subject=model))
    assert len(collected(layout).blobs) == 1
    assert len(layout.referrers(model.digest)) == 2


def test_an_image_that_is_tagged_like_a_list_is_kept(layout: Layout) -> None:
    version(layout, b"weights", "sha256-" + "0" * 64)
    assert collected(layout) == Garbage()


def test_a_lease_keeps_what_it_holds_and_all_under_it(layout: Layout) -> None:
    with layout.lease("push") as lease:
        model = version(layout, b"weights")
        lease.hold(model.digest)
        assert garbage(layout, Marks(layout.blobs)) == Garbage()
        age(layout)
        assert collected(layout) == Garbage(), "its owner lives, however long ago it began"
    assert len(collected(layout).blobs) == 3


def test_what_is_written_under_a_lease_is_held(layout: Layout) -> None:
    with layout.lease("pack") as lease:
        blob = layout.put_blob(b"weights", lease=lease)
        assert collected(layout) == Garbage()
        manifest = layout.put_manifest(Manifest(EMPTY_CONFIG, (blob,)), "a:1", lease=lease)
    collected(layout)
    assert there(layout) == {blob.digest, manifest.digest}
    assert list(layout.leases.folder.iterdir()) == [layout.leases.folder / ".lock"]


def pull_that_breaks(layout: Layout) -> None:
    """One blob whole, and half of another."""
    with layout.lease("pull") as lease:
        layout.put_blob(b"half", lease=lease)
        with fetching(layout, lease) as fetch:
            fetch.write(b"re", 0)
        raise ZeroDivisionError


def fetching(layout: Layout, lease: Lease) -> Fetch:
    fetch = layout.fetch(Descriptor("", Digest.of(b"rest"), 4), lease)
    assert fetch is not None
    return fetch


def test_what_failed_is_kept_for_an_hour(layout: Layout) -> None:
    with pytest.raises(ZeroDivisionError):
        pull_that_breaks(layout)
    assert collected(layout) == Garbage()
    age(layout)
    went = collected(layout)
    assert (list(went.blobs), list(went.partials)) == ([Digest.of(b"half")], [Digest.of(b"rest").hex])
    assert [path.name for path in layout.leases.folder.iterdir()] == [".lock"]
    assert list(layout.partials.iterdir()) == []


def test_who_held_nothing_leaves_nothing(layout: Layout) -> None:
    with pytest.raises(ZeroDivisionError), layout.lease("pull"):
        raise ZeroDivisionError
    assert [path.name for path in layout.leases.folder.iterdir() if path.name != ".lock"] == []


def test_a_lease_that_was_cut_or_is_no_lease_harms_nothing(layout: Layout) -> None:
    blob = layout.put_blob(b"held")
    (layout.leases.folder / "cut").write_text(f'{{"why": "x"}}\nsha256:ab{blob.digest}\n{blob.digest[:40]}')
    (layout.leases.folder / "binary").write_bytes(b"\xff\x00")
    assert dict(layout.leases.held()) == {blob.digest: "x"}
    assert collected(layout) == Garbage()


def test_partials_that_somebody_fetches_stay(layout: Layout) -> None:
    with layout.lease("pull") as lease:
        fetch = fetching(layout, lease)
        fetch.write(b"re", 0)
    with fetch:
        assert sweep(layout, Marks(layout.blobs)).partials == {}, "nobody holds it, but somebody has its lock"
    (layout.partials / "README").write_text("not ours")
    assert list(sweep(layout, Marks(layout.blobs)).partials) == [Digest.of(b"rest").hex]
    assert [path.name for path in layout.partials.iterdir()] == ["README"]


def test_what_was_missing_at_one_look_is_read_at_the_next(layout: Layout) -> None:
    marks = Marks(layout.blobs)
    manifest = Manifest(EMPTY_CONFIG, (layout.put_blob(EMPTY_CONFIG_BYTES), layout.put_blob(b"weights")))
    with layout.lease("pull") as lease:
        lease.hold(Digest.of(manifest.to_bytes()), Digest.of(b"weights"))
        sweep(layout, marks)
        layout.put_manifest(manifest, "a:1", lease=lease)
    sweep(layout, marks)
    assert Digest.of(b"weights") in there(layout)


@pytest.mark.parametrize("damage", ["flipped", "gone"])
def test_nothing_goes_while_a_manifest_is_damaged(layout: Layout, damage: str) -> None:
    model = version(layout, b"weights", "a:1")
    layout.put_blob(b"garbage")
    path = layout.blobs.path(model.digest)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"sha256:", b"sha256;")) if damage == "flipped" else path.unlink()
    before = there(layout)
    for look in (garbage, sweep):
        with pytest.raises(Corrupt, match=f"{model.digest} is .*: what it refers to cannot be known"):
            look(layout, Marks(layout.blobs))
    assert there(layout) == before


def test_an_index_may_name_what_was_never_fetched(layout: Layout) -> None:
    absent = Descriptor(INDEX_TYPE, Digest.of(b"absent"), 6)
    layout.put_index(Index((absent, version(layout, b"here"))), "sparse")
    assert collected(layout) == Garbage()


def test_files_that_are_no_blobs_are_left_alone(layout: Layout) -> None:
    for name in ("README", "f" * 63, "F" * 64):
        (layout.blobs.folder / name).write_text("somebody's")
    (layout.blobs.folder / ("0" * 64)).mkdir()
    collected(layout)
    assert len(list(layout.blobs.folder.iterdir())) == 4


def test_what_would_go_with_other_tags_is_told(layout: Layout) -> None:
    version(layout, b"a", "a:1")
    version(layout, b"b", "b:1")
    told = garbage(layout, Marks(layout.blobs), layout.index().without_tags({"b:1"}))
    assert Digest.of(b"b") in told.blobs
    assert len(told.blobs) == 2
    assert "b:1" in layout.tags()
