"""Files of this machine become versions."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from shipway.controllers.model import ModelController
from shipway.controllers.operations.requests import ImportRequest
from shipway.controllers.updates import all_of, update, with_finalizer
from shipway.errors import Conflict, Refused, UserError
from shipway.kinds import Model
from shipway.models import Materials
from tests.controllers.operations.conftest import Home

ONNX = b"\x08\x07\x12\x07pytorch" + bytes(100)
PICKLE = b"\x80\x04\x95" + bytes(10)
MLMODEL = b"""\
flavors:
  sklearn: {pickled_model: model.pkl}
signature:
  inputs: '[{"type": "double", "name": "a"}, {"type": "double", "name": "b"}]'
"""


def add(home: Home, path: Path, name: str = "digits", **options: Any) -> dict[str, Any]:
    asked = ImportRequest(path=str(path), **options)
    return dict(asyncio.run(home.transfers.add_files(name, asked, "ada", home.report)))


def test_one_file_is_a_version_with_what_is_said_of_it(home: Home) -> None:
    path = home.files("bought", model_onnx=ONNX) / "model.onnx"
    made = add(home, path, metrics={"accuracy": 0.97}, description="bought")
    assert (made["version"], made["format"], made["there"], made["champion"]) == (1, "onnx", False, True)
    version = home.model().version("champion")
    assert version is not None
    assert (version.origin, version.metrics, version.trusted) == ("import", {"accuracy": 0.97}, False)
    assert home.versions.lineage("digits", 1).description == "bought"
    assert ("model.onnx", len(ONNX)) in [(one.what, one.done) for one in home.reports]
    moved = next(data for reason, data in home.ledger() if reason == "ChampionMoved")
    assert (moved["to"], moved["by"]) == (1, "ada")


def test_the_same_files_are_the_version_that_they_were(home: Home) -> None:
    path = home.files("bought", model_onnx=ONNX)
    first = add(home, path)
    second = add(home, path, form="tar+zstd", metrics={"accuracy": 1.0})
    assert second == {**first, "there": True}
    assert [reason for reason, _ in home.ledger()] == ["Imported", "ChampionMoved"]


def test_who_imports_makes_it_champion_also_when_the_controller_looks_meanwhile(home: Home) -> None:
    """An object without a champion, seen by the controller, would get one in nobody's name."""
    materials = Materials(home.layout, home.folder / "cache")
    controller = ModelController(home.store, home.clock, home.versions, materials, home.recorder)
    path = home.files("bought", model_onnx=ONNX)

    async def watched() -> None:
        asked = ImportRequest(path=str(path))
        task = asyncio.create_task(home.transfers.add_files("digits", asked, "ada", home.report))
        while not task.done():
            for model in all_of(home.store, Model):
                await controller.reconcile(model.name)
            await asyncio.sleep(0)
        await task

    asyncio.run(watched())
    assert [data["by"] for reason, data in home.ledger() if reason == "ChampionMoved"] == ["ada"]


def test_other_files_are_the_next_version_and_champion(home: Home) -> None:
    add(home, home.files("one", model_onnx=ONNX))
    assert add(home, home.files("two", model_onnx=ONNX + b"!"))["version"] == 2
    assert home.model().status.aliases == {"latest": 2, "champion": 2}


def test_a_pickle_needs_trust_and_that_is_written_down(home: Home) -> None:
    path = home.files("bought", model_pkl=PICKLE)
    with pytest.raises(Refused, match="is a pickle") as error:
        add(home, path)
    assert "--trust" in error.value.next_step
    assert home.versions.numbers("digits") == {}
    add(home, path, trust=True)
    version = home.model().version("1")
    assert version is not None and version.trusted
    assert [(reason, data["by"]) for reason, data in home.ledger() if reason == "Trusted"] == [("Trusted", "ada")]


def test_an_mlflow_model_brings_its_requirements_and_its_signature(home: Home) -> None:
    folder = home.files("mlflow", model_pkl=PICKLE, requirements_txt=b"scikit-learn==1.5.0\n")
    (folder / "MLmodel").write_bytes(MLMODEL)
    add(home, folder, trust=True)
    version = home.model().version("1")
    assert version is not None and version.signature is not None
    assert [(one.name, one.datatype, one.shape) for one in version.signature.inputs] == [("input", "FP64", (-1, 2))]
    assert home.versions.lineage("digits", 1).requirements == ("scikit-learn==1.5.0",)
    assert not (folder / ".shipway").exists()  # the user's folder stays as it was
    assert add(home, folder, trust=True)["there"]


def test_a_broken_mlmodel_is_told(home: Home) -> None:
    folder = home.files("mlflow", model_onnx=ONNX)
    (folder / "MLmodel").write_bytes(b"what")
    with pytest.raises(UserError, match="MLmodel is not one of MLflow"):
        add(home, folder)


def test_a_path_without_files_is_told(home: Home, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no"):
        add(home, tmp_path / "nothing")
    with pytest.raises(UserError, match="no file in"):
        add(home, home.files("empty"))


def test_a_model_that_is_being_deleted_gets_nothing(home: Home) -> None:
    add(home, home.files("one", model_onnx=ONNX))
    update(home.store, Model, "digits", with_finalizer)
    home.store.delete("Model", "digits")
    with pytest.raises(Conflict, match="is being deleted"):
        add(home, home.files("two", model_onnx=ONNX + b"!"))


def test_what_is_read_is_not_kept_twice(home: Home) -> None:
    add(home, home.files("bought", model_onnx=ONNX))
    left = [one.name for one in home.layout.root.iterdir() if one.name.startswith("scratch-")]
    assert left == []


def test_cancelled_in_the_middle_nothing_is_there_and_the_next_one_is_whole(home: Home) -> None:
    path = home.files("big", model_onnx=bytes(8 << 20))

    async def cancelled() -> None:
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()
        asked = ImportRequest(path=str(path))

        def report(_: Any) -> None:
            loop.call_soon_threadsafe(begun.set)

        task = asyncio.create_task(home.transfers.add_files("digits", asked, "ada", report))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    made = add(home, path)
    assert (made["version"], made["there"]) in ((1, False), (1, True))
    assert json.loads(json.dumps(made))["size"] == 8 << 20
