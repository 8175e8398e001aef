"""Versions that move, from Python: both colours, against the API over transfers that move nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shipway.controllers.operations.requests import ExportRequest, ImportRequest, PullRequest, PushRequest
from shipway.errors import NotFound, UserError
from shipway.sdk.values import Version
from shipway.transfer import Progress
from tests.api.fake_transfers import DIGEST
from tests.api.served_hub import TOKEN, Hub
from tests.sdk.clients import COLOURS, client


@pytest.fixture(params=COLOURS)
def hub_client(request: pytest.FixtureRequest, hub: Hub) -> Iterator[Any]:
    with client(request.param, url=f"http://127.0.0.1:{hub.port}", token=TOKEN) as made:
        yield made


def last(hub: Hub) -> tuple[str, str, Any]:
    """Verb, what it names, and the body of what was asked last."""
    verb, what, body, _ = hub.transfers.asked[-1]
    return verb, what, body


def test_push_gives_the_pinned_reference(hub_client: Any, hub: Hub) -> None:
    seen: list[Progress] = []
    assert hub_client.push("digits:2", "r.example/digits", also_tag=["prod"], on_progress=seen.append) == "r"
    assert last(hub) == ("push", "digits:2", PushRequest(reference="r.example/digits", also_tag=("prod",)))
    assert seen == [Progress("model.onnx", 1, 1)]


def test_push_goes_to_the_default_registry(hub_client: Any, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPWAY_REGISTRY", "ghcr.io/team")
    hub_client.push("digits")
    assert last(hub) == ("push", "digits:champion", PushRequest(reference="ghcr.io/team/digits"))
    monkeypatch.delenv("SHIPWAY_REGISTRY")
    with pytest.raises(UserError, match="not said where"):
        hub_client.push("digits")


def test_pull_and_import_give_the_version(hub_client: Any, hub: Hub, tmp_path: Path) -> None:
    pulled = hub_client.pull("r.example/team/digits:2", tags=["champion"], trust=True)
    assert pulled == Version("digits", 1, DIGEST, "onnx", 1, there=False, champion=True)
    assert str(pulled) == "digits:1"
    body = PullRequest(reference="r.example/team/digits:2", tags=("champion",), trust=True)
    assert last(hub) == ("pull", "digits", body)
    hub_client.import_model(tmp_path, "scale", metrics={"accuracy": 1}, form="raw")
    assert last(hub) == ("import", "scale", ImportRequest(path=str(tmp_path), metrics={"accuracy": 1.0}, form="raw"))


def test_export_and_verify(hub_client: Any, hub: Hub, tmp_path: Path) -> None:
    assert hub_client.export("digits:1", tmp_path / "out", force=True)["digest"] == DIGEST
    assert last(hub) == ("export", "digits:1", ExportRequest(path=str(tmp_path / "out"), force=True))
    hub_client.export("digits:1", f"oci:{tmp_path}/layout")
    assert last(hub)[2] == ExportRequest(path=f"{tmp_path}/layout", form="layout")
    assert hub_client.verify("digits") == []
    assert hub_client.verify("r.example/digits") == []
    assert last(hub)[1] == "a registry"
    with pytest.raises(NotFound):
        hub_client.verify("nobody:1")
