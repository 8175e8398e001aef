"""The environment of the container with the user's command: docs/contract.md, in Kubernetes' words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from shipway.bundle import Bundle

_REFERENCE = re.compile(r"\$\$|\$\(([^()]*)\)")

_ALWAYS = {"PYTHONUNBUFFERED": "1"}
_UNLESS_GIVEN = {"HOME": "/tmp"}  # the only folder that can be written to wherever an image comes from

Source = str | Mapping[str, Any]  # a value, or where it is from: {"fieldRef": ...}


def env_secret_name(bundle: Bundle) -> str:
    """The Secret with the values of ``secret_env``."""
    return f"{bundle.workload.name}-env"


def variables(bundle: Bundle, contract: Mapping[str, Source]) -> list[dict[str, Any]]:
    """``env`` of the main container. ``contract``: what this kind of workload has besides what all have.

    As on this machine the user's plain variables win over secrets, and the contract's over both. Kubernetes resolves
    ``$(NAME)`` only to what stands before: the contract and the secrets come first, the user's own in an order of need.
    """
    workload = bundle.workload
    fixed: dict[str, Source] = {**_ALWAYS, "SHIPWAY_WORKLOAD": workload.name, **contract}
    users = {name: value for name, value in {**_UNLESS_GIVEN, **workload.env}.items() if name not in fixed}
    secret = {
        name: {"secretKeyRef": {"name": env_secret_name(bundle), "key": name}}
        for name in sorted(workload.secret_env.keys() - fixed.keys() - workload.env.keys())
    }
    users = {name: value for name, value in users.items() if name not in secret}
    ordered = {**fixed, **secret, **{name: users[name] for name in _in_order(users)}}
    return [_variable(name, source) for name, source in ordered.items()]


def _variable(name: str, source: Source) -> dict[str, Any]:
    return {"name": name, "value": source} if isinstance(source, str) else {"name": name, "valueFrom": dict(source)}


def _in_order(values: Mapping[str, str]) -> Iterator[str]:
    """Names, each after those that its value refers to; by name otherwise. In a circle one stays as it is written."""
    seen: set[str] = set()

    def visit(name: str) -> Iterator[str]:
        if name in seen or name not in values:
            return
        seen.add(name)
        for match in _REFERENCE.finditer(values[name]):
            if match[1] is not None:
                yield from visit(match[1])
        yield name

    for name in sorted(values):
        yield from visit(name)
