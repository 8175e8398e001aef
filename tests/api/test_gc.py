"""The garbage collection over HTTP."""

from __future__ import annotations

import pytest

from shipway.errors import InvalidObject
from tests.api.served_hub import Hub


def test_what_would_go_is_told_and_then_it_goes(hub: Hub) -> None:
    hub.layout.put_blob(b"garbage")
    for dry_run in (True, False):
        *_, (event, result) = hub.client.stream("/v1/gc", {"dryRun": dry_run})
        assert event == "result"
        assert (result["dryRun"], result["bytes"]) == (dry_run, 7)
        assert [one["what"] for one in result["items"]] == ["blobs"]
    *_, (_, result) = hub.client.stream("/v1/gc", {"dryRun": True})
    assert result["items"] == []


@pytest.mark.parametrize("document", [{}, {"dryRun": "perhaps"}, {"dryRun": True, "more": 1}])
def test_whether_to_delete_must_be_said(hub: Hub, document: dict[str, object]) -> None:
    with pytest.raises(InvalidObject):
        list(hub.client.stream("/v1/gc", document))
