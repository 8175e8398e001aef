"""A Bundle becomes Kubernetes objects: plain JSON data, the same bytes for the same bundle. Pure."""

from __future__ import annotations

from shipway.bundle import Bundle
from shipway.cluster.kubernetes.names import Manifest
from shipway.cluster.kubernetes.place import Place
from shipway.cluster.kubernetes.render import jobs, service


def render(bundle: Bundle, place: Place) -> tuple[Manifest, ...]:
    """The objects of a workload, in the order in which they must be applied; the last of them need the first.

    Raises UserError for what Kubernetes cannot express (a name too long for a label), NotFound for a secret whose value
    ``place`` does not have.
    """
    if bundle.workload.mode == "job":
        return jobs.objects(bundle, place)
    return service.objects(bundle, place)
