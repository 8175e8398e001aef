"""Objects over HTTP: apply, watch, and the documents that users send."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shipway.api import responses
from shipway.errors import Conflict, InvalidObject, NotFound, Refused, UserError
from shipway.kinds import Model, ModelJob, Object
from tests.api.served_hub import NOW, Hub

ROOT = "/apis/shipway.dev/v1alpha1"


def job(name: str = "train", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "shipway.dev/v1alpha1",
        "kind": "ModelJob",
        "metadata": {"name": name},
        "spec": {"command": ["python", "train.py"], **spec},
    }


def apply(hub: Hub, *documents: Any, **more: Any) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = hub.client.post("/v1/apply", {"objects": list(documents), **more})["results"]
    return results


def test_apply_creates_configures_and_leaves_alone(hub: Hub) -> None:
    assert [one["result"] for one in apply(hub, job(), job("other"))] == ["created", "created"]
    assert [one["result"] for one in apply(hub, job(), job("other", retries=2))] == ["unchanged", "configured"]
    [result] = apply(hub, job("other", retries=2))
    assert (result["kind"], result["name"], result["result"]) == ("ModelJob", "other", "unchanged")
    assert result["object"]["metadata"]["generation"] == 2
    assert hub.client.get(f"{ROOT}/modeljobs/other") == result["object"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"data": "raw:1"}, r"spec\.inputs\.train\.digest: is missing: .* GET /v1/data/raw/versions/1"),
        ({"data": "raw"}, "/v1/data/raw/versions/latest"),
        ("rows.csv", r"spec\.inputs\.train\.digest: is missing: the client takes a snapshot of rows\.csv"),
    ],
)
def test_an_input_that_nobody_has_pinned_is_refused(hub: Hub, wrong: Any, told: str) -> None:
    unpinned = job(inputs={"train": wrong})
    with pytest.raises(InvalidObject, match=told):
        apply(hub, unpinned)
    with pytest.raises(InvalidObject, match=told):
        hub.client.put(f"{ROOT}/modeljobs/train", unpinned)


def test_apply_keeps_what_others_wrote(hub: Hub) -> None:
    apply(hub, {**job(), "metadata": {"name": "train", "annotations": {"mine": "1"}, "labels": {"old": "1"}}})
    stored = hub.store.get("ModelJob", "train")
    assert isinstance(stored, ModelJob)
    meta = stored.metadata.model_copy(
        update={"finalizers": ("shipway.dev/workload",), "annotations": {"mine": "1", "theirs": "2"}}
    )
    hub.store.put(stored.model_copy(update={"metadata": meta}).with_condition("Complete", "True", "Succeeded", "", NOW))
    [result] = apply(
        hub,
        {
            **job(retries=1),
            "metadata": {"name": "train", "annotations": {"mine": "3"}, "labels": {"new": "1"}, "uid": "forged"},
            "status": {"nonsense": True},
        },
    )
    after = ModelJob.model_validate(result["object"])
    assert after.metadata.finalizers == ("shipway.dev/workload",)
    assert after.metadata.annotations == {"mine": "3", "theirs": "2"}
    assert after.metadata.labels == {"new": "1"}
    assert after.metadata.uid == stored.metadata.uid
    assert after.status.is_true("Complete")
    assert after.spec.retries == 1


def test_what_get_prints_can_be_applied_again(hub: Hub) -> None:
    apply(hub, job())
    assert apply(hub, hub.client.get(f"{ROOT}/modeljobs/train"))[0]["result"] == "unchanged"


def test_dry_run_writes_nothing(hub: Hub) -> None:
    assert [one["result"] for one in apply(hub, job(), dryRun=True)] == ["created"]
    assert hub.store.list()[0] == []


def test_apply_validates_all_before_it_writes_one(hub: Hub) -> None:
    bad = {**job("Bad Name"), "spec": {"comand": ["x"]}}
    with pytest.raises(InvalidObject) as caught:
        apply(hub, job(), bad, {**job(), "kind": "Gizmo"}, "text", 7)
    for word in ("Bad Name", "comand", "Gizmo", "text", "7"):
        assert word in caught.value.message
    assert hub.store.list()[0] == []


def test_the_same_object_twice_is_an_error(hub: Hub) -> None:
    with pytest.raises(InvalidObject, match="twice"):
        apply(hub, job(), job())


@pytest.mark.parametrize("kind", ["Revision", "Route"])
def test_what_shipway_makes_cannot_be_applied(hub: Hub, kind: str) -> None:
    with pytest.raises(Refused, match=kind):
        apply(hub, {**job(), "kind": kind})


def test_an_object_that_is_being_deleted_is_not_revived(hub: Hub) -> None:
    apply(hub, job())
    stored = hub.store.get("ModelJob", "train")
    hub.store.put(stored.model_copy(update={"metadata": stored.metadata.model_copy(update={"finalizers": ("f",)})}))
    hub.store.delete("ModelJob", "train")
    with pytest.raises(Conflict, match="being deleted"):
        apply(hub, job())


def test_apply_repeats_itself_when_a_controller_wrote_meanwhile(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    apply(hub, job())
    inner_put, interruptions = hub.store.put, [3]

    def put(obj: Object) -> Object:
        if interruptions[0]:
            interruptions[0] -= 1
            stored = hub.store.get("ModelJob", "train")
            inner_put(stored.with_condition("Complete", "Unknown", "Running", str(interruptions), NOW))
        return inner_put(obj)

    monkeypatch.setattr(hub.store, "put", put)
    [result] = apply(hub, job(retries=5))
    assert result["object"]["spec"]["retries"] == 5
    assert result["object"]["status"]["conditions"][0]["reason"] == "Running"
    interruptions[0] = 1000
    with pytest.raises(Conflict):
        apply(hub, job(retries=6))


@pytest.mark.parametrize("body", [{}, {"objects": {}}, {"objects": [], "dryRun": "yes"}, {"objects": [], "force": 1}])
def test_an_apply_of_wrong_shape(hub: Hub, body: Any) -> None:
    with pytest.raises(UserError, match="objects"):
        hub.client.post("/v1/apply", body)


def test_put_and_path_must_agree(hub: Hub) -> None:
    with pytest.raises(UserError, match="other"):
        hub.client.put(f"{ROOT}/modeljobs/other", job())
    with pytest.raises(UserError, match="Model"):
        hub.client.put(f"{ROOT}/models/train", job())


def test_a_watch_goes_on_until_it_was_silent(hub: Hub) -> None:
    with ThreadPoolExecutor(1) as pool:
        stream = hub.client.stream(f"{ROOT}?watch=true&since=0&wait=0.15")
        first = pool.submit(next, stream)
        hub.store.put(Model.model_validate({"metadata": {"name": "a"}}))
        event, data = first.result(10)
        assert (event, data["type"], data["version"]) == ("change", "ADDED", 1)
        assert data["object"]["metadata"]["name"] == "a"
        rest = pool.submit(list, stream)
        hub.store.put(Model.model_validate({"metadata": {"name": "b"}}))
        assert [one["object"]["metadata"]["name"] for _, one in rest.result(10)] == ["b"]


def test_a_silent_watch_shows_that_it_lives(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "HEARTBEAT", 0.01)
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(hub.socket))
        link.sendall(f"GET {ROOT}?watch=true HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        with link.makefile("rb") as lines:
            assert any(line == b": still here\n" for line in lines)


def test_a_watch_of_a_kind_hears_only_of_it(hub: Hub) -> None:
    hub.store.put(Model.model_validate({"metadata": {"name": "a"}}))
    hub.store.put(ModelJob.model_validate(job()))
    found = list(hub.client.stream(f"{ROOT}/modeljobs?watch=true&wait=0"))
    assert [data["object"]["kind"] for _, data in found] == ["ModelJob"]


def test_a_watch_from_nowhere_is_not_found_before_it_begins(hub: Hub) -> None:
    with pytest.raises(NotFound, match="List again"):
        next(hub.client.stream(f"{ROOT}?watch=true&since=99"))
