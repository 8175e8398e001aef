"""The objects of a service: a Deployment, or a StatefulSet where replicas keep their names, and what goes with it.

Pure. Kubernetes itself exchanges the replicas: a new revision is another Pod template of the one Deployment, and gets
no traffic before it is ready. (Canary with a Deployment for each revision and weights of an HTTPRoute is to come: both
would be made here, of the same template.)

Source: https://kubernetes.io/docs/concepts/workloads/controllers/ (deployment, statefulset).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

from shipway.bundle import Bundle
from shipway.cluster.kubernetes.names import HASH, REVISION, UID, Manifest
from shipway.cluster.kubernetes.place import Place
from shipway.cluster.kubernetes.render import beside, courier, folders, pod, probes, reach, scale
from shipway.cluster.kubernetes.render.folders import Folder
from shipway.cluster.kubernetes.render.labels import checked_name, labels, of_claim_template, selector
from shipway.cluster.kubernetes.render.variables import Source
from shipway.errors import UserError

SERVER = "server"  # app.kubernetes.io/component

_HISTORY = 3  # revisions that `kubectl rollout undo` finds; Shipway keeps its own
_INDEX: Source = {"fieldRef": {"fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}}


@dataclass(frozen=True, slots=True)
class _Controller:
    """What differs between the two kinds."""

    kind: str
    revision_label: str  # that it sets on its Pods


_DEPLOYMENT = _Controller("Deployment", "pod-template-hash")
_STATEFUL_SET = _Controller("StatefulSet", "controller-revision-hash")


def objects(bundle: Bundle, place: Place) -> tuple[Manifest, ...]:
    """In the order in which they are applied. Raises UserError, NotFound (a secret)."""
    workload, terms = bundle.workload, bundle.terms
    checked_name(workload.name, "the service")
    labelled = labels(bundle, place, SERVER)
    controller = _STATEFUL_SET if terms.stable_identity else _DEPLOYMENT
    found = _folders(bundle, place)
    serving = [reach.service(bundle, place, labelled)] if workload.serves else []
    steady = [reach.headless(bundle, place, labelled)] if terms.stable_identity else []
    return (
        *beside.beside(bundle, place, SERVER, claims=not terms.stable_identity),
        reach.policy(bundle, place, labelled, found),
        *steady,
        *serving,
        _controller(bundle, place, controller, found),
        *scale.autoscaler(bundle, place, labelled, controller.kind),
        *scale.budget(bundle, place, labelled),
        *(reach.entrance(bundle, place, labelled) if workload.serves else ()),
    )


def _folders(bundle: Bundle, place: Place) -> tuple[Folder, ...]:
    own = [folders.scratch("tmp", folders.TMP), *folders.model(bundle, place)]
    if bundle.workload.model is not None:
        own.append(folders.scratch("data-dir", folders.DATA))
    return folders.joined(own, folders.declared(bundle, per_replica=bundle.terms.stable_identity))


def _contract(bundle: Bundle) -> dict[str, Source]:
    """What docs/contract.md promises servers. How many replicas there are is not said: the number changes while they
    run, and saying it would exchange them all."""
    workload, terms = bundle.workload, bundle.terms
    found: dict[str, Source] = {}
    if workload.serves:
        found |= {"HOST": "0.0.0.0", "PORT": str(terms.port)}
    if workload.grpc:
        found["SHIPWAY_GRPC_PORT"] = str(terms.grpc_port)
    if workload.model is not None:
        found |= {"SHIPWAY_MODEL_DIR": folders.MODEL, "SHIPWAY_DATA_DIR": folders.DATA}
    if terms.stable_identity:
        found["SHIPWAY_REPLICA_INDEX"] = _INDEX
    return found


def _template(bundle: Bundle, place: Place, controller: _Controller, found: tuple[Folder, ...]) -> dict[str, Any]:
    workload = bundle.workload
    lifecycle, grace = probes.ending(workload)
    serving = {"ports": reach.ports(bundle), **probes.probes(workload, reach.HTTP)} if workload.serves else {}
    main = pod.main_container(bundle, found, _contract(bundle), **serving, lifecycle=lifecycle)
    init = pod.bring(place, found)
    return pod.template(
        bundle,
        place,
        SERVER,
        main=main,
        folders=found,
        init=init,
        volumes=courier.volumes(place, "pull") if init else (),
        together=(controller.revision_label,),
        terminationGracePeriodSeconds=grace,
    )


def _controller(bundle: Bundle, place: Place, controller: _Controller, found: tuple[Folder, ...]) -> dict[str, Any]:
    owner = bundle.terms.owner
    labelled = {**labels(bundle, place, SERVER), **({REVISION: owner.revision} if owner.revision else {})}
    annotations = {HASH: bundle.hash(), **({UID: owner.uid} if owner.uid else {})}
    exchange = _of_stateful_set if bundle.terms.stable_identity else _of_deployment
    return {
        **beside.named("apps/v1", controller.kind, bundle.workload.name, place, labelled, annotations),
        "spec": {
            # The autoscaler's, where there is one: a number here would be set back at each apply.
            **({} if bundle.terms.scaling else {"replicas": bundle.workload.replicas}),
            "selector": {"matchLabels": selector(bundle)},
            "revisionHistoryLimit": _HISTORY,
            **exchange(bundle),
            "template": _template(bundle, place, controller, found),
        },
    }


def _of_deployment(bundle: Bundle) -> dict[str, Any]:
    terms, update = bundle.terms, bundle.terms.rolling_update
    alone = next((one for one in terms.volumes if one.size and one.access_mode == "ReadWriteOncePod"), None)
    if update.kind == "RollingUpdate" and alone is not None:
        raise UserError(
            f"{terms.owner.name!r}: volume {alone.name!r} is for one Pod alone (ReadWriteOncePod), so a new replica "
            "would wait for ever for the old one, which waits for the new one",
            next_step="write rollingUpdate: {kind: Recreate}, or stableIdentity: true for a volume for each replica",
        )
    amounts = {"maxSurge": update.max_surge, "maxUnavailable": update.max_unavailable}
    if update.kind == "RollingUpdate" and all(one in (0, "0%") for one in amounts.values()):
        raise UserError(
            f"{terms.owner.name!r}: rollingUpdate has maxSurge 0 and maxUnavailable 0: no replica could be exchanged",
            next_step="give one of them at least 1",
        )
    rolling = {"rollingUpdate": amounts} if update.kind == "RollingUpdate" else {}
    return {
        "progressDeadlineSeconds": max(1, ceil(terms.progress_deadline)),
        "strategy": {"type": update.kind, **rolling},
    }


def _of_stateful_set(bundle: Bundle) -> dict[str, Any]:
    templates = [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": folders.volume_name(one), "labels": of_claim_template(bundle, SERVER)},
            "spec": beside.claim_spec(one),
        }
        for one in bundle.terms.volumes
        if one.size is not None
    ]
    return {
        "serviceName": reach.headless_name(bundle),
        # One that never gets ready must not keep the others from being made, nor its own mending from being rolled out.
        "podManagementPolicy": "Parallel",
        # One at a time, the old one goes before the new one comes: there can be only one of a name.
        "updateStrategy": {"type": "RollingUpdate"},
        **({"volumeClaimTemplates": templates} if templates else {}),
    }
