"""Versions that move, over HTTP: what is asked of the transfers, what is refused, what is streamed."""

from __future__ import annotations

from typing import Any

import pytest

from shipway.controllers.operations.requests import ExportRequest, ImportRequest, PullRequest, PushRequest
from shipway.errors import InvalidObject, NotFound, UserError
from tests.api.fake_transfers import DIGEST
from tests.api.served_hub import Hub

VERSIONS = "/v1/models/digits/versions"


def asked(hub: Hub, path: str, document: Any) -> list[tuple[str, Any]]:
    return list(hub.client.stream(path, document))


def test_a_reference_is_pulled_and_a_path_imported(hub: Hub) -> None:
    pulled = asked(hub, VERSIONS, {"reference": "r.example/x:1", "tags": ["champion"], "plainHttp": True})
    imported = asked(hub, VERSIONS, {"path": "/m/model.onnx", "form": "raw", "metrics": {"accuracy": 0.5}})
    assert [name for name, _ in pulled] == ["progress", "result"]
    assert pulled[0][1] == {"what": "model.onnx", "done": 1, "total": 1, "note": ""}
    assert imported[-1][1]["digest"] == DIGEST
    (verb, name, body, by), (other, *_, files, _) = hub.transfers.asked
    assert (verb, name, other) == ("pull", "digits", "import")
    assert body == PullRequest(reference="r.example/x:1", tags=("champion",), plain_http=True)
    assert files == ImportRequest(path="/m/model.onnx", form="raw", metrics={"accuracy": 0.5})
    assert "(" in by  # who, and with which program


def test_push_and_export_are_asked_of_one_version(hub: Hub) -> None:
    asked(hub, f"{VERSIONS}/champion/push", {"reference": "r.example/x", "alsoTag": ["latest"]})
    asked(hub, f"{VERSIONS}/2/export", {"path": "/out", "form": "layout"})
    asked(hub, f"{VERSIONS}/2/verify", {})
    asked(hub, "/v1/verify", {"reference": "r.example/x"})
    assert [(verb, what) for verb, what, *_ in hub.transfers.asked] == [
        ("push", "digits:champion"),
        ("export", "digits:2"),
        ("verify", "digits:2"),
        ("verify", "a registry"),
    ]
    assert hub.transfers.asked[0][2] == PushRequest(reference="r.example/x", also_tag=("latest",))
    assert hub.transfers.asked[1][2] == ExportRequest(path="/out", form="layout")


def test_an_error_of_the_work_ends_the_stream(hub: Hub) -> None:
    with pytest.raises(NotFound, match="nobody"):
        asked(hub, "/v1/models/nobody/versions/1/verify", {})


def test_work_ends_when_its_caller_goes(hub: Hub) -> None:
    stream = hub.client.stream("/v1/models/endless/versions/1/verify", {})
    assert next(stream)[0] == "progress"
    stream.close()
    deadline = hub.loop.time() + 10
    while not hub.transfers.cancelled.is_set():
        assert hub.loop.time() < deadline


@pytest.mark.parametrize(
    ("path", "document", "said"),
    [
        (VERSIONS, {}, "not said"),
        (VERSIONS, {"reference": "r.example/x", "path": "/x"}, "not said"),
        (VERSIONS, {"reference": "r.example/x", "form": "raw"}, "form"),
        (VERSIONS, {"path": "model.onnx"}, "begins with /"),
        (VERSIONS, {"path": "/x\0y"}, "not a path"),
        (VERSIONS, {"path": "/" + "x" * 300}, "longer than a path"),
        (VERSIONS, {"path": "/x", "metrics": {"accuracy": "NaN"}}, "metrics"),
        (VERSIONS, {"path": "/x", "form": "zip"}, "one of"),
        (VERSIONS, {"reference": "r.example/x", "tags": ["Champion"]}, "not a valid name"),
        ("/v1/models/Digits/versions", {"path": "/x"}, "not a valid name"),
        (f"{VERSIONS}/1/push", {}, "reference"),
        (f"{VERSIONS}/1/verify", {"key": "x"}, "key"),
    ],
)
def test_a_wrong_body_is_refused_before_anything_begins(hub: Hub, path: str, document: Any, said: str) -> None:
    with pytest.raises((UserError, InvalidObject)) as error:
        asked(hub, path, document)
    assert said in str(error.value)
    assert hub.transfers.asked == []
