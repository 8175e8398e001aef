"""What the objects of a job mean: modes, failures, names, what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shipway.bundle import Bundle
from shipway.cluster.kubernetes.names import Manifest
from shipway.cluster.kubernetes.render import render
from shipway.errors import UserError
from shipway.kinds import Indexed
from tests.cluster.kubernetes.jobs.bundles import DATA, PLACE, gang, terms, workload


def kinds(bundle: Bundle) -> list[str]:
    return [one["kind"] for one in render(bundle, PLACE)]


def job(bundle: Bundle) -> Manifest:
    return render(bundle, PLACE)[-1]


def pod(manifest: Manifest) -> dict[str, Any]:
    spec: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return spec


def env(container: Manifest) -> dict[str, Any]:
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


def test_one_replica_is_a_plain_job_that_survives_its_node() -> None:
    made = job(Bundle(workload(), terms()))
    assert "completionMode" not in made["spec"] and made["spec"]["backoffLimit"] == 0
    rules = made["spec"]["podFailurePolicy"]["rules"]
    assert [one["action"] for one in rules] == ["FailJob", "Ignore"]
    assert rules[0]["onExitCodes"]["values"] == [42] and "subdomain" not in pod(made)
    assert env(pod(made)["containers"][0])["SHIPWAY_REPLICA_INDEX"] == "0"


def test_a_gang_falls_and_stands_together() -> None:
    objects = render(gang(), PLACE)
    assert [one["kind"] for one in objects] == ["ServiceAccount", "NetworkPolicy", "Service", "Job"]
    service, made = objects[-2:]
    assert service["spec"]["clusterIP"] == "None" and service["spec"]["publishNotReadyAddresses"] is True
    assert [one["action"] for one in made["spec"]["podFailurePolicy"]["rules"]] == ["FailJob", "FailJob"]
    assert made["spec"]["completionMode"] == "Indexed" and made["spec"]["backoffLimit"] == 0
    found = env(pod(made)["containers"][0])
    assert (found["PET_NNODES"], found["PET_NPROC_PER_NODE"]) == ("4", "2")
    assert found["PET_MASTER_ADDR"] == "$(SHIPWAY_WORKLOAD)-0.digits-1a2b3c4d-1-1"
    assert pod(made)["subdomain"] == service["metadata"]["name"] == "digits-1a2b3c4d-1-1"
    names = [one["name"] for one in pod(made)["containers"][0]["env"]]
    assert names.index("SHIPWAY_WORKLOAD") < names.index("PET_MASTER_ADDR")


def test_the_labels_of_the_pods_are_those_that_their_service_and_policy_choose() -> None:
    objects = render(gang(), PLACE)
    labels = objects[-1]["spec"]["template"]["metadata"]["labels"]
    policy = objects[1]["spec"]
    for chosen in (
        objects[-2]["spec"]["selector"],
        policy["podSelector"]["matchLabels"],
        policy["ingress"][0]["from"][0]["podSelector"]["matchLabels"],
    ):
        assert chosen.items() <= labels.items()


def test_each_index_is_a_piece_of_work_of_its_own() -> None:
    asked = Indexed(retries_per_index=2, max_failed=1, succeeded="0-1", parallelism=2)
    made = job(Bundle(workload(replicas=3), terms(mode="indexed", indexed=asked)))
    spec = made["spec"]
    assert (spec["completions"], spec["parallelism"], spec["backoffLimitPerIndex"]) == (3, 2, 2)
    assert spec["maxFailedIndexes"] == 1 and spec["successPolicy"] == {"rules": [{"succeededIndexes": "0-1"}]}
    assert [one["action"] for one in spec["podFailurePolicy"]["rules"]] == ["FailIndex", "Ignore"]
    assert "--each" in pod(made)["containers"][0]["command"]
    assert pod(made)["initContainers"][-1]["command"][-1] == (
        "ghcr.io/team/outputs:digits-1a2b3c4d-1-1-$(SHIPWAY_REPLICA_INDEX)"
    )


def test_the_launcher_stands_before_the_command_and_the_courier_beside_it() -> None:
    made = job(Bundle(workload(afterwards=("python", "-m", "describe", "a b")), terms()))
    command = pod(made)["containers"][0]["command"]
    assert command[:2] == ["python3", "/shipway/run/launch.py"] and command[-3:] == ["--", "python", "train.py"]
    assert command[command.index("--afterwards") + 1] == "python -m describe 'a b'"
    bring, sidecar = pod(made)["initContainers"]
    assert "restartPolicy" not in bring and bring["command"][:3] == ["shipway", "courier", "pull"]
    assert "--launcher" in bring["command"]
    assert sidecar["restartPolicy"] == "Always" and sidecar["name"] == "courier"
    assert pod(made)["terminationGracePeriodSeconds"] == 20 + 120


def test_without_a_courier_the_command_runs_as_it_is() -> None:
    made = render(Bundle(workload(), terms()), replace(PLACE, courier="", outputs=""))[-1]
    assert pod(made)["containers"][0]["command"] == ["python", "train.py"] and "initContainers" not in pod(made)
    assert env(pod(made)["containers"][0])["SHIPWAY_OUTPUT_DIR"] == "/shipway/output"


def test_inputs_are_brought_and_told() -> None:
    made = job(Bundle(workload(inputs={"images": DATA, "labels": f"{DATA}/labels.csv"}), terms()))
    bring = pod(made)["initContainers"][0]
    assert bring["command"].count("--item") == 2
    assert f"{PLACE.references[DATA]}=/inputs/images" in bring["command"]
    assert env(pod(made)["containers"][0])["SHIPWAY_INPUTS"] == (
        '{"images": "/inputs/images", "labels": "/inputs/labels/labels.csv"}'
    )
    mounts = {one["mountPath"]: one for one in pod(made)["containers"][0]["volumeMounts"]}
    assert mounts["/inputs"]["readOnly"] is True
    assert all("readOnly" not in one for one in bring["volumeMounts"] if one["mountPath"] == "/inputs")


def test_a_schedule_is_a_cron_job_whose_jobs_know_their_names() -> None:
    bundle = Bundle(replace(gang().workload, name="digits"), replace(gang().terms, schedule="0 3 * * *"))
    made = job(bundle)
    assert made["kind"] == "CronJob" and made["spec"]["schedule"] == "0 3 * * *"
    main = made["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    assert "job-name" in env(main)["SHIPWAY_WORKLOAD"]["fieldRef"]["fieldPath"]
    assert env(main)["PET_MASTER_ADDR"] == "$(SHIPWAY_WORKLOAD)-0.digits"


def test_times_are_whole_seconds() -> None:
    spec = job(Bundle(workload(timeout=0.2), terms(ttl=59.5)))["spec"]
    assert (spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (1, 60)


@pytest.mark.parametrize(
    ("bundle", "said"),
    [
        (Bundle(workload(replicas=2), terms(mode="elastic")), "mode elastic does not run on a cluster"),
        (Bundle(workload(name="d" * 64), terms()), "64 characters"),
        (Bundle(workload(name="d" * 61, replicas=11), terms()), "61 characters, and Kubernetes takes 60"),
        (Bundle(workload(name="d" * 53), terms(schedule="@daily")), "53 characters, and Kubernetes takes 52"),
        (Bundle(workload(replicas=2), terms(mode="indexed", indexed=Indexed(succeeded="x"))), "'x' is no list"),
        (Bundle(workload(replicas=2), terms(mode="indexed", indexed=Indexed(max_failed=3))), "more than there are"),
        (Bundle(workload(), terms(image="")), "has no image"),
    ],
)
def test_what_cannot_be_expressed_is_refused_with_one_sentence(bundle: Bundle, said: str) -> None:
    with pytest.raises(UserError, match=said):
        render(bundle, PLACE)


def test_inputs_need_a_courier() -> None:
    with pytest.raises(UserError, match="this cluster has none") as error:
        render(Bundle(workload(inputs={"x": DATA}), terms()), replace(PLACE, courier=""))
    assert "shipway cluster add" in error.value.next_step


def test_shared_memory_is_as_large_as_the_memory_limit() -> None:
    """Without a limit of its own."""
    found = pod(job(gang()))
    assert {"name": "shm", "emptyDir": {"medium": "Memory"}} in found["volumes"]
    assert {"name": "shm", "mountPath": "/dev/shm"} in found["containers"][0]["volumeMounts"]
