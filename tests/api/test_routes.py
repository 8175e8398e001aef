"""The other groups of routes: artifacts, logs, journal, models, secrets, system."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from datetime import timedelta

import pytest

from shipway.errors import NotFound, PlatformError, UserError, WorkloadFailed
from shipway.kinds import ModelJob
from shipway.ports import Entry, MetricPoint
from tests.api.served_hub import NOW, Hub

DIGEST = "sha256:" + "a" * 64
ENTRY = Entry("decision", "ModelJob/d", "Started", "run d-1", NOW, {"camel_stays": 1})


def add_job(hub: Hub, name: str) -> None:
    spec = {"command": ["x"], "requirements": ["a==1"], "params": {"p": 1}}
    status = {"phase": "Failed", "tail": "Traceback ..."}
    hub.store.put(ModelJob.model_validate({"metadata": {"name": name}, "spec": spec, "status": status}))


def test_artifacts(hub: Hub) -> None:
    with pytest.raises(NotFound, match=DIGEST):
        hub.client.get(f"/v1/artifacts/{DIGEST}")
    content = b"tar" * 1_000_000
    assert hub.client.upload(f"/v1/artifacts/{DIGEST}", io.BytesIO(content), len(content)) == {"digest": DIGEST}
    assert hub.client.get(f"/v1/artifacts/{DIGEST}") == {"digest": DIGEST}
    assert hub.artifacts.stored == {DIGEST: content}
    assert list((hub.socket.parent.parent / "uploads").iterdir()) == [], "the upload's own file is gone"


def test_artifacts_that_are_wrong(hub: Hub) -> None:
    with pytest.raises(UserError, match="does not match"):
        hub.client.upload(f"/v1/artifacts/{DIGEST}", b"tampered", 8)
    with pytest.raises(UserError, match="64 hex"):
        hub.client.upload("/v1/artifacts/sha256:short", b"x" * 10_000_000, 10_000_000)
    assert hub.artifacts.stored == {}


def test_logs(hub: Hub) -> None:
    add_job(hub, "d")
    found = list(hub.client.stream("/v1/logs/modeljobs/d?tail=2"))
    assert [event for event, _ in found] == ["line", "line"]
    assert found[0][1] == {
        "at": "2026-01-01T00:00:00Z",
        "replica": 0,
        "stream": "stdout",
        "text": "ModelJob line 1",
        "workload": "d-1",
    }


def test_logs_end_with_the_error_that_ended_them(hub: Hub) -> None:
    add_job(hub, "broken")
    stream = hub.client.stream("/v1/logs/modeljobs/broken")
    assert len([next(stream), next(stream), next(stream)]) == 3
    with pytest.raises(WorkloadFailed, match="the log ended"):
        next(stream)


def test_logs_of_what_is_not_there(hub: Hub) -> None:
    with pytest.raises(NotFound, match="absent"):
        next(hub.client.stream("/v1/logs/modeljobs/absent"))


def test_logs_of_a_bug(hub: Hub) -> None:
    add_job(hub, "bug")
    with pytest.raises(PlatformError, match="oops"):
        list(hub.client.stream("/v1/logs/modeljobs/bug"))


def test_a_reader_that_goes_away_ends_the_reading(hub: Hub) -> None:
    add_job(hub, "d")
    stream = hub.client.stream("/v1/logs/modeljobs/d?follow=true")
    next(stream)
    assert not hub.logs_closed.is_set()
    stream.close()
    assert hub.logs_closed.wait(5)


def test_journal(hub: Hub) -> None:
    first = hub.journal.append(ENTRY)
    hub.journal.append(replace(ENTRY, subject="Model/d", type="ledger"))
    [entry] = hub.client.get("/v1/journal?subject=ModelJob/d")["entries"]
    assert entry == {
        "id": first.id,
        "type": "decision",
        "subject": "ModelJob/d",
        "reason": "Started",
        "message": "run d-1",
        "at": "2026-01-01T00:00:00Z",
        "data": {"camel_stays": 1},
    }
    assert len(hub.client.get("/v1/journal?limit=1")["entries"]) == 1
    assert [one["type"] for one in hub.client.get("/v1/journal?type=ledger")["entries"]] == ["ledger"]
    assert hub.client.get("/v1/journal?after=2")["entries"] == []


def test_the_newest_of_the_journal(hub: Hub) -> None:
    late = ENTRY.at + timedelta(hours=1)
    for at in (ENTRY.at, late, late):
        hub.journal.append(replace(ENTRY, at=at))
    since = late.isoformat().replace("+00:00", "Z")
    assert [one["id"] for one in hub.client.get("/v1/journal?newest=true&limit=2")["entries"]] == [2, 3]
    assert [one["id"] for one in hub.client.get("/v1/journal?newest=true&limit=1&before=3")["entries"]] == [2]
    assert [one["id"] for one in hub.client.get(f"/v1/journal?since={since}")["entries"]] == [2, 3]
    followed = hub.client.stream("/v1/journal?follow=true&newest=true&limit=1")
    assert next(followed)[1]["id"] == 3
    followed.close()
    with pytest.raises(UserError, match="follow has no end"):
        hub.client.get("/v1/journal?follow=true&before=3")


def test_journal_followed(hub: Hub) -> None:
    for number in range(3):
        hub.journal.append(replace(ENTRY, message=str(number)))
    stream = hub.client.stream("/v1/journal?follow=true&after=1&limit=1")
    assert [next(stream)[1]["message"] for _ in range(2)] == ["1", "2"]
    hub.journal.append(replace(ENTRY, message="3"))
    event, data = next(stream)
    assert (event, data["message"]) == ("entry", "3")
    stream.close()


def test_metrics(hub: Hub) -> None:
    point = MetricPoint("ModelJob/d", "d-1", "loss", 0.5, NOW, step=1)
    hub.journal.record([point, replace(point, value=math.nan), replace(point, run="d-2")])
    points = hub.client.get("/v1/metrics/modeljobs/d?run=d-1")["points"]
    assert [(one["name"], one["value"], one["step"]) for one in points[:1]] == [("loss", 0.5, 1)]
    assert math.isnan(points[1]["value"])
    assert [one["run"] for one in hub.client.get("/v1/metrics/modeljobs/d?after=2")["points"]] == ["d-2"]


def test_secrets_go_in_and_do_not_come_out(hub: Hub) -> None:
    assert hub.client.upload("/v1/secrets/db/PASSWORD", b"\x00hunter2\n", 9) == {"name": "db", "key": "PASSWORD"}
    hub.client.upload("/v1/secrets/db/USER", b"me", 2)
    assert hub.secrets.values["db"]["PASSWORD"] == b"\x00hunter2\n"
    assert hub.client.get("/v1/secrets") == {"secrets": {"db": ["PASSWORD", "USER"]}}
    hub.client.delete("/v1/secrets/db/USER")
    assert hub.client.get("/v1/secrets") == {"secrets": {"db": ["PASSWORD"]}}
    assert hub.client.delete("/v1/secrets/db") == {"name": "db"}
    with pytest.raises(NotFound):
        hub.client.delete("/v1/secrets/db")


@pytest.mark.parametrize("path", ["/v1/secrets/..%2Fx/KEY", "/v1/secrets/Bad/KEY", "/v1/secrets/db/BAD-KEY"])
def test_secret_names_are_checked(hub: Hub, path: str) -> None:
    with pytest.raises(UserError) as caught:
        hub.client.upload(path, b"value", 5)
    assert "value" not in caught.value.message
    assert hub.secrets.values == {}


def test_a_secret_that_is_too_large(hub: Hub) -> None:
    with pytest.raises(UserError, match="larger"):
        hub.client.upload("/v1/secrets/db/KEY", b"x" * 5_000_000, 5_000_000)


def test_health_and_workloads(hub: Hub) -> None:
    health = hub.client.get("/healthz")
    assert health["status"] == "ok"
    assert (health["pid"], health["home"], health["gateway"]["reason"]) == (1, "/home/x", "Programmed")
    [workload] = hub.client.get("/v1/workloads")["workloads"]
    assert (workload["name"], workload["startedAt"]) == ("d-00001", "2026-01-01T00:00:00Z")
    assert workload["replicas"][0]["address"] == "127.0.0.1:41234"
    assert workload["replicas"][0]["exitCode"] is None


def test_status_is_everything_in_short(hub: Hub) -> None:
    add_job(hub, "d")
    status = hub.client.get("/v1/status")
    [obj] = status["objects"]
    assert (obj["kind"], obj["metadata"]["name"], obj["metadata"]["generation"]) == ("ModelJob", "d", 1)
    assert obj["status"] == {"phase": "Failed", "observedGeneration": 0, "conditions": [], **_empty(obj["status"])}
    assert "tail" not in obj["status"]
    assert obj["spec"]["command"] == ["x"]
    assert not obj["spec"].keys() & {"requirements", "params", "env"}
    assert status["hub"]["version"] == "0.1.0"
    assert status["gateway"]["reason"] == "Programmed"


def test_shutdown_and_down(hub: Hub) -> None:
    assert hub.client.post("/v1/shutdown") == {"status": "stopping"}
    assert hub.shutdowns == 1
    assert hub.client.post("/v1/down", {"all": True}) == {"deleted": ["ModelService/d"]}
    hub.client.post("/v1/down", {"objects": [{"kind": "ModelJob", "name": "d"}]})
    assert [one.all for one in hub.downs] == [True, False]
    assert [(one.kind, one.name) for one in hub.downs[1].objects] == [("ModelJob", "d")]


def _empty(status: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in status.items() if not value}
