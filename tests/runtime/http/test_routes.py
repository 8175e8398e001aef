"""Paths and methods."""

from __future__ import annotations

import pytest

from shipway.runtime.server.http.routes import Action, HttpError, find


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("GET", "/v2", Action.SERVER),
        ("GET", "/v2/", Action.SERVER),
        ("GET", "/v2/health/live", Action.LIVE),
        ("HEAD", "/v2/health/ready", Action.READY),
        ("GET", "/v2/models/digits", Action.MODEL),
        ("GET", "/v2/models/digits/", Action.MODEL),
        ("GET", "/v2/models/digits/ready", Action.MODEL_READY),
        ("POST", "/v2/models/digits/infer", Action.INFER),
        ("GET", "/v2/models/digits/versions/2", Action.MODEL),
        ("GET", "/v2/models/digits/versions/2/ready", Action.MODEL_READY),
        ("POST", "/v2/models/digits/versions/2/infer", Action.INFER),
        ("POST", "/predict", Action.PREDICT),
        ("GET", "/metrics", Action.METRICS),
    ],
)
def test_what_is_served(method: str, path: str, action: Action) -> None:
    assert find(method, path).action is action


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/v2/models/digits/nope", 404, "no such path"),
        ("GET", "/", 404, "no such path '/'"),
        ("GET", "/v2/models", 404, "no such path"),
        ("GET", "/predict", 405, "takes POST, not GET"),
        ("GET", "/v2/models/digits/infer", 405, "takes POST"),
        ("POST", "/v2/health/live", 405, "takes GET, HEAD, not POST"),
        ("DELETE", "/v2", 405, "takes GET"),
    ],
)
def test_what_is_not(method: str, path: str, status: int, words: str) -> None:
    with pytest.raises(HttpError, match=words) as caught:
        find(method, path)
    assert caught.value.status == status
    assert (status == 405) == any(name == "allow" for name, _ in caught.value.headers)


def test_whose_model_it_is() -> None:
    target = find("POST", "/v2/models/a%2Fb/versions/3/infer")
    assert (target.model, target.version) == ("a/b", "3")
    assert find("GET", "/v2/models/digits").version is None
