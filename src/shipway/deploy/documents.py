"""Objects as JSON, as the hub sends them: the few looks at them that several readers share. Pure, and no pydantic."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

Object = Mapping[str, Any]
Key = tuple[str, str]  # kind, name

OBJECTS = "/apis/shipway.dev/v1alpha1"
LOCAL = "local"  # the cluster that is this machine
FRAME = "\x1eshipway-"  # how a metric line of a log begins (docs/contract.md)

# By kind, the condition whose False stays until something is applied anew.
FINAL = {"ModelJob": "Complete", "ModelService": "RolledOut"}


def key_of(obj: Object) -> Key:
    """``(kind, name)`` of an object."""
    return obj["kind"], obj["metadata"]["name"]


def condition(obj: Object, type_: str) -> Mapping[str, Any]:
    """The condition of that type, or an empty one."""
    conditions = obj.get("status", {}).get("conditions", ())
    return next((one for one in conditions if one["type"] == type_), {})


def parse_time(text: str) -> datetime:
    """An ISO time as the hub writes it, with its timezone."""
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def cluster_of(obj: Object) -> str:
    """Where a job or a service is to run."""
    return str(obj["spec"].get("cluster", LOCAL))


def numbers(values: Mapping[str, float]) -> str:
    """``accuracy 0.9722, loss 0.1``."""
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def grpc_address(service: Object) -> str:
    """How a client of gRPC reaches a service: address and authority; empty when it does not speak it, or not yet."""
    speaks = service.get("spec", {}).get("server", {}).get("grpc")
    address = urlsplit(service.get("status", {}).get("url", "")).netloc
    return f"{address}, authority {service['metadata']['name']}.localhost" if speaks and address else ""
