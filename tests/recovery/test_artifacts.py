"""Damage in what lies deeper in the layout: nested indexes, referrers, data sets, other tools' artifacts."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from shipway.errors import Corrupt
from shipway.oci import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Descriptor, Digest, Index, Layout, Manifest
from shipway.oci.sweep import Marks, sweep
from shipway.recovery.backup import backup
from shipway.recovery.inspect import inspect
from shipway.recovery.plan import Plan, plan
from shipway.recovery.repair import repair
from shipway.recovery.restore import restore
from shipway.settings import Settings
from tests.recovery.homes import NOW, made


@pytest.fixture
def where(tmp_path: Path) -> Settings:
    return made(tmp_path)


@pytest.fixture
def layout(where: Settings) -> Layout:
    layout = Layout(where.oci)
    layout.put_blob(EMPTY_CONFIG_BYTES)
    return layout


def artifact(layout: Layout, content: bytes, subject: Descriptor | None = None) -> Manifest:
    return Manifest(EMPTY_CONFIG, (layout.put_blob(content),), "application/x", subject=subject)


def destroy(layout: Layout, *digests: Digest) -> None:
    for digest in digests:
        layout.blob_path(digest).write_bytes(b"{}")


def mend(where: Settings) -> Plan:
    """Repair; afterwards the home is sound, and its garbage can be collected."""
    found = plan(inspect(where))
    repair(where, found, NOW)
    assert plan(inspect(where)) == Plan()
    layout = Layout(where.oci)
    sweep(layout, Marks(layout.blobs))
    assert plan(inspect(where)) == Plan()
    return found


def test_a_blob_deep_in_an_index_is_found(where: Settings, layout: Layout) -> None:
    inner = layout.put_index(Index((layout.put_manifest(artifact(layout, b"deep")),)))
    layout.put_index(Index((inner,)), "deep:3")
    destroy(layout, Digest.of(b"deep"))
    found = mend(where)
    assert "it is part of deep:3" in found.damage[0]
    assert found.lost == ("deep:3: it is no version any more; run its job again, or pull or import it again",)
    assert list(Layout(where.oci).tags()) == ["digits:1"]


def test_a_data_set_is_called_so(where: Settings, layout: Layout) -> None:
    layout.put_manifest(artifact(layout, b"rows"), "data/train:2")
    destroy(layout, Digest.of(b"rows"))
    assert mend(where).lost == ("data/train:2: it is no data set any more; `shipway data add train` makes one",)


def test_another_programs_artifact_is_called_so(where: Settings, layout: Layout) -> None:
    layout.put_manifest(artifact(layout, b"theirs"), "latest")
    destroy(layout, Digest.of(b"theirs"))
    assert mend(where).lost == ("latest: it is not ours; the program that put it there has to do it again",)


def test_a_source_is_sent_again(where: Settings, layout: Layout) -> None:
    tag = f"source/{'0' * 64}"
    descriptor = layout.put_manifest(artifact(layout, b"tar"), tag)
    destroy(layout, descriptor.digest)
    assert mend(where).saved == (f"{tag}: the next `shipway up` sends it again",)
    assert tag not in Layout(where.oci).tags()


def test_a_damaged_referrer_leaves_the_list_and_the_others_stay(where: Settings, layout: Layout) -> None:
    subject = layout.resolve("digits:1")
    lost, kept = (layout.attach(artifact(layout, content, subject)) for content in (b"lost", b"kept"))
    destroy(layout, Digest.of(b"lost"))
    found = mend(where)
    assert "it is part of what is attached to digits:1" in found.damage[0]
    assert found.lost == ("what is attached to digits:1: say it again (`shipway models sign` for a signature)",)
    layout = Layout(where.oci)
    assert layout.resolve("digits:1") == subject
    assert layout.referrers(subject.digest) == (kept,)
    assert kept != lost


def test_a_damaged_list_goes_as_a_whole(where: Settings, layout: Layout) -> None:
    subject = layout.resolve("digits:1")
    layout.attach(artifact(layout, b"signed", subject))
    destroy(layout, layout.resolve(f"sha256-{subject.digest.hex}").digest)
    assert len(mend(where).lost) == 1
    assert list(Layout(where.oci).tags()) == ["digits:1"]


def test_a_backup_has_what_is_attached_and_no_leases_and_no_partials(
    where: Settings, layout: Layout, tmp_path: Path
) -> None:
    subject = layout.resolve("digits:1")
    attached = layout.attach(artifact(layout, b"signed", subject))
    with layout.lease("pull") as lease:
        fetch = layout.fetch(Descriptor("", Digest.of(b"rest"), 4), lease)
        assert fetch is not None
        with fetch:
            fetch.write(b"re", 0)
        backup(where, tmp_path / "home.backup", NOW, secrets=False)
    with tarfile.open(tmp_path / "home.backup") as tar:
        assert not [name for name in tar.getnames() if "lease" in name or "partial" in name]
    other = Settings(tmp_path / "other", temporary=tmp_path)
    other.home.mkdir()
    restore(other, tmp_path / "home.backup", NOW, force=False)
    restored = Layout(other.oci)
    assert restored.referrers(subject.digest) == (attached,)
    assert restored.tags() == layout.tags()


def test_a_home_that_lost_its_layout_is_not_backed_up(where: Settings, tmp_path: Path) -> None:
    (where.oci / "oci-layout").unlink()
    with pytest.raises(Corrupt, match="holds no layout"):
        backup(where, tmp_path / "home.backup", NOW, secrets=False)
    assert not (where.oci / "oci-layout").exists()
