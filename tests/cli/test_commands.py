"""Every command: what it sends, what it prints, how it ends."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from shipway.client import Answer
from shipway.deploy import requests
from tests.cli.conftest import Shipway
from tests.cli.fake_hub import BASE, Events, FakeHub
from tests.cli.worlds import T0, T3, job, model, own_server, revision, run, sent, service, serving, succeeded

PROJECT = """\
apiVersion: shipway.dev/v1alpha1
kind: ModelJob
metadata: {name: digits}
spec: {command: [python, train.py], model: digits}
---
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata: {name: digits}
spec: {model: digits}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "digits"
    folder.mkdir()
    (folder / "shipway.yaml").write_text(PROJECT)
    (folder / "train.py").write_text("1")
    return folder


TAIL = '\x1eshipway-metrics {"metrics": {"loss": 1}}\nTraceback\nValueError: no\n'


class Stdin(io.TextIOWrapper):
    """Standard input with this content."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))


def applied(hub: FakeHub, *objects: Any, result: str = "created") -> None:
    """The hub answers every apply with these objects, and shows them settled as they are."""
    hub.objects(*sent(*objects))

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        keys = [(one["kind"], one["metadata"]["name"]) for one in body["objects"]]
        return {"results": [{"result": result, "object": one.to_json()} for one in objects if one.key in keys]}

    hub.routes["POST /v1/apply"] = answer


# -- up


def test_up_uploads_applies_and_prints_the_result(shipway: Shipway, hub: FakeHub, project: Path) -> None:
    applied(hub, succeeded(job()), model(1), serving(service()))
    uploads: list[str] = []

    class AnyUpload(dict[str, Any]):
        def get(self, route: str, default: Any = None) -> Any:
            if route.startswith("PUT /v1/artifacts/sha256:"):
                uploads.append(route)
                return {"digest": route.rpartition("/")[2]}
            return super().get(route, default)

    hub.routes = AnyUpload(hub.routes)
    ended = shipway("up", project)
    assert ended.code == 0, ended.err
    assert len(uploads) == 1
    (sent_objects,) = hub.sent("POST /v1/apply")
    first = sent_objects["objects"][0]
    assert sorted(first) == ["apiVersion", "kind", "metadata", "spec"]
    assert first["metadata"] == {"name": "digits"}
    assert first["spec"]["source"]["digest"].startswith("sha256:")
    digest = "sha256:" + "0" * 64
    assert ended.out.splitlines() == [
        "train digits: done in 3.0 s, accuracy 0.9722",
        "pack digits: done, digits:1",
        "roll out digits-00001: done, 1/1 replicas ready",
        f"model    digits:1  {digest}  accuracy 0.9722",
        "service  digits  http://127.0.0.1:1/digits",
        "try it   curl -s http://127.0.0.1:1/digits/v2/models/digits",
    ]


@pytest.fixture
def has_snapshots(hub: FakeHub) -> FakeHub:
    """A hub that has every snapshot already."""

    class Known(dict[str, Any]):
        def get(self, route: str, default: Any = None) -> Any:
            return {} if route.startswith("GET /v1/artifacts/") else super().get(route, default)

    hub.routes = Known(hub.routes)
    return hub


def test_up_with_nothing_changed_says_why(shipway: Shipway, has_snapshots: FakeHub, project: Path) -> None:
    applied(has_snapshots, succeeded(job()), model(1), serving(service()), result="unchanged")
    assert shipway("up", project).out.startswith("up to date: job fingerprint seen in digits:1\n")
    document = shipway("up", project, "-o", "json").json
    assert document["upToDate"] is True
    assert document["jobs"][0]["version"] == "digits:1"
    assert document["services"][0]["url"] == "http://127.0.0.1:1/digits"


def test_up_follows_the_watch_and_prints_every_transition(
    shipway: Shipway, has_snapshots: FakeHub, project: Path
) -> None:
    hub = has_snapshots
    running = job().mark_started(run(), T0)
    applied(hub, running, model(1), service())
    states: list[Any] = [running.mark_packing(run(), {}, T0), succeeded(job()), serving(service())]
    hub.routes[f"WATCH {BASE}"] = Events(
        [
            ("change", {"type": "MODIFIED", "version": n, "object": one.to_json()})
            for n, one in enumerate(states, start=2)
        ]
    )
    points = [{"id": 1, "run": "digits-abcd-1-1", "name": "loss", "value": 0.25, "step": 3}]
    unread = [points]  # asked again with ?after=1 there are none
    hub.routes["GET /v1/metrics/modeljobs/digits"] = lambda _: {"points": unread.pop() if unread else []}
    ended = shipway("up", project)
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[:6] == [
        "  digits step 3: loss 0.25",
        "train digits ...",
        "train digits: done in 3.0 s",
        "pack digits ...",
        "pack digits: done, digits:1",
        "roll out digits-00001: done, 1/1 replicas ready",
    ]


def test_up_reports_a_failed_job_with_its_log(shipway: Shipway, has_snapshots: FakeHub, project: Path) -> None:
    failed = job().mark_failed(run(), "Error", "exit code 3", TAIL, "/h/log", T0)
    applied(has_snapshots, failed, model(1), serving(service()))
    ended = shipway("up", project)
    assert ended.code == 1
    assert ended.err.splitlines() == [
        "error: ModelJob/digits: exit code 3",
        "",
        "    Traceback",
        "    ValueError: no",
        "",
        "the full log: /h/log",
        "digits goes on serving digits-00001 (digits:1)",
    ]
    ended = shipway("up", project, "-o", "json")
    assert (ended.code, ended.json["error"]["code"]) == (1, "WorkloadFailed")
    assert ended.json["failures"][0]["tail"] == TAIL


def test_up_asks_once_more_for_what_failed_and_did_not_change(
    shipway: Shipway, has_snapshots: FakeHub, project: Path
) -> None:
    failed = job().mark_failed(run(), "Error", "exit code 3", "", "", T0)
    applied(has_snapshots, failed, model(1), serving(service()), result="unchanged")
    assert shipway("up", project).code == 1
    first, second = has_snapshots.sent("POST /v1/apply")
    assert "annotations" not in first["objects"][0]["metadata"]
    assert [one["kind"] for one in second["objects"]] == ["ModelJob"]
    assert list(second["objects"][0]["metadata"]["annotations"]) == ["shipway.dev/retrain"]


def test_up_retrain_and_timeout(shipway: Shipway, has_snapshots: FakeHub, project: Path) -> None:
    applied(has_snapshots, job(), model(1), serving(service()))
    ended = shipway("up", project, "--retrain", "--timeout", "0.01")
    assert ended.code == 1
    assert ended.err.startswith("error: not settled after 0.01 s: train digits, roll out digits")
    (body,) = has_snapshots.sent("POST /v1/apply")
    assert "shipway.dev/retrain" in body["objects"][0]["metadata"]["annotations"]
    assert "annotations" not in body["objects"][1]["metadata"]


@pytest.mark.parametrize("code", ["NotFound", "HubUnreachable"])
def test_up_reads_anew_when_the_watch_breaks(
    shipway: Shipway, has_snapshots: FakeHub, project: Path, code: str
) -> None:
    hub = has_snapshots
    applied(hub, job(), model(1), serving(service()))

    def broken(_: object) -> Events:
        hub.objects(*sent(succeeded(job()), model(1), serving(service())))
        return Events([("error", {"error": {"code": code, "message": "it broke"}})])

    hub.routes[f"WATCH {BASE}"] = broken
    assert shipway("up", project).code == 0


def test_up_gives_up_on_a_hub_that_dies_again_and_again(
    shipway: Shipway, has_snapshots: FakeHub, project: Path
) -> None:
    applied(has_snapshots, job(), model(1), serving(service()))
    error = {"code": "HubUnreachable", "message": "it died"}
    has_snapshots.routes[f"WATCH {BASE}"] = Events([("error", {"error": error})])
    assert shipway("up", project).code == 5
    assert len(has_snapshots.sent("GET /healthz")) == 6


def test_ctrl_c_ends_the_watching_and_says_so(
    shipway: Shipway, has_snapshots: FakeHub, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    applied(has_snapshots, job(), model(1), serving(service()))
    monkeypatch.setattr("shipway.cli.up.follow", interrupted)
    ended = shipway("up", project)
    assert ended.code == 130
    assert ended.err.startswith("interrupted; the work goes on. See it with: shipway status")


def test_up_without_a_project(shipway: Shipway, tmp_path: Path) -> None:
    ended = shipway("up", tmp_path, "-o", "json")
    assert ended.code == 3
    assert ended.json["error"]["code"] == "NotFound"
    assert "shipway init" in ended.json["error"]["nextStep"]


# -- the rest of the verbs


def test_init(shipway: Shipway, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("")
    ended = shipway("init", tmp_path)
    assert (ended.code, ended.out) == (0, (tmp_path / "shipway.yaml").read_text())
    assert f"next: shipway up {tmp_path}" in ended.err
    assert shipway("init", tmp_path).code == 2


def test_apply_and_delete(shipway: Shipway, has_snapshots: FakeHub, project: Path) -> None:
    hub = has_snapshots
    applied(hub, job(), service())
    assert shipway("apply", "-f", project).out == "ModelJob/digits created\nModelService/digits created\n"
    hub.routes[f"DELETE {BASE}/modelservices/digits"] = {}
    assert shipway("delete", "svc", "digits").out == "ModelService/digits deleted\n"
    assert shipway("delete", "-f", project / "shipway.yaml").out == "ModelService/digits deleted\n"
    assert shipway("delete", "job", "digits").code == 3
    assert shipway("delete", "job").code == 2


class Dying:
    """A hub that dies over its first ``deaths`` requests of a kind; then it answers."""

    def __init__(self, deaths: int, answer: Any) -> None:
        self.deaths, self.answer = deaths, answer

    def __call__(self, body: object) -> Any:
        self.deaths -= 1
        if self.deaths >= 0:
            return 503, {"error": {"code": "HubUnreachable", "message": "it died", "nextStep": ""}}
        return self.answer(body) if callable(self.answer) else self.answer


@pytest.mark.parametrize(("deaths", "code"), [(1, 0), (5, 0), (6, 5)])
def test_what_a_dying_hub_did_not_answer_is_asked_again(
    shipway: Shipway, has_snapshots: FakeHub, project: Path, deaths: int, code: int
) -> None:
    hub = has_snapshots
    gone = (404, {"error": {"code": "NotFound", "message": "there is no such job", "nextStep": ""}})
    hub.routes[f"DELETE {BASE}/modeljobs/digits"] = Dying(deaths, gone)  # the one that died had done it
    assert shipway("delete", "job", "digits").code == code
    hub.routes["POST /v1/down"] = Dying(deaths, {"deleted": []})
    assert shipway("down").code == code
    for words in (("apply", "-f"), ("up",)):
        applied(hub, succeeded(job()), model(1), serving(service()))
        hub.routes["POST /v1/apply"] = Dying(deaths, hub.routes["POST /v1/apply"])
        assert shipway(*words, project).code == code


def test_apply_from_stdin(shipway: Shipway, has_snapshots: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    applied(has_snapshots, service())
    monkeypatch.setattr(sys, "stdin", Stdin(PROJECT.partition("---\n")[2].encode()))
    assert shipway("apply", "-f", "-", "-o", "json").json == [
        {"kind": "ModelService", "name": "digits", "result": "created"}
    ]


def test_down(shipway: Shipway, hub: FakeHub, project: Path) -> None:
    hub.routes["POST /v1/down"] = {"deleted": ["ModelService/digits"]}
    assert shipway("down", project).out == "ModelService/digits is down\n"
    assert shipway("down").code == shipway("down", "--all").code == 0
    assert shipway("down", project, "--all").code == 2
    assert hub.sent("POST /v1/down") == [
        {"objects": [{"kind": "ModelJob", "name": "digits"}, {"kind": "ModelService", "name": "digits"}]},
        {"all": True},
        {"all": True},
    ]


# -- reading


def test_lists(shipway: Shipway, hub: FakeHub) -> None:
    hub.objects(*sent(succeeded(job()), model(1, champion=1), serving(service())))
    header, row = shipway("jobs").out.splitlines()
    assert header.split() == ["NAME", "PHASE", "REASON", "VERSION", "METRICS", "AGE"]
    assert row.split()[:6] == ["digits", "Succeeded", "Succeeded", "digits:1", "accuracy", "0.9722"]
    assert shipway("get", "ModelJob", "digits", "-o", "json").json["metadata"]["name"] == "digits"
    assert shipway("services", "-o", "wide").out.splitlines()[1].split()[:4] == [
        "digits",
        "1/1",
        "digits:1",
        "RolledOut",
    ]
    assert shipway("get", "models", "-o", "yaml").out.startswith("- apiVersion: shipway.dev/v1alpha1\n")
    assert shipway("get", "models").out.splitlines()[1].split()[:3] == ["digits", "1", "digits:1"]
    assert shipway("get", "job", "other").code == 3
    assert shipway("get", "jbo").err.startswith("error: 'jbo' is not a kind\ndid you mean 'job'?")


def test_an_empty_list(shipway: Shipway, hub: FakeHub) -> None:
    hub.objects()
    assert shipway("services").out == "nothing here yet: shipway up\n"
    assert shipway("services", "-o", "json").json == []


def test_watch_prints_changes(shipway: Shipway, hub: FakeHub) -> None:
    hub.objects(*sent(job()))
    changes = [
        ("change", {"type": kind, "version": 2, "object": one})
        for kind, one in zip(["MODIFIED", "DELETED"], sent(succeeded(job()), job()), strict=True)
    ]
    hub.routes[f"WATCH {BASE}/modeljobs"] = Events(changes)
    lines = shipway("jobs", "-w").out.splitlines()
    assert [line.split()[1] for line in lines] == ["PHASE", "Pending", "Succeeded", "Pending"]
    assert lines[-1].endswith("  deleted")
    assert shipway("jobs", "digits", "-w", "-o", "yaml").out.count("---\n") == 2


def test_status(shipway: Shipway, hub: FakeHub) -> None:
    hub.objects()
    assert shipway("status").out.endswith("nothing is up: shipway up FOLDER\n")
    hub.objects(*sent(serving(service()), succeeded(job()), revision()))
    text = shipway("status").out
    assert "\nservices\nNAME" in text
    assert "\njobs\nNAME" in text
    assert [one["kind"] for one in shipway("status", "-o", "json").json["objects"]] == ["ModelService", "ModelJob"]


def test_status_shows_first_what_is_not_well(shipway: Shipway, hub: FakeHub) -> None:
    ill = service().model_copy(update={"metadata": service().metadata.model_copy(update={"name": "zebra"})})
    ill = ill.with_condition("Ready", "False", "NoReadyReplica", "", T3)
    hub.objects(*sent(serving(service()), ill))
    text = shipway("status").out
    assert "\nservices: 1 of 2 not well, shown first\nNAME" in text
    assert text.index("zebra") < text.index("digits ")
    hub.objects(*sent(ill.with_condition("Ready", "False", "ScaledToZero", "", T3)))
    assert "\nservices\nNAME" in shipway("status").out


def test_without_a_hub(shipway: Shipway) -> None:
    ended = shipway("status", "-o", "json")
    assert (ended.code, ended.json["error"]["code"]) == (5, "HubUnreachable")
    assert shipway("hub", "status").code == 5
    assert shipway("hub", "stop").out == "no hub runs\n"


def test_logs(shipway: Shipway, hub: FakeHub) -> None:
    hub.objects(*sent(job(), service()))
    lines = [
        {"workload": "w", "replica": 0, "text": "one"},
        {"workload": "w", "replica": 1, "text": '\x1eshipway-metrics {"metrics": {}}'},
    ]
    hub.routes["GET /v1/logs/modelservices/digits"] = Events([("line", one) for one in lines])
    ended = shipway("logs", "digits", "--tail", "5")
    assert ended.out == 'one\n==> w replica 1 <==\nmetrics {"metrics": {}}\n'
    assert "there is also: shipway logs modeljobs/digits" in ended.err
    error = {"error": {"code": "NotFound", "message": "no run yet", "nextStep": ""}}
    hub.routes["GET /v1/logs/modeljobs/digits"] = Events([("error", error)])
    assert shipway("logs", "job/digits", "-f").code == 3
    assert shipway("logs", "other").code == 3


# -- predict


def test_predict(shipway: Shipway, hub: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[str, str, bytes | None]] = []

    def call(method: str, url: str, body: bytes | None = None) -> Answer:
        asked.append((method, url, body))
        return Answer(400 if body == b"[]" else 200, '{"error": "expected inputs"}' if body == b"[]" else "[7]\n")

    monkeypatch.setattr("shipway.cli.predict.call", call)
    hub.objects(*sent(serving(service())))
    assert shipway("predict", "digits", "-d", '{"inputs": []}').out == "[7]\n"
    ended = shipway("predict", "digits", "-d", "[]")
    assert (ended.code, ended.err) == (1, "error: digits answered 400: expected inputs\n")
    monkeypatch.setattr(sys, "stdin", Stdin(b'{"x": 1}'))
    assert shipway("predict", "digits", "-").code == 0
    (tmp_path / "body.json").write_text('{"inputs": 1}')
    assert shipway("predict", "digits", "--file", tmp_path / "body.json").code == 0
    url = "http://127.0.0.1:1/digits"
    assert [one[1] for one in asked] == [f"{url}/v2/models/digits/infer", *[f"{url}/predict"] * 3]


@pytest.mark.parametrize("words", [[], ["-d", "{}", "-"], ["x"]])
def test_predict_needs_one_body(shipway: Shipway, words: list[str]) -> None:
    assert shipway("predict", "digits", *words).code == 2


def test_predict_of_a_service_that_is_not_up(shipway: Shipway, hub: FakeHub) -> None:
    hub.objects(*sent(service()))
    assert shipway("predict", "digits", "-d", "{}").code == 1
    hub.objects(*sent(serving(service())))
    assert shipway("predict", "digits", "-d", "{}").code == 5  # nobody listens on port 1


def test_a_body_of_zeros_fits_the_declared_inputs() -> None:
    metadata = {
        "inputs": [
            {"name": "x", "datatype": "FP64", "shape": [-1, 3]},
            {"name": "s", "datatype": "BYTES", "shape": [-1]},
        ]
    }
    assert requests.zeros(metadata) == {
        "inputs": [
            {"name": "x", "shape": [1, 3], "datatype": "FP64", "data": [0, 0, 0]},
            {"name": "s", "shape": [1], "datatype": "BYTES", "data": [""]},
        ]
    }
    assert requests.zeros({"inputs": [{"name": "x", "datatype": "FP32", "shape": [3, 224, 224]}]}) is None
    assert requests.zeros({}) is None


def test_curl_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own,) = sent(serving(own_server(), None))
    (served,) = sent(serving(service()))
    url, header = "http://127.0.0.1:1/digits", "-H 'content-type: application/json'"
    assert requests.curl(own, None) == f"curl -s {url}/"
    sample = tmp_path / "sample.json"
    assert requests.curl(own, sample) == f"curl -s {url}/"
    sample.write_text('{"inputs": []}')
    assert requests.curl(own, sample) == f"curl -s {url}/predict {header} -d @{sample}"
    assert requests.curl(served, sample) == f"curl -s {url}/v2/models/digits/infer {header} -d @{sample}"
    metadata = json.dumps({"inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}]})
    monkeypatch.setattr(requests, "call", lambda *_, **__: Answer(200, metadata))
    body = '{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP64","data":[0,0]}]}'
    assert requests.curl(served, None) == f"curl -s {url}/v2/models/digits/infer {header} -d '{body}'"


# -- secrets, hub, completion


def test_secrets(shipway: Shipway, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.routes |= {
        "PUT /v1/secrets/token/KEY": {},
        "DELETE /v1/secrets/token": {},
        "DELETE /v1/secrets/token/KEY": {},
        "GET /v1/secrets": {"secrets": {"token": ["KEY"]}},
    }
    monkeypatch.setattr(sys, "stdin", Stdin(b"s3cret\n"))
    ended = shipway("secret", "set", "token", "KEY")
    assert (ended.code, ended.out) == (0, "token/KEY is set\n")
    assert hub.sent("PUT /v1/secrets/token/KEY") == [b"s3cret"]
    monkeypatch.setattr(sys, "stdin", Stdin(b""))
    assert shipway("secret", "set", "token", "KEY").code == 2
    assert shipway("secret", "list").out == "NAME   KEYS\ntoken  KEY\n"
    assert shipway("secret", "delete", "token", "KEY").out == "token/KEY is deleted\n"
    assert shipway("secret", "delete", "token").out == "token is deleted\n"


def test_hub(shipway: Shipway, hub: FakeHub) -> None:
    assert shipway("hub", "start").code == shipway("hub", "status").code == 0
    assert shipway("hub", "start", "--listen", "127.0.0.1:1").code == 2


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion(shipway: Shipway, shell: str) -> None:
    assert "_SHIPWAY_COMPLETE" in shipway("completion", shell).out
