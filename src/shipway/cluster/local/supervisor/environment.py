"""The environment and the command line of one replica, from the plan and docs/contract.md."""

from __future__ import annotations

from .expansion import expand, expand_in_order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def environment_of(
    plan: Mapping[str, Any], index: int, replicas: int, port: int | None, grpc_port: int | None = None
) -> dict[str, str]:
    """All variables of a replica. Raises OSError when a secret's file cannot be read.

    The user's variables may refer to all others and override the inherited ones, not those of the contract.
    """
    contract = {
        **plan["contract"],
        "SHIPWAY_REPLICA_INDEX": str(index),
        "SHIPWAY_REPLICAS": str(replicas),
        **({} if port is None else {"PORT": str(port), "HOST": "127.0.0.1"}),
        **({} if grpc_port is None else {"SHIPWAY_GRPC_PORT": str(grpc_port)}),
    }
    known = {**plan["inherited"], **contract, **{name: _secret(path) for name, path in plan["secrets"].items()}}
    return {**known, **expand_in_order(plan["env"], known), **contract}


def argv_of(
    plan: Mapping[str, Any], index: int, replicas: int, port: int | None, grpc_port: int | None = None
) -> list[str]:
    """The command with its references resolved, save those to secrets: any user may read a command line."""
    public = environment_of({**plan, "secrets": {}}, index, replicas, port, grpc_port)
    return [expand(word, public) for word in plan["argv"]]


def _secret(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()
