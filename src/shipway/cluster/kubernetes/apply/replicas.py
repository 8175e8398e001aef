"""Who says how many replicas there are: we, or an autoscaler. The word goes from one to the other without a jump.

A field that an apply leaves out, and that nobody else holds, goes back to its default: a Deployment of 20 replicas that
is given an autoscaler would fall to 1. So a manager of another name holds the number first.

Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership
"""

from __future__ import annotations

from shipway.cluster.kubernetes.api.client import Api
from shipway.cluster.kubernetes.api.refusals import FieldsOwned
from shipway.cluster.kubernetes.api.resources import HORIZONTAL_POD_AUTOSCALERS, resource_of
from shipway.cluster.kubernetes.apply.decide import key_of, our_fields, owner_of
from shipway.cluster.kubernetes.names import Manifest

KEEPER = "shipway-replicas"  # holds the number until an autoscaler says another one
_AUTOSCALER = "kube-controller-manager"  # of its writes to Deployments and StatefulSets, this field is the only one
_FIELD = ".spec.replicas"


def leaves_out(manifest: Manifest, live: Manifest) -> bool:
    """Whether the number is ours in the live object, and no longer said by the manifest."""
    if manifest["kind"] not in ("Deployment", "StatefulSet") or "replicas" in manifest["spec"]:
        return False
    return "f:replicas" in ((our_fields(live) or {}).get("f:spec") or {})


async def keep(api: Api, manifest: Manifest) -> None:
    """Have the number held by the keeper, as it is. Raises FieldsOwned when somebody changes it at this moment."""
    key = key_of(manifest)
    live = await api.get(resource_of(manifest), key.name, key.namespace)
    if live is not None:
        head = {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"]}
        named = {"name": key.name, "namespace": key.namespace}
        await api.apply({**head, "metadata": named, "spec": {"replicas": live["spec"]["replicas"]}}, manager=KEEPER)


def as_kept(manifest: Manifest, live: Manifest) -> Manifest:
    """The manifest with the number as it would be kept: for showing what would change."""
    return {**manifest, "spec": {**manifest["spec"], "replicas": live["spec"]["replicas"]}}


async def is_free(api: Api, manifest: Manifest, error: FieldsOwned) -> bool:
    """Whether the number is all that stands against us, and nobody but an autoscaler that was ours said it."""
    managers = {one.manager for one in error.causes}
    if {one.field for one in error.causes} != {_FIELD} or not managers <= {KEEPER, _AUTOSCALER}:
        return False
    if managers == {KEEPER}:
        return True
    key = key_of(manifest)
    listing = await api.list(HORIZONTAL_POD_AUTOSCALERS, namespace=key.namespace)
    targets = [one for one in listing.items if _target(one) == (key.kind, key.name)]
    return all(owner_of(one) == owner_of(manifest) for one in targets)


def _target(autoscaler: Manifest) -> tuple[str, str]:
    target = autoscaler["spec"]["scaleTargetRef"]
    return target["kind"], target["name"]
