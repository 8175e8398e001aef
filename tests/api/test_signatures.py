from __future__ import annotations

import base64
import json

import pytest

from shipway.errors import NotFound, UserError
from tests.api.served_hub import Hub

PATH = "/v1/models/digits/versions/champion/signatures"


def test_a_bundle_goes_in_as_it_is_and_comes_out(hub: Hub) -> None:
    assert hub.client.get(PATH)["signatures"] == []
    hub.client.post(PATH, {"mediaType": "any"})
    (bundle,) = hub.client.get(PATH)["signatures"]
    assert json.loads(base64.b64decode(bundle)) == {"mediaType": "any"}


def test_a_large_one_is_refused(hub: Hub) -> None:
    with pytest.raises(UserError, match="larger than 262144 bytes"):
        hub.client.post(PATH, {"mediaType": "x" * 300_000})
    assert hub.signatures.bundles == []


def test_names_and_versions_are_checked(hub: Hub) -> None:
    with pytest.raises(NotFound):
        hub.client.get("/v1/models/nobody/versions/1/signatures")
    with pytest.raises(UserError):
        hub.client.get("/v1/models/NO!/versions/1/signatures")
    with pytest.raises(UserError, match="unknown query parameter"):
        hub.client.get(f"{PATH}?key=x")
