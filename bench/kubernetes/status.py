"""``shipway status --cluster prod`` with 500 services there: the whole command, as a user types it.

The objects stand in a store as the controllers write them; nothing of the answer asks the cluster.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from bench.home import Home, home
from bench.quiet_hub import served
from bench.report import Figure
from shipway import home as keep
from shipway.kinds import Cluster, ClusterSpec, ModelService, ModelServiceSpec, ObjectMeta, ResolvedModel
from shipway.settings import Settings
from shipway.store.sqlite import SqliteStore

SERVICES = 500
_DIGEST = "sha256:" + "0" * 64
_IMAGE = f"ghcr.io/team/service@{_DIGEST}"


def status(repeat: int) -> Iterator[Figure]:
    """Each sample is a process, from its start to its end."""
    with home() as place:
        where = Settings(place.path)
        keep.own(where)
        _fill(where)
        with served(where):
            _command(place)  # the first one warms the page cache
            samples = tuple(_command(place) for _ in range(repeat))
        # The home's `down` would wait for a cluster that nobody has.
        for file in where.store.parent.glob(f"{where.store.name}*"):
            file.unlink()
    yield Figure(f"shipway status --cluster, {SERVICES} services", "ms", samples, 300)


def _command(place: Home) -> float:
    start = time.perf_counter()
    lines = place.run("status", "--cluster", "prod").splitlines()
    took = (time.perf_counter() - start) * 1e3
    if len(lines) < SERVICES:
        raise SystemExit(f"shipway status --cluster prod prints {len(lines)} lines for {SERVICES} services")
    return took


def _fill(where: Settings) -> None:
    now = datetime.now(UTC)
    store = SqliteStore(where.store, lambda: now)
    spec = ClusterSpec(type="kubernetes", context="c", namespace="ml", registry="ghcr.io/team")
    store.put(Cluster(metadata=ObjectMeta(name="prod"), spec=spec))
    for number in range(SERVICES):
        name = f"service-{number:03d}"
        model = ResolvedModel(name=name, version=1, digest=_DIGEST)
        made = ModelService(
            metadata=ObjectMeta(name=name), spec=ModelServiceSpec(model=name, cluster="prod", image=_IMAGE)
        )
        revision, address = f"{name}-00001", f"{name}.ml.svc:80"
        made = made.mark_rolled_out(revision, model, "", now)
        made = made.mark_serving(ready=1, wanted=1, url="", environment="", message="", now=now)
        made = made.with_status(made.status.model_copy(update={"addresses": (address,), "cluster": "prod"}))
        store.put(made)
    store.close()
