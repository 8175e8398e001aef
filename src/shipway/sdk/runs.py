# Written by scripts/twins.py from runs_async.py: change that one, and run `make twins`.
"""Which run a job stands for, and what that run logged."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote

from shipway.client import HubClient
from shipway.deploy.catalog import split, version_path
from shipway.deploy.documents import Object
from shipway.errors import NotFound
from shipway.sdk.values import Metrics, metrics_of


def metrics_of_job(hub: HubClient, job: Object) -> Metrics:
    """The curves of the run that made the job's version, or of its latest run. ``job``: as the hub sends it."""
    answer = hub.get(f"/v1/metrics/modeljobs/{quote(job['metadata']['name'], safe='')}")
    return metrics_of(answer["points"], _run(hub, job))


def _run(hub: HubClient, job: Object) -> str:
    status = job.get("status", {})
    if status.get("cached") and status.get("version"):
        # Its own latest run may be another: one that failed, before the code was what it had been.
        with suppress(NotFound):
            answer = hub.get(version_path(*split(status["version"])))
            return str(answer["version"]["run"])
    return str((status.get("run") or {}).get("id", ""))
