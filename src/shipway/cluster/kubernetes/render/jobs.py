"""A run of a ModelJob as Kubernetes objects: a Job, and for a gang the Service by whose name its Pods find each other;
of one with a schedule a CronJob. Pure.

Sources: https://kubernetes.io/docs/concepts/workloads/controllers/job/ (Indexed, backoffLimitPerIndex, successPolicy,
podFailurePolicy); for a gang's variables torch/distributed/argparse_util.py: each flag of torchrun is ``PET_FLAG``.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Mapping
from typing import Any

from shipway.bundle import Bundle
from shipway.cluster.kubernetes.names import HASH, MAIN, UID, Manifest
from shipway.cluster.kubernetes.place import Place
from shipway.cluster.kubernetes.render import courier, pod
from shipway.cluster.kubernetes.render.beside import beside, named
from shipway.cluster.kubernetes.render.folders import (
    TMP,
    Folder,
    declared,
    joined,
    model,
    reference,
    scratch,
    shared_memory,
)
from shipway.cluster.kubernetes.render.labels import checked_name, labels, selector
from shipway.cluster.kubernetes.render.variables import Source
from shipway.errors import UserError

COMPONENT = "training"
NEVER_AGAIN = 42  # exit code of code that would fail the same way again: docs/contract.md
INPUTS = "/inputs"
MASTER_PORT = 29500  # torchrun's own

_INDEX: Manifest = {"fieldRef": {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}}
_JOB_NAME: Manifest = {"fieldRef": {"fieldPath": "metadata.labels['batch.kubernetes.io/job-name']"}}
_LONGEST_CRON = 52  # characters: Kubernetes appends eleven for each Job of a CronJob
_PUSH = 120  # seconds that a push under way has after the command's own grace period
_INDEXES = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")


def objects(bundle: Bundle, place: Place) -> tuple[Manifest, ...]:
    """The objects in the order in which they are applied. Raises UserError for what cannot be expressed."""
    _check(bundle)
    return (
        *beside(bundle, place, COMPONENT),
        _network_policy(bundle, place),
        *([_service(bundle, place)] if _is_gang(bundle) else []),
        _cron_job(bundle, place) if bundle.terms.schedule else _job(bundle, place),
    )


def _is_gang(bundle: Bundle) -> bool:
    return bundle.terms.mode == "gang" and bundle.workload.replicas > 1


def _is_indexed(bundle: Bundle) -> bool:
    """Whether Kubernetes numbers its Pods. A single one has no number to know itself by."""
    return bundle.terms.mode == "indexed" or bundle.workload.replicas > 1


def _check(bundle: Bundle) -> None:
    workload, terms = bundle.workload, bundle.terms
    what = f"ModelJob {terms.owner.name!r}"
    if terms.mode == "elastic":
        raise UserError(
            f"{what}: mode elastic does not run on a cluster: it says how many replicas there are at most, and not "
            "with how few it may go on",
            next_step="write mode: gang (all restart together), or mode: indexed (each is work of its own)",
        )
    checked_name(workload.name, "CronJob" if terms.schedule else "Job")
    longest = _LONGEST_CRON if terms.schedule else 63
    if _is_indexed(bundle):  # the host name of each Pod is NAME-INDEX
        longest = min(longest, 62 - len(str(workload.replicas - 1)) - (11 if terms.schedule else 0))
    if len(workload.name) > longest:
        raise UserError(
            f"{what}: {workload.name!r} has {len(workload.name)} characters, and Kubernetes takes {longest} of a job "
            f"with {workload.replicas} replicas{' and a schedule' if terms.schedule else ''}",
            next_step=f"give the job a name that is {len(workload.name) - longest} characters shorter",
        )
    asked = terms.indexed
    if asked.succeeded and not _INDEXES.fullmatch(asked.succeeded):
        raise UserError(f'{what}: indexed.succeeded: {asked.succeeded!r} is no list of indexes, like "0" or "0-3,7"')
    if asked.max_failed is not None and asked.max_failed > workload.replicas:
        raise UserError(
            f"{what}: indexed.maxFailed: {asked.max_failed} is more than there are replicas ({workload.replicas})"
        )


def _job(bundle: Bundle, place: Place) -> dict[str, Any]:
    return {**_head(bundle, place, "Job"), "spec": _spec(bundle, place)}


def _cron_job(bundle: Bundle, place: Place) -> dict[str, Any]:
    return {
        **_head(bundle, place, "CronJob"),
        "spec": {
            "schedule": bundle.terms.schedule,
            "concurrencyPolicy": "Forbid",  # two runs at once would answer to one name
            "jobTemplate": {
                "metadata": {"labels": labels(bundle, place, COMPONENT)},
                "spec": _spec(bundle, place),
            },
        },
    }


def _head(bundle: Bundle, place: Place, kind: str) -> dict[str, Any]:
    owner = bundle.terms.owner
    notes = {HASH: bundle.hash(), **({UID: owner.uid} if owner.uid else {})}
    return named("batch/v1", kind, bundle.workload.name, place, labels(bundle, place, COMPONENT), notes)


def _spec(bundle: Bundle, place: Place) -> dict[str, Any]:
    workload, terms = bundle.workload, bundle.terms
    return {
        "completions": workload.replicas,
        "parallelism": (terms.indexed.parallelism if terms.mode == "indexed" else None) or workload.replicas,
        **({"completionMode": "Indexed"} if _is_indexed(bundle) else {}),
        **_failures(bundle),
        "podReplacementPolicy": "Failed",  # never two Pods of one index: both would write the same files
        **({"activeDeadlineSeconds": max(1, math.ceil(workload.timeout))} if workload.timeout is not None else {}),
        **({"ttlSecondsAfterFinished": math.ceil(terms.ttl)} if terms.ttl is not None else {}),
        "template": _template(bundle, place),
    }


def _failures(bundle: Bundle) -> dict[str, Any]:
    """What one failed Pod means. A retry of the whole job is an attempt of its own: another Job, which a hub makes."""
    if bundle.terms.mode != "indexed":
        # What a Pod of a gang computed is lost to the others with it: they wait for it in vain, and all begin anew.
        disrupted = "FailJob" if _is_gang(bundle) else "Ignore"
        return {"backoffLimit": 0, "podFailurePolicy": _policy("FailJob", disrupted)}
    asked = bundle.terms.indexed
    return {
        "backoffLimitPerIndex": asked.retries_per_index or 0,
        **({"maxFailedIndexes": asked.max_failed} if asked.max_failed is not None else {}),
        **({"successPolicy": {"rules": [{"succeededIndexes": asked.succeeded}]}} if asked.succeeded else {}),
        "podFailurePolicy": _policy("FailIndex", "Ignore"),
    }


def _policy(never_again: str, disrupted: str) -> dict[str, Any]:
    exit_codes = {"containerName": MAIN, "operator": "In", "values": [NEVER_AGAIN]}
    return {
        "rules": [
            {"action": never_again, "onExitCodes": exit_codes},
            {"action": disrupted, "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        ]
    }


def _template(bundle: Bundle, place: Place) -> dict[str, Any]:
    workload = bundle.workload
    # Without a command the image's own entrypoint runs, which nobody here knows: it cannot be wrapped.
    pushes = bool(place.courier and place.outputs and workload.command)
    own = [scratch("tmp", TMP), shared_memory(), *model(bundle, place), *_inputs(bundle, place)]
    own.append(Folder(None, courier.SHARED_MOUNT) if pushes else scratch("output", courier.OUTPUT))
    folders = joined(own, declared(bundle))
    brought = pod.bring(place, folders, launcher=pushes)
    roles: tuple[courier.Role, ...] = ("pull", "push") if pushes else ("pull",) if brought else ()
    more = {"command": _launched(bundle)} if pushes else {}
    main = pod.main_container(bundle, folders, _contract(bundle), **more)
    return pod.template(
        bundle,
        place,
        COMPONENT,
        main=main,
        folders=folders,
        init=[*brought, *([_sidecar(bundle, place)] if pushes else [])],
        volumes=courier.volumes(place, *roles),
        restartPolicy="Never",
        terminationGracePeriodSeconds=math.ceil(workload.grace_period) + (_PUSH if pushes else 0),
        **({"subdomain": workload.name} if _is_gang(bundle) else {}),
    )


def _inputs(bundle: Bundle, place: Place) -> list[Folder]:
    wanted = {name: reference(place, one.partition("/")[0]) for name, one in sorted(bundle.workload.inputs.items())}
    if not wanted:
        return []
    brings = tuple((f"{INPUTS}/{name}", found) for name, found in wanted.items())
    mount = {"name": "inputs", "mountPath": INPUTS, "readOnly": True}
    return [Folder({"name": "inputs", "emptyDir": {}}, mount, brings)]


def _contract(bundle: Bundle) -> Mapping[str, Source]:
    """docs/contract.md, and for a gang what torchrun reads."""
    workload = bundle.workload
    files = {name: (f"{INPUTS}/{name}", one.partition("/")[2]) for name, one in sorted(workload.inputs.items())}
    found: dict[str, Source] = {
        "SHIPWAY_REPLICAS": str(workload.replicas),
        "SHIPWAY_REPLICA_INDEX": _INDEX if _is_indexed(bundle) else "0",
        "SHIPWAY_OUTPUT_DIR": courier.OUTPUT,
        "SHIPWAY_INPUTS": json.dumps({name: "/".join(filter(None, parts)) for name, parts in files.items()}),
        **({"SHIPWAY_WORKLOAD": _JOB_NAME} if bundle.terms.schedule else {}),
        **({"SHIPWAY_MODEL_DIR": "/model"} if workload.model else {}),
    }
    if _is_gang(bundle):
        found |= {name: value for name, value in _torchrun(bundle).items() if name not in workload.env}
    return found


def _torchrun(bundle: Bundle) -> Mapping[str, Source]:
    return {
        "PET_NNODES": str(bundle.workload.replicas),
        # Not "auto": without a GPU that is one process for each CPU of the node, whatever this Pod may use.
        "PET_NPROC_PER_NODE": str(bundle.terms.resources.gpu or 1),
        "PET_NODE_RANK": _INDEX,
        "PET_MASTER_ADDR": f"$(SHIPWAY_WORKLOAD)-0.{bundle.workload.name}",
        "PET_MASTER_PORT": str(MASTER_PORT),
    }


def _launched(bundle: Bundle) -> list[str]:
    """The user's command behind the launcher, which waits for the courier to take the output away."""
    workload = bundle.workload
    return [
        "python3",
        courier.LAUNCHER,
        "--socket",
        courier.SOCKET,
        *(["--each"] if bundle.terms.mode == "indexed" else []),
        "--grace",
        f"{workload.grace_period:g}",
        *(["--afterwards", shlex.join(workload.afterwards)] if workload.afterwards else []),
        "--",
        *workload.command,
    ]


