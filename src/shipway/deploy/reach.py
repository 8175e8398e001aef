# Written by scripts/twins.py from reach_async.py: change that one, and run `make twins`.
"""How a service is reached from here: through the gateway of this machine, or a port that the hub forwards."""

from __future__ import annotations

from urllib.parse import quote

from shipway.client import HubClient
from shipway.deploy.documents import LOCAL, Object, cluster_of
from shipway.errors import WorkloadFailed


def url_of(hub: HubClient, service: Object) -> str:
    """Without a slash at its end. Raises WorkloadFailed while nothing of the service was ever ready, and what
    forwarding into its cluster raises."""
    url, name = service.get("status", {}).get("url", ""), service["metadata"]["name"]
    if url:
        return str(url).rstrip("/")
    if cluster_of(service) == LOCAL:
        raise WorkloadFailed(
            f"service {name!r} does not answer yet", next_step=f"see shipway get service {name} -o wide"
        )
    return f"http://127.0.0.1:{forwarded(hub, name)}"


def forwarded(hub: HubClient, service: str) -> int:
    """A port of this machine that leads to a service in a cluster, while the hub runs. Asked again, it is the same.
    Raises NotFound, Refused for a service of this machine, and what the cluster's API raises."""
    answer = hub.post(f"/v1/services/{quote(service, safe='')}/forward", {})
    return int(answer["port"])
