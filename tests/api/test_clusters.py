"""Clusters over the API: what is handed to the join, and what is refused before."""

from __future__ import annotations

from typing import Any

import pytest

from shipway.errors import Conflict, InvalidObject, NotFound, Refused, UserError
from shipway.kinds import API_VERSION
from tests.api.fake_clusters import FINDING
from tests.api.served_hub import Hub

SPEC = {"type": "kubernetes", "context": "c", "namespace": "ml", "registry": "ghcr.io/team"}
IMAGE = "ghcr.io/team/d@sha256:" + "0" * 64


def document(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def service(**spec: Any) -> dict[str, Any]:
    return document("ModelService", "d", command=["python", "app.py"], **spec)


def apply(hub: Hub, *objects: dict[str, Any]) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = hub.client.post("/v1/apply", {"objects": list(objects)})["results"]
    return results


def diff(hub: Hub, *objects: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = hub.client.post("/v1/diff", {"objects": list(objects)})
    return answer


def test_a_cluster_is_looked_at_before_it_is_added(hub: Hub) -> None:
    answer = hub.client.post("/v1/clusters/check", {"name": "prod", "spec": SPEC})
    assert (answer, hub.clusters.asked) == ({"findings": [FINDING]}, [("check", "prod", "ml")])


@pytest.mark.parametrize("spec", [{}, {"type": "local"}, {**SPEC, "nodes": 3}, {"type": "kubernetes"}])
def test_what_is_no_cluster_to_look_at(hub: Hub, spec: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        hub.client.post("/v1/clusters/check", {"name": "prod", "spec": spec})
    assert hub.clusters.asked == []


def test_a_claim_says_who_asks(hub: Hub) -> None:
    assert hub.client.post("/v1/clusters/prod/claim", {})["before"] == ""
    assert hub.client.post("/v1/clusters/prod/claim", {"takeOver": True})["before"] == "ffffffffffff"
    assert [one[:3] for one in hub.clusters.asked] == [("claim", "prod", False), ("claim", "prod", True)]
    assert "(" in hub.clusters.asked[0][3]
    hub.clusters.fault = Conflict("namespace ml of prod is owned by hub ffffffffffff")
    with pytest.raises(Conflict, match="owned by hub ffffffffffff"):
        hub.client.post("/v1/clusters/prod/claim", {})


def test_forward_and_undo(hub: Hub) -> None:
    assert hub.client.post("/v1/services/d/forward", {}) == {"port": 41234}
    assert hub.client.post("/v1/services/d/undo", {})["to"] == "d-00001"
    assert hub.client.post("/v1/services/d/undo", {"to": "d-00007"})["to"] == "d-00007"
    assert [one[:3] for one in hub.clusters.asked[1:]] == [("undo", "d", ""), ("undo", "d", "d-00007")]
    with pytest.raises(InvalidObject):
        hub.client.post("/v1/services/d/undo", {"revision": "d-00001"})


def test_what_runs_on_a_cluster_names_an_image(hub: Hub) -> None:
    told = "spec.image: is missing: cluster prod runs images; run `shipway up`, which builds one, or give image"
    with pytest.raises(InvalidObject, match=r"spec\.image") as raised:
        apply(hub, service(cluster="prod"))
    assert raised.value.message == told
    with pytest.raises(InvalidObject, match=r"spec\.image"):
        hub.client.put(f"/apis/{API_VERSION}/modelservices/d", service(cluster="prod"))
    assert apply(hub, service(cluster="prod", image=IMAGE))[0]["result"] == "created"


def test_this_machine_stays_what_it_is(hub: Hub) -> None:
    with pytest.raises(InvalidObject, match="cluster local is this machine, and has no settings"):
        apply(hub, document("Cluster", "local", **SPEC))
    with pytest.raises(InvalidObject, match="write type: kubernetes"):
        apply(hub, document("Cluster", "prod"))
    apply(hub, document("Cluster", "local"))
    with pytest.raises(Refused, match="cluster local is this machine, and cannot be deleted"):
        hub.client.delete(f"/apis/{API_VERSION}/clusters/local?force=true")


def test_a_cluster_in_use_is_kept(hub: Hub) -> None:
    apply(hub, document("Cluster", "prod", **SPEC), service(cluster="prod", image=IMAGE))
    with pytest.raises(Refused, match="cluster prod is where ModelService/d runs") as raised:
        hub.client.delete(f"/apis/{API_VERSION}/clusters/prod")
    assert raised.value.next_step.startswith("Stop them first: shipway down --cluster prod.")
    hub.client.delete(f"/apis/{API_VERSION}/clusters/prod?force=true")
    with pytest.raises(NotFound):
        hub.client.delete(f"/apis/{API_VERSION}/clusters/prod")


def test_a_diff_names_fields_and_changes_nothing(hub: Hub) -> None:
    apply(hub, service(replicas=1, env={"KEY": "old", "SAME": "x"}))
    before = hub.store.list()[1]
    answer = diff(hub, service(replicas=3, env={"KEY": "new", "SAME": "x"}), document("Cluster", "prod", **SPEC))
    changed, new = answer["objects"]
    assert changed["changes"] == [
        {"field": "spec.env.KEY", "from": "...", "to": "..."},
        {"field": "spec.replicas", "from": 1, "to": 3},
    ]
    assert (changed["result"], new["result"], new["changes"]) == ("configured", "created", [])
    assert answer["clusters"] == [{"object": "prod: Deployment/d", "field": "spec.replicas", "from": 1, "to": 2}]
    assert hub.store.list()[1] == before


def test_a_login_in_requirements_is_not_told(hub: Hub) -> None:
    apply(hub, service())
    lines = ["--index-url https://ada:secret@host/simple", "flask"]
    assert "secret" not in str(diff(hub, service(requirements=lines)))


def test_in_a_diff_the_image_that_is_there_stands_for_the_one_that_is_built(hub: Hub) -> None:
    apply(hub, service(cluster="prod", image=IMAGE))
    known = diff(hub, service(cluster="prod", replicas=2))["objects"][0]
    assert [one["field"] for one in known["changes"]] == ["spec.replicas"]
    other = document("ModelService", "e", command=["python", "app.py"], cluster="prod")
    assert diff(hub, other)["objects"][0]["note"] == "its image is built by `shipway up`"
    assert [one[1:] for one in hub.clusters.asked] == [(("ModelService", "d"),), ()]


def test_a_status_of_one_cluster(hub: Hub) -> None:
    apply(hub, document("Cluster", "prod", **SPEC), service(cluster="prod", image=IMAGE))
    apply(hub, document("ModelService", "here", command=["python", "app.py"]), document("Model", "m"))
    names = [one["metadata"]["name"] for one in hub.client.get("/v1/status?cluster=prod")["objects"]]
    assert names == ["d", "prod"]
    assert len(hub.client.get("/v1/status")["objects"]) == 4
