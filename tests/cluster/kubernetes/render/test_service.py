"""What a service asks for, and the field of Kubernetes that says it; the golden files show the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from shipway.bundle import Bundle, HttpProbe, Workload
from shipway.cluster.kubernetes.names import Manifest
from shipway.cluster.kubernetes.place import Place
from shipway.cluster.kubernetes.render import render
from shipway.cluster.kubernetes.render.probes import ending, probes
from shipway.errors import NotFound, PlatformError, UserError
from shipway.kinds import Exposure, Resources, RollingUpdate, Scaling, Volume
from shipway.kinds.scaling import Target
from tests.cluster.kubernetes.render.bundles import COURIERS, PLACE, model_server, own_server, terms


def _one(kind: str, manifests: Sequence[Manifest]) -> Any:
    (found,) = [one for one in manifests if one["kind"] == kind]
    return found


def _pod(manifests: Sequence[Manifest], kind: str = "Deployment") -> Any:
    return _one(kind, manifests)["spec"]["template"]["spec"]


def _kinds(bundle: Bundle, place: Place = PLACE) -> list[str]:
    return [one["kind"] for one in render(bundle, place)]


def _env(workload: Workload, place: Place = PLACE, **more: Any) -> list[tuple[str, str | None]]:
    (main,) = _pod(render(Bundle(workload, terms(workload.name, **more)), place))["containers"]
    return [(one["name"], one.get("value")) for one in main["env"]]


# Probes and the end


@pytest.mark.parametrize(
    "asked, period, timeout, failures",
    [
        (HttpProbe(), 1, 1, 3),
        (HttpProbe(period=0.2, timeout=0.1, failure_threshold=60), 1, 1, 12),  # 12 s before it is given up, as asked
        (HttpProbe(period=2.5, timeout=1.2, failure_threshold=4), 3, 2, 4),  # 10 s are 4 times 3 s, rounded up
        (HttpProbe(period=0.01, failure_threshold=1), 1, 1, 1),
        (HttpProbe(period=1.4, failure_threshold=10), 1, 1, 14),
    ],
)
def test_probes_are_in_whole_seconds_and_as_patient(asked: HttpProbe, period: int, timeout: int, failures: int) -> None:
    probe = probes(own_server(startup=asked), "http")["startupProbe"]
    assert probe["tcpSocket"] == {"port": "http"}
    assert (probe["periodSeconds"], probe["timeoutSeconds"], probe["failureThreshold"]) == (period, timeout, failures)


def test_who_names_no_readiness_is_ready_when_its_port_is_open() -> None:
    found = probes(Workload("a", "server", ("x",), serves=True), "http")
    assert found.keys() == {"readinessProbe"} and "tcpSocket" in found["readinessProbe"]


@pytest.mark.parametrize("grace, sleep, whole", [(20.0, 5, 25), (120.0, 5, 125), (6.0, 2, 8), (0.0, 1, 1), (2.5, 1, 4)])
def test_sleep_and_grace_are_of_one_number(grace: float, sleep: int, whole: int) -> None:
    """The process has all of its grace period after the sleep."""
    lifecycle, seconds = ending(own_server(grace_period=grace))
    assert (lifecycle["preStop"]["sleep"]["seconds"], seconds) == (sleep, whole)


# The environment


def test_references_resolve() -> None:
    """Kubernetes knows only what stands before: https://kubernetes.io/docs/tasks/inject-data-application."""
    env = {"A": "$(B)/$(PORT)", "B": "$(PASSWORD)", "C": "$$(D)", "D": "d"}
    names = [name for name, _ in _env(own_server(env=env, secret_env={"PASSWORD": ("store", "PASSWORD")}))]
    for later, earlier in (("A", "B"), ("A", "PORT"), ("B", "PASSWORD")):
        assert names.index(earlier) < names.index(later)
    assert len(names) == len(set(names))


def test_a_circle_of_references_is_left_to_kubernetes() -> None:
    names = [name for name, _ in _env(own_server(env={"A": "$(B)", "B": "$(A)", "PATH": "$(PATH):/x"}))]
    assert names[-4:] == ["B", "A", "HOME", "PATH"]


def test_the_order_in_which_a_user_wrote_changes_nothing() -> None:
    one, other = (own_server(env=dict(env)) for env in ([("A", "1"), ("B", "2")], [("B", "2"), ("A", "1")]))
    assert _env(one) == _env(other)


def test_the_contract_wins_over_the_user_and_the_user_over_secrets() -> None:
    env = {"PORT": "1", "HOME": "/here", "USER": "mine"}
    found = dict(_env(own_server(env=env, secret_env={"USER": ("store", "USER"), "HOST": ("store", "USER")})))
    assert (found["PORT"], found["HOME"], found["USER"], found["HOST"]) == ("8080", "/here", "mine", "0.0.0.0")


def test_scaling_changes_no_pod() -> None:
    """Another number of replicas would otherwise exchange them all."""
    few, many = (render(Bundle(model_server(replicas=n), terms()), PLACE) for n in (1, 7))
    assert _pod(few) == _pod(many)


