"""``shipway models push|pull|import|export|verify``: what is sent, what is printed, how it ends."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shipway.signing import PrivateKey, sign
from tests.cli.conftest import Shipway
from tests.cli.fake_hub import Events, FakeHub

DIGEST = "sha256:" + "1" * 64
VERSIONS = "POST /v1/models/digits/versions"
MADE = {"name": "digits", "version": 2, "digest": DIGEST, "format": "onnx", "size": 2_000_000, "trusted": False}
PUSHED = {**MADE, "reference": f"r.example/digits:2@{DIGEST}", "tags": ["2"]}


def answer(result: dict[str, Any], *progress: dict[str, Any]) -> Events:
    return Events([*(("progress", one) for one in progress), ("result", result)])


def layer(note: str = "") -> dict[str, Any]:
    return {"what": "model.onnx", "done": 2_000_000, "total": 2_000_000, "note": note}


def test_push_names_a_reference_and_says_where_it_is(shipway: Shipway, hub: FakeHub) -> None:
    hub.routes[f"{VERSIONS}/champion/push"] = answer(PUSHED, layer("there already"))
    ended = shipway("models", "push", "digits", "r.example/digits", "--also-tag", "prod")
    assert ended.out == f"pushed digits:2 to r.example/digits:2@{DIGEST}\n"
    assert ended.err == "model.onnx: there already\n"
    assert hub.sent(f"{VERSIONS}/champion/push") == [
        {"reference": "r.example/digits", "alsoTag": ["prod"], "referrers": True, "plainHttp": False}
    ]


def test_push_goes_to_the_default_registry(shipway: Shipway, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPWAY_REGISTRY", "ghcr.io/team")
    hub.routes[f"{VERSIONS}/2/push"] = answer({**PUSHED, "tags": ["2", "prod"]})
    ended = shipway("models", "push", "digits:2", "-o", "json")
    assert ended.json["tags"] == ["2", "prod"]
    assert ended.err == ""
    assert hub.sent(f"{VERSIONS}/2/push")[0]["reference"] == "ghcr.io/team/digits"


def test_push_without_a_place_asks_for_one(shipway: Shipway, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHIPWAY_REGISTRY", raising=False)
    ended = shipway("models", "push", "digits")
    assert ended.code == 2
    assert "HOST[:PORT]/TEAM/digits" in ended.err


def test_pull_is_called_as_the_repository(shipway: Shipway, hub: FakeHub) -> None:
    hub.routes[VERSIONS] = answer({**MADE, "there": False, "champion": True}, layer())
    ended = shipway("models", "pull", "r.example/team/digits:2", "--tag", "champion")
    assert ended.out == f"digits:2: onnx, 2 MB, {DIGEST}, champion\n"
    assert ended.err == "model.onnx: 2 MB\n"
    sent = hub.sent(VERSIONS)[0]
    assert (sent["reference"], sent["tags"], sent["trust"]) == ("r.example/team/digits:2", ["champion"], False)


def test_pull_says_which_version_it_is_already(shipway: Shipway, hub: FakeHub) -> None:
    hub.routes[VERSIONS] = answer({**MADE, "there": True, "champion": False})
    ended = shipway("models", "pull", "r.example/other:2", "--as", "digits")
    assert ended.out == f"digits:2 is there already: the same files, {DIGEST}\n"


def test_import_of_the_same_files_says_what_became_of_what_was_said(
    shipway: Shipway, hub: FakeHub, tmp_path: Path
) -> None:
    hub.routes[VERSIONS] = answer({**MADE, "there": True, "champion": True})
    ended = shipway("models", "import", tmp_path, "digits", "--metric", "accuracy=1", "--trust")
    assert ended.out == f"digits:2 is there already: the same files, {DIGEST}, champion, trusted\n"
    assert ended.err == "--metric and --description were not taken: what is said of a version never changes\n"


def test_import_sends_the_absolute_path_and_what_is_said_of_it(
    shipway: Shipway, hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Digits.onnx").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    hub.routes[VERSIONS] = answer({**MADE, "there": False, "champion": True})
    words = ("--metric", "accuracy=0.97", "--description", "mine", "--zstd")
    assert shipway("models", "import", "Digits.onnx", *words).code == 0
    assert hub.sent(VERSIONS) == [
        {
            "path": str(tmp_path / "Digits.onnx"),
            "form": "tar+zstd",
            "trust": False,
            "description": "mine",
            "metrics": {"accuracy": 0.97},
        }
    ]


def test_import_refuses_what_is_no_metric_and_no_path(shipway: Shipway, hub: FakeHub, tmp_path: Path) -> None:
    wrong = shipway("models", "import", tmp_path, "digits", "--metric", "accuracy")
    missing = shipway("models", "import", tmp_path / "nothing", "digits")
    assert (wrong.code, missing.code) == (2, 2)
    assert "accuracy=0.97" in wrong.err


def test_export_says_what_was_written(shipway: Shipway, hub: FakeHub, tmp_path: Path) -> None:
    written = {**MADE, "path": "/out", "form": "archive", "bytes": 2_000_000}
    hub.routes[f"{VERSIONS}/2/export"] = answer(written)
    ended = shipway("models", "export", "digits:2", tmp_path / "d.tar", "--force")
    assert ended.out == "digits:2 is in /out: an OCI archive, 2 MB\n"
    body = {"path": str(tmp_path / "d.tar"), "form": "archive", "force": True}
    assert hub.sent(f"{VERSIONS}/2/export") == [body]


def test_verify_ends_with_5_when_something_is_damaged(shipway: Shipway, hub: FakeHub) -> None:
    whole = {"what": "digits:2", "digest": DIGEST, "blobs": 4, "bytes": 2_000_000, "damage": [], "signatures": []}
    hub.routes[f"{VERSIONS}/2/verify"] = answer(whole)
    assert shipway("models", "verify", "digits:2").out == f"digits:2: whole, 4 blobs, 2 MB, {DIGEST}\nnot signed\n"
    damage = [{"digest": DIGEST, "what": "model.onnx", "problem": "there is no such file"}]
    hub.routes[f"{VERSIONS}/2/verify"] = answer({**whole, "damage": damage})
    ended = shipway("models", "verify", "digits:2", "-o", "json")
    assert (ended.code, ended.json["damage"]) == (5, damage)
    assert f"model.onnx {DIGEST}: there is no such file" in shipway("models", "verify", "digits:2").out


def test_verify_with_a_key_wants_a_signature_of_it(shipway: Shipway, hub: FakeHub, tmp_path: Path) -> None:
    key = PrivateKey.generate()
    (tmp_path / "key.pub").write_bytes(key.public.to_pem())
    found = {"what": "digits:2", "digest": DIGEST, "blobs": 4, "bytes": 2_000_000, "damage": [], "signatures": []}
    hub.routes[f"{VERSIONS}/2/verify"] = answer(found)
    unsigned = shipway("models", "verify", "digits:2", "--key", tmp_path / "key.pub", "-o", "json")
    assert (unsigned.code, unsigned.json["signed"]["trusted"]) == (2, False)
    signature = base64.b64encode(sign(DIGEST, key, datetime(2026, 1, 1, tzinfo=UTC))).decode()
    hub.routes[f"{VERSIONS}/2/verify"] = answer({**found, "signatures": [signature]})
    signed = shipway("models", "verify", "digits:2", "--key", tmp_path / "key.pub")
    assert signed.code == 0
    assert key.public.hint in signed.out


def test_an_error_of_the_hub_has_its_exit_code(shipway: Shipway, hub: FakeHub) -> None:
    error = {"code": "NotFound", "message": "there is no model 'digits'", "nextStep": "See `shipway models`."}
    hub.routes[f"{VERSIONS}/2/verify"] = Events([("error", {"error": error})])
    ended = shipway("models", "verify", "digits:2", "-o", "json")
    assert (ended.code, ended.json) == (3, {"error": error})


def test_pull_says_of_a_pickle_that_nobody_loads_it(shipway: Shipway, hub: FakeHub) -> None:
    pickle = {**MADE, "format": "sklearn-joblib", "there": False, "champion": True}
    hub.routes[VERSIONS] = answer(pickle)
    assert "--trust" in shipway("models", "pull", "r.example/digits").err
    hub.routes[VERSIONS] = answer({**pickle, "trusted": True})
    assert shipway("models", "pull", "r.example/digits", "--trust").err == ""
