"""What a client promises, in both colours, against the API itself over fakes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy
import pytest

import shipway
from shipway import kinds
from shipway.errors import (
    EnvironmentFault,
    HubUnreachable,
    InvalidObject,
    NotFound,
    Refused,
    ShipwayError,
    UserError,
    WorkloadFailed,
)
from shipway.kinds import Model, ModelJob, ModelService, ModelSpec, ObjectMeta, Run
from shipway.models import Lineage
from shipway.ports import MetricPoint
from tests.api.served_hub import TOKEN, Hub
from tests.cli.worlds import job, model, run, serving, succeeded
from tests.cli.worlds import service as service_of
from tests.sdk.clients import COLOURS, client

NOW = datetime(2026, 1, 1, tzinfo=UTC)
YAML = """\
apiVersion: shipway.dev/v1alpha1
kind: ModelJob
metadata: {name: digits}
spec: {command: [python, train.py], model: digits}
"""


def put(hub: Hub, obj: kinds.Object) -> kinds.Object:
    """Store an object as it is, status included."""
    return hub.store.put(obj.model_copy(update={"metadata": obj.metadata.model_copy(update={"generation": 0})}))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shipway.yaml").write_text(YAML)
    (tmp_path / "train.py").write_text("1")
    return tmp_path


# -- objects


@pytest.mark.parametrize("kind", ["job", "ModelJob", "modeljobs", kinds.ModelJob, shipway.ModelJob])
def test_a_kind_is_a_class_or_a_word(client_of_home: Any, hub: Hub, kind: Any) -> None:
    put(hub, job())
    found = client_of_home.get(kind, "digits")
    assert isinstance(found, shipway.ModelJob) and found.spec.command == ("python", "train.py")


def test_list_of_a_kind_and_of_all(client_of_home: Any, hub: Hub) -> None:
    put(hub, job())
    put(hub, model(1))
    assert [one.key for one in client_of_home.list("models")] == [("Model", "digits")]
    assert {one.kind for one in client_of_home.list()} == {"ModelJob", "Model"}


@pytest.mark.parametrize(
    "act, error",
    [
        (lambda one: one.get("job", "nope"), NotFound),
        (lambda one: one.get("jbo", "digits"), UserError),
        (lambda one: one.get(int, "digits"), UserError),
        (lambda one: one.get("job", "a/../b?x=1 \n"), ShipwayError),
        (lambda one: one.delete("job", "nope"), NotFound),
        (lambda one: one.wait("job", "nope"), NotFound),
        (lambda one: one.apply({"kind": "Modl"}), InvalidObject),
        (lambda one: one.apply([]), InvalidObject),
        (lambda one: one.apply(3), UserError),
        (lambda one: one.apply([3]), UserError),
        (lambda one: one.apply("/nowhere"), NotFound),
        (lambda one: one.up("/nowhere"), NotFound),
        (lambda one: list(one.logs("job", "nope")), NotFound),
        (lambda one: one.metrics("nope"), NotFound),
        (lambda one: one.predict("nope", 1), NotFound),
    ],
)
def test_what_is_wrong_is_an_error_of_the_tree(
    client_of_home: Any, act: Callable[[Any], Any], error: type[ShipwayError]
) -> None:
    with pytest.raises(error):
        act(client_of_home)


def test_apply_a_folder_uploads_what_the_hub_lacks(client_of_home: Any, hub: Hub, project: Path) -> None:
    [applied] = client_of_home.apply(project)
    assert applied.metadata.generation == 1
    assert list(hub.artifacts.stored) == [applied.spec.source.digest]
    [again] = client_of_home.apply(str(project))
    assert again.metadata.resource_version == applied.metadata.resource_version


def test_apply_an_object_a_dict_or_several(client_of_home: Any, monkeypatch: Any, project: Path) -> None:
    monkeypatch.chdir(project)
    made = Model(metadata=ObjectMeta(name="m"), spec=ModelSpec(description="mine"))
    written = {"apiVersion": kinds.API_VERSION, "kind": "ModelJob", "metadata": {"name": "j"}}
    applied = client_of_home.apply([made, {**written, "spec": {"command": ["python", "train.py"]}}])
    assert [one.key for one in applied] == [("Model", "m"), ("ModelJob", "j")]
    assert applied[1].spec.source.digest is not None, "its files are those of the working directory"
    assert client_of_home.apply(client_of_home.get("job", "j")) == [applied[1]], "what was read can be applied"


def test_delete_returns_when_it_is_gone(client_of_home: Any, hub: Hub) -> None:
    held = job().model_copy(update={"metadata": ObjectMeta(name="digits", finalizers=("shipway.dev/x",))})
    stored = put(hub, held)
    later = threading.Timer(0.1, release, [hub, stored.key])
    later.start()
    client_of_home.delete("job", "digits")
    with pytest.raises(NotFound):
        hub.store.get(*stored.key)
    client_of_home.delete("job", "digits", missing_ok=True)
    later.join()


def release(hub: Hub, key: tuple[str, str]) -> None:
    """End what holds an object that is being deleted."""
    while (one := hub.store.get(*key)).metadata.deletion_timestamp is None:
        threading.Event().wait(0.01)
    hub.store.put(one.model_copy(update={"metadata": one.metadata.model_copy(update={"finalizers": ()})}))


# -- watch and wait


def test_watch_begins_with_what_is_there_and_goes_on(client_of_home: Any, hub: Hub) -> None:
    put(hub, job())
    with closing(client_of_home.watch()) as changes:
        first = next(changes)
        put(hub, model(1))
        second = next(changes)
    assert (first.type, first.object.key, second.object.key) == ("ADDED", ("ModelJob", "digits"), ("Model", "digits"))
    hub.store.delete("Model", "digits")
    with closing(client_of_home.watch("models", since=first.version)) as changes:
        assert next(changes) == second
        gone = next(changes)
    assert (gone.type, gone.object.name) == ("DELETED", "digits")
    with pytest.raises(NotFound):
        next(client_of_home.watch(since=10**6))


def test_wait_sees_the_condition_come(client_of_home: Any, hub: Hub) -> None:
    stored = put(hub, job())
    assert isinstance(stored, ModelJob)
    later = threading.Timer(0.1, lambda: hub.store.put(succeeded(stored)))
    later.start()
    assert client_of_home.wait(shipway.ModelJob, "digits").status.version == "digits:1"
    later.join()


def test_wait_raises_what_failed_with_its_log(client_of_home: Any, hub: Hub) -> None:
    stored = put(hub, job())
    assert isinstance(stored, ModelJob)
    hub.store.put(stored.mark_failed(run(), "Error", "exit code 1", "Traceback\nValueError: no", "/log", NOW))
    with pytest.raises(WorkloadFailed, match=r"exit code 1(.|\n)*ValueError: no"):
        client_of_home.wait("job", "digits")


def test_wait_ends_in_time(client_of_home: Any, hub: Hub) -> None:
    put(hub, job())
    with pytest.raises(WorkloadFailed, match="ModelJob/digits is not Complete after 0 s"):
        client_of_home.wait("job", "digits", timeout=0)


# -- what runs


def test_logs_once_and_followed(client_of_home: Any, hub: Hub) -> None:
    put(hub, job())
    lines = list(client_of_home.logs("job", "digits"))
    assert [str(one) for one in lines] == [f"ModelJob line {number}" for number in range(3)]
    assert (lines[0].workload, lines[0].replica, lines[0].at.tzinfo) == ("digits-1", 0, UTC)
    assert len(list(client_of_home.logs("job", "digits", tail=1))) == 1
    hub.logs_closed.clear()
    with closing(client_of_home.logs("job", "digits", follow=True)) as followed:
        assert str(next(followed)) == "ModelJob line 0"
        assert not hub.logs_closed.is_set()
    assert hub.logs_closed.wait(10), "who stops reading ends the hub's stream"


def test_an_error_in_a_stream_is_raised(client_of_home: Any, hub: Hub) -> None:
    put(hub, job().model_copy(update={"metadata": ObjectMeta(name="broken")}))
    with pytest.raises(WorkloadFailed, match="the log ended"):
        list(client_of_home.logs("job", "broken"))


def test_metrics_are_curves_of_the_latest_attempt(client_of_home: Any, hub: Hub) -> None:
    stored = put(hub, job())
    assert isinstance(stored, ModelJob)
    hub.store.put(stored.mark_started(Run(id="digits-1", fingerprint=run().fingerprint, started_at=NOW), NOW))
    for which, step, value in (("digits-1-1", 0, 9.0), ("digits-1-2", 0, 0.5), ("digits-1-2", 1, 0.25)):
        hub.journal.record([MetricPoint("ModelJob/digits", which, "loss", value, NOW, step)])
    found = client_of_home.metrics("digits")
    assert (found["loss"].steps, found["loss"].values, found["loss"].last) == ((0, 1), (0.5, 0.25), 0.25)
    assert repr(found) == "<Metrics loss 0.25 after 2>"
    shown = client_of_home.get("job", "digits")._repr_html_()
    assert "<polyline" in shown and "loss: 0.25 at step 1" in shown


def test_up_of_what_is_settled_at_once(client_of_home: Any, hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "shipway.yaml").write_text(
        f"apiVersion: {kinds.API_VERSION}\nkind: Model\nmetadata: {{name: m}}\nspec: {{}}\n"
    )
    seen: list[bool] = []
    deployed = client_of_home.up(tmp_path, on_progress=lambda state, points: seen.append(state.settled))
    assert seen == [True]
    assert (deployed.up_to_date, client_of_home.up(tmp_path).up_to_date) == (False, True)
    with pytest.raises(NotFound, match="declares no service"):
        _ = deployed.url


def test_up_raises_the_tail_of_the_log(client_of_home: Any, hub: Hub, project: Path) -> None:
    def fail() -> None:
        while not (found := hub.store.list("ModelJob")[0]):
            threading.Event().wait(0.01)
        [one] = found
        assert isinstance(one, ModelJob)
        hub.store.put(one.mark_failed(run(), "Error", "exit code 1", "Traceback\nValueError: no", "/log", NOW))

    failing = threading.Thread(target=fail)
    failing.start()
    with pytest.raises(WorkloadFailed, match=r"ModelJob/digits: exit code 1(.|\n)*ValueError: no(.|\n)*/log"):
        client_of_home.up(project)
    failing.join()


def test_up_ends_in_time(client_of_home: Any, project: Path) -> None:
    with pytest.raises(WorkloadFailed, match="not settled after 0 s: train digits"):
        client_of_home.up(project, timeout=0)


def test_down(client_of_home: Any, hub: Hub, project: Path) -> None:
    assert client_of_home.down() == ["ModelService/d"]
    assert client_of_home.down(project) == ["ModelService/d"]
    assert [one.all for one in hub.downs] == [True, False]


# -- predictions


@contextmanager
def server(status: int, answer: bytes) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """A model server that gives one answer, and keeps what it was asked."""
    asked: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.server_port}/digits", asked
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


def up_at(hub: Hub, url: str) -> ModelService:
    stored = put(hub, service_of())
    assert isinstance(stored, ModelService)
    return hub.store.put(serving(stored, url=url))  # type: ignore[return-value]


def test_predict_sends_rows_and_gives_the_output(client_of_home: Any, hub: Hub) -> None:
    with server(200, b'{"output": [7]}') as (url, asked):
        one = up_at(hub, url)
        assert client_of_home.predict("digits", numpy.zeros((1, 2))) == [7]
        assert client_of_home.predict(one, {"input": [[0, 0]]}) == [7]
    assert asked == [("/digits/predict", {"input": [[0, 0]]})] * 2


def test_predict_raises_what_the_server_said(client_of_home: Any, hub: Hub) -> None:
    with server(400, b'{"error": "rows have shape [1]"}') as (url, _):
        up_at(hub, url)
        with pytest.raises(WorkloadFailed, match=r"digits answered 400: rows have shape \[1\]"):
            client_of_home.predict("digits", [1])
    with pytest.raises(EnvironmentFault, match="does not answer"):
        client_of_home.predict("digits", [1])


def test_predict_of_a_service_that_was_never_ready(client_of_home: Any, hub: Hub) -> None:
    put(hub, service_of())
    with pytest.raises(WorkloadFailed, match="does not answer yet"):
        client_of_home.predict("digits", [1])


# -- hubs


@pytest.mark.parametrize("colour", COLOURS)
def test_no_hub_and_none_is_started(colour: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPWAY_HOME", str(tmp_path / "none"))
    with client(colour, start=False) as one, pytest.raises(HubUnreachable, match="no such socket"):
        one.list()
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("colour", COLOURS)
def test_a_hub_on_loopback_asks_for_its_token(colour: str, hub: Hub) -> None:
    url = f"http://127.0.0.1:{hub.port}"
    with client(colour, url=url, token=TOKEN) as one:
        assert one.list() == []
    with client(colour, url=url, token="wrong") as one, pytest.raises(Refused):
        one.list()


def _packed(hub: Hub, folder: Path, run: str, **lineage: Any) -> None:
    """One more version of digits."""
    (folder / run).mkdir()
    (folder / run / "m.onnx").write_text(run)
    hub.versions.pack("digits", folder / run, Lineage(run=run, fingerprint=run, **lineage))


def test_metrics_of_a_cached_job_are_those_of_the_run_that_made_its_version(
    client_of_home: Any, hub: Hub, tmp_path: Path
) -> None:
    stored = put(hub, succeeded(job(), reason="CacheHit"))
    assert isinstance(stored, ModelJob)
    _packed(hub, tmp_path, "digits-old-1")
    put(hub, model().mark_versions(hub.versions.list("digits"), NOW))
    hub.journal.record([MetricPoint("ModelJob/digits", "digits-old-1-1", "loss", 0.5, NOW, 0)])
    hub.journal.record([MetricPoint("ModelJob/digits", f"{run().id}-1", "loss", 9.0, NOW, 0)])
    assert client_of_home.metrics("digits")["loss"].last == 0.5


def test_models_their_versions_names_and_what_differs(client_of_home: Any, hub: Hub, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        _packed(hub, tmp_path, f"r-{number}", metrics={"loss": 1.0 / number}, params={"C": number})
    put(hub, model().mark_versions(hub.versions.list("digits"), NOW))
    [line] = client_of_home.models()
    assert (line.name, line.versions, line.champion) == ("digits", 3, 3)
    assert [one.number for one in client_of_home.versions("digits", limit=2)] == [3, 2]
    assert [one.number for one in client_of_home.versions("digits", limit=0, before=3)] == [2, 1]
    client_of_home.tag("digits:1", "prod", why="slow and sure")
    assert client_of_home.version("digits:prod").number == 1
    assert client_of_home.version("digits").number == 3, "the champion"
    diff = client_of_home.diff("digits:prod", "3")
    assert (diff.before, diff.after, diff.params[0].after) == ("digits:1", "digits:3", 3)
    assert [(one.name, round(one.change, 3)) for one in diff.metrics] == [("loss", -0.667)]
    with pytest.raises(Refused, match="prod"):
        client_of_home.remove("digits:1")
    client_of_home.untag("digits", "prod")
    client_of_home.remove("digits:1", why="never used")
    assert hub.journal.entries(type="ledger")[-1].data["why"] == "never used"
    for wrong in ("digits", ":1", "digits:"):
        with pytest.raises(UserError):
            client_of_home.remove(wrong)