def test_a_secret_that_changes_exchanges_the_pods() -> None:
    bundle = Bundle(own_server(secret_env={"TOKEN": ("store", "PASSWORD")}), terms("app"))
    other = replace(PLACE, secrets={"store": {"PASSWORD": "changed"}})
    first, second = (_one("Deployment", render(bundle, place))["spec"]["template"] for place in (PLACE, other))
    assert first["metadata"]["annotations"] != second["metadata"]["annotations"]
    assert "correct horse" not in str(render(bundle, PLACE))
    assert first["spec"] == second["spec"]


def test_a_secret_that_is_not_there_is_named() -> None:
    bundle = Bundle(own_server(secret_env={"TOKEN": ("store", "TOKEN")}), terms("app"))
    with pytest.raises(NotFound, match="env TOKEN: there is no secret 'store' with key 'TOKEN'") as refused:
        render(bundle, PLACE)
    assert refused.value.next_step == "shipway secret set store TOKEN"


# The model


def test_the_model_is_mounted_where_nodes_can_mount_it_and_brought_where_not() -> None:
    mounted, brought = (_pod(render(Bundle(model_server(), terms()), place)) for place in (PLACE, COURIERS))
    assert "initContainers" not in mounted and any("image" in one for one in mounted["volumes"])
    assert [one["name"] for one in brought["initContainers"]] == ["bring"]
    (courier,), (main,) = brought["initContainers"], brought["containers"]
    (written,) = [one for one in courier["volumeMounts"] if one["mountPath"] == "/model"]
    (read,) = [one for one in main["volumeMounts"] if one["mountPath"] == "/model"]
    assert "readOnly" not in written and read == {**written, "readOnly": True}


def test_a_model_that_was_not_sent_is_our_own_fault() -> None:
    with pytest.raises(PlatformError, match="nowhere in the registry"):
        render(Bundle(model_server(), terms()), replace(PLACE, references={}))


# Networks


