"""What there is of models, as the API asks for it: real controllers and a real layout."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from shipway.errors import NotFound
from shipway.models import Lineage, Snapshots
from tests.controllers.world import World, play

pytestmark = pytest.mark.slow  # packs versions, each flushed to the disk


def snapshot(world: World, files: Mapping[str, str]) -> str:
    """A snapshot in the layout; its digest."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in sorted(files.items()):
            header = tarfile.TarInfo(name)
            header.size = len(text)
            tar.addfile(header, io.BytesIO(text.encode()))
    digest = f"sha256:{sha256(out.getvalue()).hexdigest()}"
    Snapshots(world.layout).store(digest, io.BytesIO(out.getvalue()))
    return digest


def packed(world: World, files: Mapping[str, str], **lineage: Any) -> None:
    """One more version of ``digits``, of these files."""
    folder = world.folder / f"packed-{len(list(world.folder.glob('packed-*')))}"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    world.versions.pack("digits", folder, Lineage(run=folder.name, fingerprint=folder.name, **lineage))


async def mirrored(world: World) -> None:
    world.models.mirror_all()
    await world.settle()


def test_a_line_for_each_model(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job()
        await world.train(accuracy=0.9)
        await world.service()
        await world.make_ready("digits-00001")
        await world.job(params={"C": 2}, evaluate={"metric": "accuracy", "min": 0.99})
        await world.train(accuracy=0.5, text="a longer file of weights")
        [line] = world.catalog.models()
        assert (line.name, line.versions, line.latest, line.champion, line.live) == ("digits", 2, 2, 1, {"digits": 1})
        assert (line.size, line.metrics) == (len("weights"), {"accuracy": 0.9}), "the champion's"

    play(tmp_path, scene)


def test_versions_page_by_page(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        for number in range(1, 8):
            packed(world, {"model.onnx": str(number)})
        await mirrored(world)
        first = world.catalog.page("digits", 3)
        assert [one["number"] for one in first["versions"]] == [7, 6, 5]
        assert (first["count"], first["older"], first["aliases"]) == (7, 4, {"latest": 7, "champion": 7})
        second = world.catalog.page("digits", 3, before=5)
        assert ([one["number"] for one in second["versions"]], second["older"]) == ([4, 3, 2], 1)
        assert len(world.catalog.page("digits", 0)["versions"]) == 7
        assert world.catalog.page("digits", 3, before=1)["versions"] == []
        with pytest.raises(NotFound, match="there is no model 'digts'\ndid you mean digits"):
            world.catalog.page("digts", 3)

    play(tmp_path, scene)


def test_all_that_is_known_of_a_version(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job()
        await world.train()
        await world.service()
        await world.make_ready("digits-00001")
        await world.curator.tag("digits", "1", "prod", by="ada")
        await world.job(params={"C": 2})
        await world.train(text="other")
        await world.curator.tag("digits", "2", "candidate", by="ada")
        detail = world.catalog.detail("digits", "prod")
        assert (detail["version"]["number"], detail["aliases"], detail["live"]) == (1, ["prod"], ["digits"])
        assert detail["lineage"]["job"] == "digits"
        made_of = detail["contents"]
        assert [(one.name, one.size) for one in made_of.files] == [("model.joblib", len("weights"))]
        assert made_of.digest == detail["version"]["digest"] != made_of.modelpack
        assert sorted(made_of.images) == ["linux/amd64", "linux/arm64"]
        assert detail["referrers"] == []
        told = [one["reason"] for one in detail["ledger"]]
        assert told == ["ChampionMoved", "Live", "AliasMoved", "ChampionMoved"], "nothing of the alias candidate"
        with pytest.raises(NotFound, match=r"no version 'beta'\nversions: 1, 2"):
            world.catalog.detail("digits", "beta")

    play(tmp_path, scene)


def test_many_small_files_that_share_a_layer_are_listed_each(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        before = {f"shard-{number:03}.bin": str(number) for number in range(80)}
        packed(world, before)
        packed(world, {**before, "shard-007.bin": "changed", "more/new.bin": "new"})
        await mirrored(world)
        files = world.catalog.detail("digits", "1")["contents"].files
        assert len(files) == 80 and len({one.layer for one in files}) == 1
        found = world.catalog.diff(("digits", "1"), ("digits", "2"))
        assert [(one.name, one.before, one.after) for one in found.files] == [
            ("more/new.bin", None, 3),
            ("shard-007.bin", 1, 7),
        ]

    play(tmp_path, scene)


def test_what_differs_down_to_the_text_of_the_code(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        old = snapshot(world, {"train.py": "C = 1\n", "same.py": "", "gone.py": "x\n"})
        new = snapshot(world, {"train.py": "C = 2\n", "same.py": ""})
        rows = snapshot(world, {"rows.csv": "1\n"}), snapshot(world, {"rows.csv": "1\n2\n"})
        await world.job(evaluate={"metric": "loss", "max": 1.0})
        packed(world, {"m.onnx": "a"}, source=old, inputs={"train": rows[0]}, metrics={"loss": 0.5}, job="digits")
        packed(
            world,
            {"m.onnx": "b"},
            source=new,
            inputs={"train": rows[1]},
            metrics={"loss": 0.4},
            job="digits",
            requirements=("--index-url https://me:secret@host/simple",),
        )
        await mirrored(world)
        found = world.catalog.diff(("digits", "1"), ("digits", "2"), patches=True)
        assert found.metrics[0].better, "the job's gate has an upper bound: less is better"
        assert found.code is not None
        assert (found.code.changed, found.code.removed, found.code.added) == (("train.py",), ("gone.py",), ())
        assert "-C = 1\n+C = 2\n" in found.code.patch and "--- a/gone.py\n+++ /dev/null\n" in found.code.patch
        assert [(one.name, one.changed) for one in found.inputs] == [("train", ("rows.csv",))]
        assert "secret" not in found.model_dump_json()
        assert world.catalog.diff(("digits", "1"), ("digits", "2")).code.patch == ""  # type: ignore[union-attr]

    play(tmp_path, scene)


def test_files_that_are_not_kept_any_more_are_unknown(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        packed(world, {"m.onnx": "a"}, source="sha256:" + "a" * 64)
        packed(world, {"m.onnx": "a"}, source=snapshot(world, {"a.py": ""}))
        await mirrored(world)
        found = world.catalog.diff(("digits", "1"), ("digits", "2"), patches=True)
        assert found.same_files and found.code is not None and not found.code.known

    play(tmp_path, scene)
