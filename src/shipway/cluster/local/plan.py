"""What the supervisor is told, from a workload and what was prepared for it. Pure."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from shipway.bundle import HttpProbe, Workload
from shipway.cluster.local.folder import Folder
from shipway.cluster.local.prepare import Prepared
from shipway.cluster.local.supervisor.expansion import references

LOG_SIZE = 10_000_000
LOG_FILES = 3
_INHERITED = re.compile(
    r"PATH|HOME|LANG|LC_[A-Z]+|TZ|TMPDIR|OPENBLAS_\w+|OMP_\w+|MKL_\w+|SSL_CERT_\w+|\w+_(proxy|PROXY)"
)


def minimal_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The few variables of the hub that replicas get: no token of its owner is among them."""
    return {name: value for name, value in environment.items() if _INHERITED.fullmatch(name)}


def make_plan(
    workload: Workload,
    prepared: Prepared,
    folder: Folder,
    *,
    socket: Path,
    cgroup: str,
    ports: Sequence[int],
    inherited: Mapping[str, str],
) -> dict[str, Any]:
    """The document that the supervisor reads; it holds the paths of secrets, not their values."""
    return {
        "name": workload.name,
        "mode": workload.mode,
        "argv": list(prepared.argv),
        "afterwards": list(prepared.afterwards),
        "inherited": _inherited(prepared, folder, inherited),
        "contract": _contract(workload, prepared, folder),
        "env": dict(workload.env),
        "secrets": {name: str(path) for name, path in prepared.secrets.items()},
        "cwd": str(folder.work),
        "replicas": workload.replicas,
        "ports": list(ports),
        "grpc": workload.grpc,
        "probes": _probes(workload),
        "limits": asdict(workload.limits),
        "grace": workload.grace_period,
        "longest_backoff": workload.longest_backoff,
        "timeout": workload.timeout if workload.mode == "job" else None,
        "log": {"size": LOG_SIZE, "files": LOG_FILES},
        "socket": str(socket),
        "cgroup": cgroup,
        "environment": prepared.interpreter.description if prepared.interpreter else "",
        "lock": list(prepared.interpreter.lock) if prepared.interpreter else [],
        "notes": _notes(workload),
    }


def _inherited(prepared: Prepared, folder: Folder, inherited: Mapping[str, str]) -> dict[str, str]:
    interpreter = prepared.interpreter
    variables = {**inherited, "PYTHONUNBUFFERED": "1", "PWD": str(folder.work)}
    if interpreter is not None:
        places = [str(interpreter.python.parent), *filter(None, [inherited.get("PATH", "")])]
        variables["PATH"] = os.pathsep.join(places)
        if interpreter.python_path:
            variables["PYTHONPATH"] = os.pathsep.join(interpreter.python_path)
    return variables


def _contract(workload: Workload, prepared: Prepared, folder: Folder) -> dict[str, str]:
    variables = {"SHIPWAY_WORKLOAD": workload.name}
    if workload.mode == "job":
        variables["SHIPWAY_OUTPUT_DIR"] = str(folder.output)
        variables["SHIPWAY_INPUTS"] = json.dumps({name: str(path) for name, path in prepared.inputs.items()})
    if prepared.model is not None:
        variables["SHIPWAY_MODEL_DIR"] = str(prepared.model)
        variables["SHIPWAY_DATA_DIR"] = str(folder.data)
    return variables


def _probes(workload: Workload) -> dict[str, Any]:
    if not workload.serves:
        return {}
    # docs/contract.md: a server is ready when its port accepts a connection, unless it says better.
    probes = {
        "startup": workload.startup,
        "readiness": workload.readiness or HttpProbe(),
        "liveness": workload.liveness,
    }
    return {kind: asdict(probe) if probe else None for kind, probe in probes.items()}


def _notes(workload: Workload) -> list[str]:
    secret = sorted(references(workload.command) & set(workload.secret_env))
    notes = [f"command: $({name}) is a secret and stays as written; read the variable instead" for name in secret]
    if workload.limits.gpu:
        notes.append(f"gpu {workload.limits.gpu}: this machine gives every replica all of its GPUs")
    return notes
