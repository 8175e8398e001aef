"""What the tests of apply share: a connection, a bundle, and its objects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from bench.kubernetes.apply import Counted, service
from shipway.bundle import Bundle, Owner, Terms, Workload
from shipway.cluster.kubernetes.api.credentials import read
from shipway.cluster.kubernetes.names import Manifest
from shipway.cluster.kubernetes.place import Place
from shipway.cluster.kubernetes.render import render
from shipway.kinds import Exposure

OWNER = "0123456789ab"
COURIER = "registry.example.com/team/courier@sha256:" + "c" * 64

T = TypeVar("T")


def on(kubeconfig: Path, do: Callable[[Counted], Awaitable[T]]) -> T:
    """Connect, do it, close."""

    async def connected() -> T:
        async with Counted.connect(read("", str(kubeconfig), {})) as api:
            return await do(api)

    return asyncio.run(connected())


def place(namespace: str, owner: str = OWNER) -> Place:
    return Place(
        namespace, owner, courier=COURIER, outputs="registry.example.com/outputs", secrets={"login": {"token": "t"}}
    )


def bundle(name: str = "digits", *, scaling: bool = False, **terms: Any) -> Bundle:
    """A service with 8 objects; without an autoscaler 7."""
    made = service(0)
    workload = replace(made.workload, name=name)
    owner = Owner("ModelService", name, uid="1", revision=f"{name}-00001")
    base = made.terms if scaling else replace(made.terms, scaling=None)
    return Bundle(workload, replace(base, owner=owner, **terms))


def exposed(name: str = "digits") -> Bundle:
    return bundle(name, exposure=Exposure(via="ingress", host="digits.example.com"))


def job(name: str = "train-1a2b3c4d-1-1", command: str = "train") -> Bundle:
    workload = Workload(name=name, mode="job", command=("python", command))
    return Bundle(workload, Terms(owner=Owner("ModelJob", "train", uid="2"), image=service(0).terms.image))


def rendered(one: Bundle, namespace: str, owner: str = OWNER) -> tuple[Manifest, ...]:
    return render(one, place(namespace, owner))