def _sidecar(bundle: Bundle, place: Place) -> dict[str, Any]:
    """Its tag is for people, and keeps registries from deleting what has none: the digest is what counts."""
    env, tag = [], bundle.workload.name
    if bundle.terms.schedule:
        env, tag = [{"name": "SHIPWAY_WORKLOAD", "valueFrom": _JOB_NAME}], "$(SHIPWAY_WORKLOAD)"
    if bundle.terms.mode == "indexed":
        env, tag = [*env, {"name": "SHIPWAY_REPLICA_INDEX", "valueFrom": _INDEX}], f"{tag}-$(SHIPWAY_REPLICA_INDEX)"
    return courier.sidecar(place, f"{place.outputs}:{tag}", env)


def _service(bundle: Bundle, place: Place) -> dict[str, Any]:
    """Headless: a name for each Pod, from its start, for they find each other before any of them is ready."""
    return {
        **named("v1", "Service", bundle.workload.name, place, labels(bundle, place, COMPONENT)),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": selector(bundle),
            "ports": [{"name": "master", "port": MASTER_PORT, "targetPort": MASTER_PORT, "protocol": "TCP"}],
        },
    }


def _network_policy(bundle: Bundle, place: Place) -> dict[str, Any]:
    """Nobody reaches a job but its own gang. It may call whom it likes: nobody can know where its data comes from."""
    gang = [{"from": [{"podSelector": {"matchLabels": selector(bundle)}}]}] if _is_gang(bundle) else []
    return {
        **named("networking.k8s.io/v1", "NetworkPolicy", bundle.workload.name, place, labels(bundle, place, COMPONENT)),
        "spec": {
            "podSelector": {"matchLabels": selector(bundle)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": gang,
            "egress": [{}],
        },
    }
