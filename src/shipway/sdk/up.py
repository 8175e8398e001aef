"""``shipway.up``."""

from __future__ import annotations

from pathlib import Path

from shipway.deploy.progress import Show
from shipway.sdk.client import Client
from shipway.sdk.deployment import Deployment


def up(
    path: str | Path = ".",
    *,
    cluster: str = "",
    retrain: bool = False,
    timeout: float | None = None,
    on_progress: Show | None = None,
) -> Deployment:
    """Train, version and deploy what a folder declares, until it answers: :meth:`Client.up` of this home's hub.

    Raises what that raises: InvalidObject, NotFound, UserError, EnvironmentFault, WorkloadFailed with the log's end.
    """
    return Client().up(path, cluster=cluster, retrain=retrain, timeout=timeout, on_progress=on_progress)
