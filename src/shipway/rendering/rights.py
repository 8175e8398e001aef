"""The minimal Role of a hub as YAML, for whoever may give it: no hub and no cluster is asked. Pure."""

from __future__ import annotations

import yaml

from shipway.cluster.kubernetes.check.rbac import manifests


def rights(namespace: str, subject: str) -> str:
    """Documents for ``kubectl apply -f -``. Raises UserError for a subject that is none."""
    documents = [dict(one) for one in manifests(namespace, subject)]
    return yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True)
