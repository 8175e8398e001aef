"""Labels, annotations and names of our objects in a cluster. Pure.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIELD_MANAGER = "shipway"

Manifest = Mapping[str, Any]  # a Kubernetes object as JSON data

# Labels of every object of ours. The first is how we find them again, and what prune goes by.
OWNER = "shipway.dev/owner"  # the hub's id: 12 hex digits
KIND = "shipway.dev/kind"  # ModelService, ModelJob
NAME = "shipway.dev/name"  # of the object of that kind
WORKLOAD = "shipway.dev/workload"  # of the workload: the service's name, or "digits-1a2b3c4d-1-1"
REVISION = "shipway.dev/revision"  # of Pods of a service: "digits-00002"
MANAGED_BY = "app.kubernetes.io/managed-by"

# Annotations.
HASH = "shipway.dev/bundle"  # of the main object: Bundle.hash() of what was applied last
APPLIED = "shipway.dev/applied"  # of every object: a digest of what was applied last, as we sent it
CONTENTS = "shipway.dev/contents"  # of Pods: what they read from Secrets and ConfigMaps of ours, so that a change rolls
UID = "shipway.dev/uid"  # of the object of our kind: a job that was deleted and made anew is another one

MAIN = "main"  # the container with the user's command
COURIER = "courier"  # the native sidecar of a job, and the init container that brings files

LONGEST_LABEL = 63
