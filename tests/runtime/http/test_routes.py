"""Paths and methods."""

from __future__ import annotations

import pytest

from shipway.runtime.server.http.replies import HttpError
from shipway.runtime.server.http.routes import Action, find


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
        ("POST", "/v2/models/digits/infer_stream", Action.INFER_STREAM),
        ("POST", "/v2/models/digits/versions/2/infer_stream", Action.INFER_STREAM),
        ("POST", "/v2/repository/index", Action.INDEX),
        ("POST", "/v2/repository/models/digits/load", Action.LOAD),
        ("POST", "/v2/repository/models/digits/unload", Action.UNLOAD),
        ("GET", "/v1/models/digits", Action.V1_MODEL),
        ("GET", "/v1/models/digits/versions/2", Action.V1_MODEL),
        ("POST", "/v1/models/digits:predict", Action.V1_PREDICT),
        ("POST", "/v1/models/digits/versions/2:predict", Action.V1_PREDICT),
        ("POST", "/predict", Action.PREDICT),
        ("POST", "/predict/", Action.PREDICT),
        ("GET", "/metrics", Action.METRICS),
        ("GET", "/shipway/openapi.json", Action.OPENAPI),
        ("GET", "/shipway/state", Action.STATE),
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
        ("GET", "/v2/models/", 404, "no such path"),
        ("GET", "/v2/models//ready", 404, "no such path"),
        ("GET", "//v2", 404, "no such path"),
        ("GET", "/v2/models/digits/versions/", 404, "no such path"),
        ("GET", "/v2/models/a/b/c/d/e", 404, "no such path"),
        ("POST", "/v1/models/:predict", 404, "no such path"),
        ("POST", "/v1/models/digits:regress", 404, "no such path"),
        ("POST", "/v1/models/digits/versions/:predict", 404, "no such path"),
        ("POST", "/v2/repository/models/digits/reload", 404, "no such path"),
        ("GET", "/v2/repository/index", 405, "takes POST"),
        ("POST", "/v1/models/digits", 405, "takes GET, HEAD"),
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
    target = find("POST", "/v2/models/d\u00e9j\u00e0 vu/versions/3/infer")
    assert (target.model, target.version) == ("d\u00e9j\u00e0 vu", "3")
    assert find("GET", "/v2/models/digits").version is None
    assert (find("POST", "/v1/models/a/versions/3:predict").version, find("POST", "/predict").model) == ("3", "")
    assert find("GET", "/v2/models/100%25").model == "100%25", "it was decoded once already"