@pytest.mark.parametrize(
    "workload, place, ports",
    [
        (model_server(), PLACE, [53, 5353]),
        (model_server(), COURIERS, [53, 443, 5000, 5353]),
        (model_server(env={"SHIPWAY_PREDICTOR": "predictor.py:Mine"}), PLACE, None),
        (model_server(env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}), PLACE, None),
        (own_server("digits"), PLACE, None),
    ],
)
def test_only_who_may_need_it_calls_out(workload: Workload, place: Place, ports: list[int] | None) -> None:
    policy = _one("NetworkPolicy", render(Bundle(workload, terms()), place))["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == [{"ports": [{"protocol": "TCP", "port": 8080}]}]
    allowed = sorted({port["port"] for rule in policy["egress"] for port in rule.get("ports", ())})
    assert (allowed or None) == ports
    assert ({} in policy["egress"]) is (ports is None)


def test_a_route_names_its_gateway() -> None:
    for gateway, parent in (("public", {"name": "public"}), ("infra/public", {"name": "public", "namespace": "infra"})):
        found = render(Bundle(model_server(), terms(exposure=Exposure(via="gateway", gateway=gateway))), PLACE)
        assert _one("HTTPRoute", found)["spec"]["parentRefs"] == [parent]


def test_what_serves_nobody_is_reached_by_nobody() -> None:
    found = render(Bundle(Workload("worker", "server", ("python", "work.py")), terms("worker")), PLACE)
    assert "Service" not in [one["kind"] for one in found]
    assert "ingress" not in _one("NetworkPolicy", found)["spec"]  # with policyTypes Ingress: nothing comes in
    assert not {"ports", "readinessProbe"} & _pod(found)["containers"][0].keys()


# Scaling and disruptions


def test_a_single_replica_keeps_no_node_from_being_drained() -> None:
    assert "PodDisruptionBudget" not in _kinds(Bundle(model_server(), terms()))
    assert "PodDisruptionBudget" in _kinds(Bundle(model_server(replicas=2), terms()))
    scaled = terms(scaling=Scaling(max_replicas=2), resources=Resources(cpu="1"))
    assert "PodDisruptionBudget" in _kinds(Bundle(model_server(), scaled))


def test_the_autoscaler_says_how_many() -> None:
    scaled = terms(scaling=Scaling(max_replicas=2), resources=Resources(cpu="1"), stable_identity=True)
    found = render(Bundle(model_server(), scaled), PLACE)
    assert "replicas" not in _one("StatefulSet", found)["spec"]
    assert _one("HorizontalPodAutoscaler", found)["spec"]["scaleTargetRef"]["kind"] == "StatefulSet"


# Volumes


def test_every_replica_of_a_stateful_set_has_claims_of_its_own() -> None:
    volumes = (Volume(name="data", path="/data", size="1Gi"),)
    found = render(Bundle(own_server(), terms("app", volumes=volumes, stable_identity=True)), PLACE)
    assert "PersistentVolumeClaim" not in [one["kind"] for one in found]
    spec = _one("StatefulSet", found)["spec"]
    (template,) = spec["volumeClaimTemplates"]
    assert template["metadata"]["name"] == "data" and "data" not in [one["name"] for one in _volumes(spec)]
    headless = next(one for one in found if one["metadata"]["name"] == spec["serviceName"])
    assert headless["spec"]["clusterIP"] == "None"


def _volumes(spec: Any) -> Any:
    return spec["template"]["spec"]["volumes"]


def test_a_claim_outlives_its_workload() -> None:
    """`down` and prune go by the label of the workload; data are not deleted that way."""
    volumes = (Volume(name="data", path="/data", size="1Gi"),)
    claim = _one("PersistentVolumeClaim", render(Bundle(own_server(), terms("app", volumes=volumes)), PLACE))
    assert "shipway.dev/workload" not in claim["metadata"]["labels"]
    assert claim["metadata"]["labels"]["shipway.dev/owner"] == PLACE.owner


def test_no_two_services_have_one_claim() -> None:
    names = set()
    for owner, volume in (("a", "b-c"), ("a-b", "c")):
        volumes = (
            Volume(name=volume, path="/data", size="1Gi"),
            Volume(name=f"x-{volume}", path="/x", files={"a": ""}),
        )
        found = render(Bundle(own_server(owner), terms(owner, volumes=volumes)), PLACE)
        names |= {one["metadata"]["name"] for one in found if one["kind"] in ("PersistentVolumeClaim", "ConfigMap")}
    assert len(names) == 4


def test_a_volume_may_have_the_name_of_one_of_ours() -> None:
    volumes = (Volume(name="model", path="/other", scratch="1Gi"), Volume(name="tmp", path="/tmp", scratch="1Gi"))
    pod = _pod(render(Bundle(model_server(), terms(volumes=volumes)), PLACE))
    names = [one["name"] for one in pod["volumes"]]
    paths = [one["mountPath"] for one in pod["containers"][0]["volumeMounts"]]
    assert len(names) == len(set(names)) and sorted(paths) == ["/model", "/other", "/tmp", "/var/lib/shipway"]


# What cannot be expressed


@pytest.mark.parametrize(
    "bundle, words",
    [
        (Bundle(own_server("a" * 64), terms("a")), "the service 'a{64}' \\(64 characters\\)"),
        (Bundle(own_server("Upper"), terms("a")), "a letter first, then a-z"),
        (Bundle(own_server(), terms("b" * 64)), "label app.kubernetes.io/(name|version).* has \\d+ characters"),
        (Bundle(own_server(), terms(image="")), "has no image"),
        (Bundle(model_server(grpc=True), terms(exposure=Exposure(port=8081))), "8081 is the port of gRPC"),
        (Bundle(own_server(), terms(owner=replace(terms().owner, labels={"a b": "c"}))), "'a b' is no key"),
        (Bundle(own_server(), terms(owner=replace(terms().owner, labels={"a": "b c"}))), "'b c' is no value"),
        (Bundle(own_server(), terms(scaling=Scaling(max_replicas=2))), "needs resources.cpu: per cent of what"),
        (
            Bundle(
                own_server(),
                terms(
                    scaling=Scaling(
                        max_replicas=2, targets=(Target(metric="cpu", average="1"),), scale_down_after=3601.0
                    )
                ),
            ),
            "scaleDownAfter is 3601 s",
        ),
        (
            Bundle(own_server(), terms(rolling_update=RollingUpdate(max_surge=0, max_unavailable="0%"))),
            "no replica could be exchanged",
        ),
    ],
)
def test_one_clear_sentence(bundle: Bundle, words: str) -> None:
    with pytest.raises(UserError, match=words):
        render(bundle, PLACE)


@pytest.mark.parametrize(
    "volumes, words",
    [
        ((Volume(name="a", path="/model/x", scratch="1Mi"),), "'/model/x' cannot be mounted"),
        ((Volume(name="a", path="/a:b", scratch="1Mi"),), "has a ':'"),
        (
            (Volume(name="a", path="/a", scratch="1Mi"), Volume(name="b", path="/a/", scratch="1Mi")),
            "another volume's",
        ),
        ((Volume(name="a", path="/a", claim="c", sub_path="../b"),), "must lie below|must be a path below"),
        ((Volume(name="a", path="/a", claim="No Name"),), "'No Name' is no name of an object"),
        ((Volume(name="a", path="/a", files={"a/b": ""}),), "'a/b' is no file name"),
        ((Volume(name="a", path="/a", files={"a": "x" * 2**20}),), "1048577 bytes"),
        ((Volume(name="a", path="/a", size="1Gi", access_mode="ReadWriteOncePod"),), "for one Pod alone"),
    ],
)
def test_volumes_that_cannot_be(volumes: tuple[Volume, ...], words: str) -> None:
    with pytest.raises(UserError, match=words):
        render(Bundle(own_server(), terms("app", volumes=volumes)), PLACE)
