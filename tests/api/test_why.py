"""Stories over HTTP, and who asked for what."""

from __future__ import annotations

import getpass
import http.client
import json
import socket
from datetime import timedelta
from typing import Any

import pytest

from shipway.client import BY, who
from shipway.errors import NotFound, UserError
from shipway.ports import Entry
from tests.api.served_hub import NOW, Hub

JOB = "/apis/shipway.dev/v1alpha1/modeljobs/d"


def document(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "shipway.dev/v1alpha1",
        "kind": "ModelJob",
        "metadata": {"name": "d"},
        "spec": {"command": ["x"], **spec},
    }


def apply(hub: Hub, dry_run: bool = False, **spec: Any) -> None:
    hub.client.post("/v1/apply", {"objects": [document(**spec)], "dryRun": dry_run})


def asked(hub: Hub) -> list[tuple[str, str, str]]:
    return [(one.subject, one.reason, one.message) for one in hub.journal.entries(type="event")]


def test_a_story(hub: Hub) -> None:
    apply(hub)
    hub.journal.append(Entry("decision", "ModelJob/d", "CacheOff", "cache is off", NOW, {"run": "d-1", "attempt": 1}))
    told = hub.client.get("/v1/why/modeljobs/d")
    assert (told["subject"], told["exists"]) == ("ModelJob/d", True)
    assert [one["text"] for one in told["lines"]] == [f"created by {who()}", "started run d-1 because cache is off"]
    assert told["lines"][1]["data"] == {"run": "d-1", "attempt": 1}
    assert told["lines"][1]["at"] == "2026-01-01T00:00:00Z"


def test_since(hub: Hub) -> None:
    apply(hub)
    later = (NOW + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert hub.client.get(f"/v1/why/modeljobs/d?since={later}")["lines"] == []
    with pytest.raises(UserError, match="since"):
        hub.client.get("/v1/why/modeljobs/d?since=yesterday")


def test_what_nobody_knows(hub: Hub) -> None:
    with pytest.raises(NotFound, match="the journal tells nothing"):
        hub.client.get("/v1/why/modeljobs/nobody")
    with pytest.raises(NotFound, match="the kinds are"):
        hub.client.get("/v1/why/pods/d")
    with pytest.raises(NotFound, match="no model"):
        hub.client.get("/v1/models/nobody/history")


def test_history(hub: Hub) -> None:
    data = {"to": "d-00001", "model": {"name": "m", "version": 2}, "by": "ada", "why": "new", "cluster": "local"}
    hub.journal.append(Entry("ledger", "ModelService/d", "Live", "", NOW, data))
    [tenure] = hub.client.get("/v1/models/m/history")["tenures"]
    assert (tenure["version"], tenure["service"], tenure["by"], tenure["until"]) == (2, "d", "ada", None)


def test_who_applied_what_is_kept(hub: Hub) -> None:
    apply(hub)
    apply(hub)
    apply(hub, params={"C": 1}, retries=2)
    apply(hub, dry_run=True, params={"C": 2})
    assert asked(hub) == [
        ("ModelJob/d", "Applied", f"created by {who()}"),
        ("ModelJob/d", "Applied", f"changed spec.params, spec.retries by {who()}"),
    ]
    assert hub.journal.entries()[-1].data == {
        "by": who(),
        "result": "configured",
        "generation": 2,
        "changed": ["spec.params", "spec.retries"],
    }


def test_who_put_and_deleted_is_kept(hub: Hub) -> None:
    hub.client.put(JOB, document())
    hub.client.delete(JOB)
    assert [reason for _, reason, _ in asked(hub)] == ["Applied", "DeleteAsked"]
    with pytest.raises(NotFound):
        hub.client.delete(JOB)
    assert len(asked(hub)) == 2


def test_who_took_all_down_is_kept_before_it_goes(hub: Hub) -> None:
    apply(hub)
    hub.client.post("/v1/down", {"all": True})
    assert asked(hub)[-1][:2] == ("ModelJob/d", "DeleteAsked")
    hub.client.post("/v1/down", {"objects": [{"kind": "ModelJob", "name": "other"}]})
    assert len(asked(hub)) == 2


def test_who_is_the_account_and_the_program() -> None:
    assert who().startswith(f"{getpass.getuser()} (")
    assert who().isascii()


@pytest.mark.parametrize(
    ("said", "kept"),
    [("ada", "ada"), ("", "a client of the API"), ("x" * 500, "x" * 100), ("a\tb", "ab")],
)
def test_what_a_client_says_of_itself_is_cut_to_size(hub: Hub, said: str, kept: str) -> None:
    link = http.client.HTTPConnection("localhost")
    link.sock = socket.socket(socket.AF_UNIX)
    link.sock.connect(str(hub.socket))
    link.request("PUT", JOB, json.dumps(document()), {BY: said})
    link.getresponse().read()
    link.close()
    assert [entry.data["by"] for entry in hub.journal.entries(type="event")] == [kept]
