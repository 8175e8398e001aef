"""The fingerprint of a job: a digest of everything that decides its result.

Two jobs with one fingerprint would compute the same, so the second need not run. The components keep
their names, so that ``why`` can say which one changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shipway.kinds import ModelJobSpec


@dataclass(frozen=True, slots=True)
class Platform:
    """Where the code runs: ``cpython-3.11.7`` and ``linux-x86_64``."""

    interpreter: str
    machine: str


def components(spec: ModelJobSpec, platform: Platform) -> dict[str, str]:
    """What the fingerprint is made of, name to digest or value. Secrets count by name, not by value."""
    requirements = spec.requirements if isinstance(spec.requirements, tuple) else ()
    return {
        "source": spec.source.digest or "",
        "command": _digest(list(spec.command)),
        "params": _digest(spec.params),
        "inputs": _digest({name: one.digest for name, one in spec.inputs.items()}),
        "requirements": _digest(sorted(line.strip() for line in requirements)),
        "env": _digest({name: _plain(value) for name, value in spec.env.items()}),
        "replicas": f"{spec.replicas} {spec.mode}",
        "interpreter": platform.interpreter,
        "platform": platform.machine,
    }


def fingerprint(parts: Mapping[str, str]) -> str:
    """``sha256:...`` of the components, independent of their order."""
    return _digest(dict(parts))


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The components that differ, each with its old and its new value ("" where it was missing)."""
    names = sorted({*old, *new})
    return {name: (old.get(name, ""), new.get(name, "")) for name in names if old.get(name) != new.get(name)}


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else value.model_dump(mode="json")


def _digest(value: Any) -> str:
    return "sha256:" + hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
