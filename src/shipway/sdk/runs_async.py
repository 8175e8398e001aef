"""Which run a job stands for, and what that run logged."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote

from shipway.async_client import AsyncHubClient
from shipway.deploy.catalog import split, version_path
from shipway.deploy.documents import Object
from shipway.errors import NotFound
from shipway.sdk.values import Metrics, metrics_of


async def metrics_of_job(hub: AsyncHubClient, job: Object) -> Metrics:
    """The curves of the run that made the job's version, or of its latest run. ``job``: as the hub sends it."""
    answer = await hub.get(f"/v1/metrics/modeljobs/{quote(job['metadata']['name'], safe='')}")
    return metrics_of(answer["points"], await _run(hub, job))


async def _run(hub: AsyncHubClient, job: Object) -> str:
    status = job.get("status", {})
    if status.get("cached") and status.get("version"):
        # Its own latest run may be another: one that failed, before the code was what it had been.
        with suppress(NotFound):
            answer = await hub.get(version_path(*split(status["version"])))
            return str(answer["version"]["run"])
    return str((status.get("run") or {}).get("id", ""))
