"""Bundles of jobs that people have, each with the place that it is rendered for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shipway.bundle import Bundle, Owner, Terms, Workload
from shipway.cluster.kubernetes.place import Place
from shipway.kinds import Indexed, Resources, Volume

DATA = "sha256:" + "d" * 64
IMAGE = "ghcr.io/team/digits@sha256:" + "b" * 64
OWNER = Owner("ModelJob", "digits", "1a2b3c4d-0000-4000-8000-000000000001", labels={"team": "search"})

PLACE = Place(
    namespace="ml",
    owner="0123456789ab",
    courier="ghcr.io/team/courier@sha256:" + "c" * 64,
    outputs="ghcr.io/team/outputs",
    references={DATA: f"ghcr.io/team/inputs@{DATA}"},
    secrets={"hub": {"TOKEN": "correct horse"}},
)
WITH_SECRETS = replace(PLACE, pull_secret="pull.registry", push_secret="push.registry", plain_http=True)


def workload(**fields: Any) -> Workload:
    """One attempt of a run."""
    given: dict[str, Any] = {"env": {"SHIPWAY_PARAMS": "{}"}, "command": ("python", "train.py")}
    return Workload(**{"name": "digits-1a2b3c4d-1-1", "mode": "job", **given, **fields})


def terms(**fields: Any) -> Terms:
    return Terms(**{"owner": OWNER, "image": IMAGE, **fields})


def gang(replicas: int = 4, **fields: Any) -> Bundle:
    """A distributed training."""
    resources = Resources(cpu="8", memory="64Gi", gpu=2)
    return Bundle(workload(command=("torchrun", "train.py"), replicas=replicas, **fields), terms(resources=resources))


def _plain() -> Bundle:
    describe = ("python", "-m", "shipway.runtime.describe")
    inputs = {"images": DATA, "labels": f"{DATA}/labels.csv"}
    secret = {"TOKEN": ("hub", "TOKEN")}
    return Bundle(
        workload(afterwards=describe, inputs=inputs, secret_env=secret, timeout=3600.5, grace_period=30.0),
        terms(ttl=86_400.0, resources=Resources(cpu="2", memory="4Gi")),
    )


def _indexed() -> Bundle:
    asked = Indexed(retries_per_index=2, max_failed=3, succeeded="0-3,7", parallelism=5)
    volumes = (Volume(name="shared", path="/shared", size="10Gi", access_mode="ReadWriteMany"),)
    return Bundle(workload(replicas=20), terms(mode="indexed", indexed=asked, volumes=volumes))


def _cron() -> Bundle:
    nightly = replace(gang(2).workload, name="digits")
    return Bundle(nightly, replace(gang(2).terms, schedule="0 3 * * *"))


def _tutorial() -> Bundle:
    """An image of somebody else's with its own entrypoint, where no hub is and no courier."""
    own = workload(name="pi", command=(), env={}, environment=None)
    return Bundle(own, Terms(Owner("ModelJob", "pi"), "docker.io/library/perl:5.34.0", args=("-e", "print 3.14")))


JOBS: Mapping[str, tuple[Bundle, Place]] = {
    "plain": (_plain(), WITH_SECRETS),
    "gang": (gang(), PLACE),
    "indexed": (_indexed(), PLACE),
    "cron": (_cron(), PLACE),
    "tutorial": (_tutorial(), Place(namespace="", owner="")),
}
