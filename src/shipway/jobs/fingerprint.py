"""The fingerprint of a job: a digest of everything that decides its result.

Two jobs with one fingerprint would compute the same, so the second need not run. The components keep
their names, so that ``why`` can say which one changed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shipway.kinds import ModelJobSpec
from shipway.kinds.parts import FromSecret

HIDDEN = "(not shown)"
_LIKE_A_SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|PRIVATE|APIKEY|_KEY|_PWD", re.IGNORECASE)

_LOGIN = re.compile(r"://[^/\s]+@")  # to the last @: a password may have one


@dataclass(frozen=True, slots=True)
class Platform:
    """Where the code runs: ``cpython-3.11.7`` and ``linux-x86_64``."""

    interpreter: str
    machine: str


def components(spec: ModelJobSpec, platform: Platform) -> dict[str, str]:
    """What the fingerprint is made of, name to digest or value. Secrets count by name, not by value."""
    env = {name: value if isinstance(value, str) else value.model_dump(mode="json") for name, value in spec.env.items()}
    parts = {**declared(spec, platform), "env": env, "requirements": _lines(spec)}
    return {name: one if isinstance(one, str) else _digest(one) for name, one in parts.items()}


def declared(spec: ModelJobSpec, platform: Platform) -> dict[str, Any]:
    """The components as people read them, JSON-ready: what ``why`` shows as "from" and "to".

    Of a secret only where it comes from; of a variable that is named like one, nothing; no password of an index.
    An image that the user names counts, and its arguments. One that was built does not: beside it stand the source and
    the requirements that it was made of, so that a run here and one on a cluster are the same run.
    """
    names_image = bool(spec.image) and spec.source.digest is None
    return {
        "source": spec.source.digest or "",
        "command": list(spec.command),
        "params": dict(spec.params),
        "inputs": {name: one.digest for name, one in spec.inputs.items()},
        "requirements": [without_login(line) for line in _lines(spec)],
        "env": {name: _shown(name, value) for name, value in spec.env.items()},
        "replicas": f"{spec.replicas} {spec.mode}",
        "interpreter": platform.interpreter,
        "platform": platform.machine,
        **({"image": spec.image} if names_image else {}),
        **({"args": list(spec.args)} if names_image and spec.args else {}),
        **({} if spec.optimize == "none" else {"optimize": spec.optimize}),
    }


def fingerprint(parts: Mapping[str, str]) -> str:
    """``sha256:...`` of the components, independent of their order."""
    return _digest(dict(parts))


def without_login(requirement: str) -> str:
    """A line of requirements without the user and password of its index."""
    return _LOGIN.sub("://...@", requirement)


def _lines(spec: ModelJobSpec) -> list[str]:
    requirements = spec.requirements if isinstance(spec.requirements, tuple) else ()
    return sorted(line.strip() for line in requirements)


def _shown(name: str, value: str | FromSecret) -> str:
    if isinstance(value, FromSecret):
        return f"secret {value.secret.name}/{value.secret.key}"
    # A password in YAML is a mistake already: the journal, which is kept and shown, must not repeat it.
    return HIDDEN if _LIKE_A_SECRET.search(name) else value


def _digest(value: Any) -> str:
    return "sha256:" + hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
