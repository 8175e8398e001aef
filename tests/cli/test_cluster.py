"""Clusters on the command line: added, listed, checked, forgotten; and all that names one."""

from __future__ import annotations

import asyncio
import functools
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from shipway import settings
from shipway.async_client import AsyncHubClient
from shipway.building import on_cluster
from shipway.cli import cluster, forward
from shipway.cli.cluster import add
from shipway.errors import RegistryUnreachable
from tests.cli.conftest import Shipway
from tests.cli.fake_hub import BASE, FakeHub
from tests.cli.worlds import T0, model, own_server, revision, sent, service, serving

COURIER = "ghcr.io/team/shipway-courier@sha256:" + "c" * 64
IMAGE = "ghcr.io/team/digits@sha256:" + "d" * 64
OK = {"name": "connection", "state": "ok", "message": "v1.36.2, 3 nodes", "nextStep": ""}
NO_METRICS = {"name": "metrics-server", "state": "degraded", "message": "none is there", "nextStep": "install it"}
NO_RIGHT = {"name": "rights", "state": "missing", "message": "create deployments: no", "nextStep": "ask for the Role"}
SPEC = {"type": "kubernetes", "context": "kind", "namespace": "ml", "registry": "ghcr.io/team"}
ADD = ("cluster", "add", "prod", "--context", "kind", "--namespace", "ml", "--registry", "ghcr.io/team/")


def a_cluster(name: str = "prod", *, ready: str = "True", **spec: Any) -> dict[str, Any]:
    condition = {
        "type": "Ready",
        "status": ready,
        "reason": "Reachable" if ready == "True" else "ClusterUnreachable",
        "message": "32 CPUs",
        "lastTransitionTime": "2026-01-01T12:00:00Z",
        "observedGeneration": 1,
    }
    return {
        "kind": "Cluster",
        "metadata": {"name": name, "creationTimestamp": "2026-01-01T12:00:00Z"},
        "spec": {**SPEC, **spec},
        "status": {"version": "v1.36.2", "nodes": 3, "cpus": 32.0, "memory": 64 << 30, "conditions": [condition]},
    }


def on_prod(obj: Any) -> dict[str, Any]:
    document: dict[str, Any] = sent(obj)[0]
    document["spec"]["cluster"] = "prod"
    document["status"]["url"] = ""
    document["status"]["addresses"] = ["digits.ml.svc:80"]
    return document


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Mapping[str, Any]]]:
    """Couriers that were built: (registry, options); none is."""
    built: list[tuple[str, Mapping[str, Any]]] = []

    def image(registry: str, **options: Any) -> str:
        built.append((registry, options))
        return COURIER

    monkeypatch.setattr(add, "courier_image", image)
    return built


