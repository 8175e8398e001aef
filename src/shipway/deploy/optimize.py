"""The job that looks for a faster form of a version. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipway.kinds import API_VERSION

_COMMAND = ["python", "-m", "shipway.runtime.optimize"]
_LONGEST = 50 - len("-optimize")


def optimizing(name: str, detail: Mapping[str, Any], params: Mapping[str, float | str]) -> dict[str, Any]:
    """A ModelJob over a version (``detail``: as ``/v1/models/NAME/versions/N`` answers), in the environment that it was
    trained in, whose result is the next version of the same model."""
    version, lineage = detail["version"], detail.get("lineage", {})
    return {
        "apiVersion": API_VERSION,
        "kind": "ModelJob",
        "metadata": {"name": f"{name[:_LONGEST].rstrip('-')}-optimize"},
        "spec": {
            "command": _COMMAND,
            "inputs": {"model": {"path": f"{name}:{version['number']}", "digest": version["digest"]}},
            "params": dict(params),
            "requirements": lineage.get("lock") or lineage.get("requirements", []),
            "model": name,
            "optimize": "auto",
        },
    }