@pytest.fixture
def cluster_hub(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    hub.routes["POST /v1/clusters/check"] = {"findings": [OK, NO_METRICS]}
    hub.routes["POST /v1/apply"] = {"results": [{"kind": "Cluster", "name": "prod", "result": "created", "object": {}}]}
    hub.routes["POST /v1/clusters/prod/claim"] = {"owner": "0123456789ab", "before": ""}
    return hub


def test_add_checks_builds_applies_and_claims(
    shipway: Shipway, cluster_hub: FakeHub, pushed: list[tuple[str, Any]]
) -> None:
    ended = shipway(*ADD, "--pull-secret", "regcred")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines() == [
        "connection      ok        v1.36.2, 3 nodes",
        "metrics-server  degraded  none is there",
        "                          install it",
        "",
        "1 ok, 1 degraded, 0 missing",
        "",
        "cluster prod is added: namespace ml, registry ghcr.io/team",
        "try it: shipway up --cluster prod",
    ]
    assert [registry for registry, _ in pushed] == ["ghcr.io/team"]
    applied = cluster_hub.sent("POST /v1/apply")[0]["objects"][0]
    assert applied["spec"] == {**SPEC, "pullSecret": "regcred", "courier": COURIER}
    order = [route for route, _ in cluster_hub.requests if route.startswith("POST")]
    assert order == ["POST /v1/clusters/check", "POST /v1/apply", "POST /v1/clusters/prod/claim"]


def test_a_kubeconfig_is_named_in_full(
    shipway: Shipway, cluster_hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", "mine")
    assert shipway(*ADD, "--no-courier").code == 0
    assert shipway(*ADD, "--no-courier", "--kubeconfig", "third", "--plain-http").code == 0
    first, second = (one["objects"][0]["spec"] for one in cluster_hub.sent("POST /v1/apply"))
    assert (first["kubeconfig"], second["kubeconfig"]) == (f"{tmp_path}/mine", f"{tmp_path}/third")
    assert (first["courier"], second["plainHttp"]) == ("", True)
    monkeypatch.setenv("KUBECONFIG", "mine:other")
    assert shipway(*ADD, "--no-courier").err.startswith("error: $KUBECONFIG names 2 files, and a cluster has one\n")


def test_nothing_is_added_where_something_needed_is_missing(
    shipway: Shipway, cluster_hub: FakeHub, pushed: list[tuple[str, Any]]
) -> None:
    cluster_hub.routes["POST /v1/clusters/check"] = {"findings": [OK, NO_RIGHT]}
    ended = shipway(*ADD)
    assert (ended.code, pushed, cluster_hub.sent("POST /v1/apply")) == (5, [], [])
    assert ended.err == "error: cluster prod was not added: create deployments: no\nask for the Role\n"
    cluster_hub.routes["POST /v1/clusters/check"] = {"findings": [NO_RIGHT, NO_RIGHT, {**NO_RIGHT, "name": "owner"}]}
    assert shipway(*ADD).err.splitlines()[0].endswith("create deployments: no (and rights, owner: see above)")
    assert shipway(*ADD, "-o", "json").json["error"]["message"].endswith(": create deployments: no")


def test_no_image_is_built_for_the_namespace_of_another_hub(
    shipway: Shipway, cluster_hub: FakeHub, pushed: list[tuple[str, Any]]
) -> None:
    other = {"name": "owner", "state": "degraded", "message": "hub 05ee owns it", "nextStep": "take over"}
    cluster_hub.routes["POST /v1/clusters/check"] = {"findings": [OK, other]}
    ended = shipway(*ADD)
    assert (ended.err, pushed) == ("error: cluster prod was not added: hub 05ee owns it\ntake over\n", [])
    assert shipway(*ADD, "--take-over").code == 0


def test_a_courier_that_is_missing_is_what_add_brings(
    shipway: Shipway, cluster_hub: FakeHub, pushed: list[tuple[str, Any]]
) -> None:
    lacking = {"name": "courier", "state": "missing", "message": "no image is named", "nextStep": ""}
    cluster_hub.routes["POST /v1/clusters/check"] = {"findings": [OK, lacking]}
    assert shipway(*ADD).code == 0
    assert shipway(*ADD, "--courier", COURIER).code == 5
    assert [one["spec"]["courier"] for one in cluster_hub.sent("POST /v1/clusters/check")] == ["", COURIER]


def test_a_registry_that_only_the_cluster_reaches(
    shipway: Shipway, cluster_hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def image(registry: str, **_: Any) -> str:
        raise RegistryUnreachable(f"{registry} does not answer", next_step="Is it up?")

    monkeypatch.setattr(add, "courier_image", image)
    ended = shipway(*ADD)
    assert (ended.code, cluster_hub.sent("POST /v1/apply")) == (5, [])
    assert ended.err.startswith("error: ghcr.io/team does not answer\nIs it up?\nPush the courier from a place that")


def test_a_namespace_of_another_hub(shipway: Shipway, cluster_hub: FakeHub, pushed: list[tuple[str, Any]]) -> None:
    error = {"code": "Conflict", "message": "namespace ml is owned by hub ffff", "nextStep": ""}
    cluster_hub.routes["POST /v1/clusters/prod/claim"] = lambda body: (
        {"owner": "0123", "before": "ffff"} if body["takeOver"] else (409, {"error": error})
    )
    cluster_hub.routes[f"DELETE {BASE}/clusters/prod"] = {}
    ended = shipway(*ADD)
    assert (ended.code, len(cluster_hub.sent(f"DELETE {BASE}/clusters/prod"))) == (4, 1)
    assert ended.err.endswith("Take it over, when that hub is no more: --take-over.\n")
    assert "taken over from hub ffff" in shipway(*ADD, "--take-over").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--namespace", "ml", "--registry", "r.io/t"), "--context is missing"),
        (("--context", "c", "--registry", "r.io/t"), "--namespace is missing"),
        (("--context", "c", "--namespace", "ml"), "--registry is missing"),
        ((*ADD[3:], "--courier", "x", "--no-courier"), "--courier and --no-courier contradict each other"),
        ((*ADD[3:], "--subject", "User:ada"), "--subject belongs to --print-rbac"),
        (("--print-rbac",), "--namespace is missing"),
    ],
)
def test_options_that_do_not_fit(
    shipway: Shipway, words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHIPWAY_REGISTRY", raising=False)
    ended = shipway("cluster", "add", "prod", *words)
    assert (ended.code, ended.err.splitlines()[0]) == (2, f"error: {said}")


def test_clusters_are_listed_shown_and_forgotten(shipway: Shipway, hub: FakeHub) -> None:
    hub.objects(on_prod(serving(service())))
    hub.routes[f"GET {BASE}/clusters"] = {"items": [a_cluster()]}
    hub.routes[f"GET {BASE}/clusters/prod"] = a_cluster()
    hub.routes[f"DELETE {BASE}/clusters/prod"] = {}
    assert shipway("cluster").out.splitlines()[1].split()[:6] == ["prod", "True", "v1.36.2", "3", "32.0", "ml"]
    assert shipway("cluster").out == shipway("cluster", "ls").out == shipway("get", "clusters").out
    shown = dict(line.split(maxsplit=1) for line in shipway("cluster", "show", "prod").out.splitlines())
    assert (shown["state"], shown["nodes"], shown["runs"]) == ("Reachable: 32 CPUs", "3", "ModelService/digits")
    assert shipway("cluster", "rm", "prod").out.startswith("cluster prod is forgotten")


def test_check_ends_with_1_where_something_is_missing(shipway: Shipway, hub: FakeHub) -> None:
    hub.routes[f"GET {BASE}/clusters/prod"] = a_cluster()
    hub.routes["POST /v1/clusters/check"] = {"findings": [OK, NO_RIGHT]}
    ended = shipway("cluster", "check", "prod")
    assert (ended.code, ended.out.splitlines()[-1]) == (1, "1 ok, 0 degraded, 1 missing")
    assert hub.sent("POST /v1/clusters/check") == [{"name": "prod", "spec": SPEC}]
    hub.routes["POST /v1/clusters/check"] = {"findings": [OK]}
    assert shipway("cluster", "check", "prod", "-o", "json").code == 0


def test_up_builds_what_names_no_image(
    shipway: Shipway, hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[on_cluster.Wanted] = []

    def images(wanted: on_cluster.Wanted, report: Any) -> dict[str, str]:
        asked.append(wanted)
        return dict.fromkeys(wanted.workloads, IMAGE)

    monkeypatch.setattr(on_cluster, "images", images)
    hub.objects(on_prod(serving(own_server(), None)))
    hub.routes[f"GET {BASE}/clusters/prod"] = a_cluster()
    hub.routes["POST /v1/apply"] = lambda body: {
        "results": [{"result": "unchanged", "object": on_prod(serving(own_server(), None))}]
    }
    (tmp_path / "app.py").write_text("")
    text = json.dumps(
        {
            "apiVersion": "shipway.dev/v1alpha1",
            "kind": "ModelService",
            "metadata": {"name": "digits"},
            "spec": {"command": ["python", "app.py"]},
        }
    )
    (tmp_path / "shipway.yaml").write_text(text)
    monkeypatch.setattr("shipway.deploy.apply._upload_missing", lambda hub, project: None)
    ended = shipway("up", tmp_path, "--cluster", "prod", "--locked")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines() == [
        f"image    ModelService/digits  {IMAGE}",
        "up to date",
        "service  digits  cluster prod, digits.ml.svc:80",
        "try it   shipway port-forward digits",
    ]
    assert [(one.workloads, one.registry, one.mode) for one in asked] == [
        (("service/digits",), "ghcr.io/team", "locked")
    ]
    spec = hub.sent("POST /v1/apply")[0]["objects"][0]["spec"]
    assert (spec["cluster"], spec["image"]) == ("prod", IMAGE)
    unknown = shipway("up", tmp_path, "--cluster", "other")
    assert (unknown.code, unknown.err.splitlines()[0]) == (3, "error: there is no cluster 'other'")


def test_what_a_silent_cluster_runs_is_marked(shipway: Shipway, hub: FakeHub) -> None:
    silent, one = a_cluster(ready="False"), on_prod(serving(service()))
    hub.objects(one)
    hub.routes["GET /v1/status"]["objects"] = [one, silent]
    hub.routes[f"GET {BASE}/clusters"] = {"items": [silent]}
    for words in (("status",), ("status", "--cluster", "prod"), ("services", "-o", "wide")):
        ended = shipway(*words)
        assert ended.code == 0, ended.err
        assert f"prod, as last seen 2026-01-01 {T0.astimezone():%H:%M:%S}" in ended.out, words
        assert "digits.ml.svc:80" in ended.out
    assert shipway("status", "--cluster", "other").code == 3


def test_lists_and_down_of_one_cluster(shipway: Shipway, hub: FakeHub) -> None:
    hub.objects(on_prod(serving(service())))
    hub.routes[f"GET {BASE}/clusters"] = {"items": [a_cluster()]}
    hub.routes["POST /v1/down"] = {"deleted": ["ModelService/digits"]}
    assert len(shipway("services", "--cluster", "prod", "-o", "json").json) == 1
    assert shipway("services", "--cluster", "other", "-o", "json").json == []
    assert shipway("down", "--cluster", "prod").out == "ModelService/digits is down\n"
    assert hub.sent("POST /v1/down") == [{"objects": [{"kind": "ModelService", "name": "digits"}]}]
    assert shipway("down", "--cluster", "other").out == "nothing was up\n"
    assert shipway("down", "--all", "--cluster", "prod").code == 2


@pytest.fixture
def echo() -> Iterator[int]:
    """A server in a cluster, as the hub's forwarded port shows it: answers one request."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            with listening.accept()[0] as peer:
                peer.recv(65536)
                peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n42")

        thread = threading.Thread(target=answer)
        thread.start()
        yield int(listening.getsockname()[1])
        thread.join(10)


def test_predict_goes_through_the_hubs_port(shipway: Shipway, hub: FakeHub, echo: int) -> None:
    hub.objects(on_prod(serving(service())))
    hub.routes["POST /v1/services/digits/forward"] = {"port": echo}
    assert shipway("predict", "digits", "-d", "{}").out == "42\n"


def test_a_forward_that_cannot_begin(shipway: Shipway, hub: FakeHub) -> None:
    hub.objects(on_prod(serving(service())))
    hub.routes["POST /v1/services/digits/forward"] = {"port": 1}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = shipway("port-forward", "digits", str(taken.getsockname()[1]))
    assert (ended.code, ended.err.splitlines()[1]) == (5, "Name another port, or none.")
    assert shipway("port-forward", "nobody").code == 3


def test_a_forward_leads_to_where_the_hub_says(shipway: Shipway, hub: FakeHub, echo: int) -> None:
    hub.routes["POST /v1/services/digits/forward"] = {"port": echo}

    async def scene() -> bytes:
        asked = AsyncHubClient(settings.read().hub_socket)
        accepted = functools.partial(forward.relay, asked, "digits")
        async with await asyncio.start_server(accepted, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            answer = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            await writer.wait_closed()
        return answer

    assert asyncio.run(scene()).endswith(b"42")


def test_undo_tells_follows_and_ends(shipway: Shipway, hub: FakeHub) -> None:
    hub.objects(*sent(model(1, champion=1), serving(service()), revision()))
    told = "digits goes back from digits-00002 to digits-00001"
    done = {"service": "digits", "from": "digits-00002", "to": "digits-00001", "generation": 1, "changed": []}
    hub.routes["POST /v1/services/digits/undo"] = {**done, "message": told}
    ended = shipway("undo", "services/digits", "--to", "digits-00001")
    assert (ended.code, ended.out.splitlines()[0]) == (0, told)
    assert hub.sent("POST /v1/services/digits/undo") == [{"to": "digits-00001"}]
    assert shipway("undo", "digits", "-o", "json").json["to"] == "digits-00001"
    assert shipway("undo", "job/digits").code == 2


def test_diff_shows_fields_of_both_worlds(shipway: Shipway, hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "shipway.yaml").write_text(
        "apiVersion: shipway.dev/v1alpha1\nkind: ModelService\nmetadata: {name: digits}\nspec: {model: digits}\n"
    )
    changes = [{"field": "spec.replicas", "from": 1, "to": 3}, {"field": "spec.image", "from": "", "to": "x" * 200}]
    compared = {"kind": "ModelService", "name": "digits", "result": "configured", "changes": changes, "note": "a note"}
    cluster_change = {"object": "prod: Deployment/digits", "field": "spec.replicas", "from": 1, "to": None}
    comes = {"object": "prod: PodDisruptionBudget/digits", "field": "", "from": None, "to": "create"}
    hub.routes["POST /v1/diff"] = {"objects": [compared], "clusters": [cluster_change, comes]}
    lines = shipway("diff", tmp_path, "--cluster", "prod").out.splitlines()
    assert lines[:2] == ["~ ModelService/digits: configured (a note)", "    spec.replicas: 1 -> 3"]
    assert lines[2].startswith("    spec.image: none -> xxx")
    assert lines[2].endswith("x...")
    assert lines[3:5] == ["~ prod: Deployment/digits", "    spec.replicas: 1 -> none"]
    assert lines[5:] == ["+ prod: PodDisruptionBudget/digits: created"]
    assert hub.sent("POST /v1/diff")[0]["objects"][0]["spec"]["cluster"] == "prod"
    same = {**compared, "result": "unchanged", "changes": []}
    hub.routes["POST /v1/diff"] = {"objects": [same], "clusters": []}
    assert shipway("diff", "-f", tmp_path / "shipway.yaml").out == "nothing would change\n"
    assert shipway("diff", tmp_path, "-f", tmp_path).code == 2


def test_every_command_of_the_group_is_in_its_table() -> None:
    assert set(cluster.COMMANDS) == {"add", "ls", "show", "check", "rm"}
