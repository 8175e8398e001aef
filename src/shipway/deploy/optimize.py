"""The job that looks for a faster form of a version. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipway.errors import Refused
from shipway.formats import is_pickle
from shipway.kinds import API_VERSION

COMMAND = ["python", "-m", "shipway.runtime.optimize"]
_LONGEST = 50 - len("-optimize")


def optimizing(
    name: str, detail: Mapping[str, Any], params: Mapping[str, float | str], *, allow_pickle: bool = False
) -> dict[str, Any]:
    """A ModelJob over a version (``detail``: as ``/v1/models/NAME/versions/N`` answers), in the environment that it was
    trained in, whose result is the next version of the same model.

    Raises Refused for a pickle that was not trained here: the job would run the code in it, and what a job made counts
    as made here.
    """
    version, lineage = detail["version"], detail.get("lineage", {})
    trusted = allow_pickle or version["origin"] == "job" or version.get("trusted", False)
    if is_pickle(version["format"]) and not trusted:
        raise Refused(
            f"{name}:{version['number']} is a pickle ({version['format']}) that was not trained here: optimizing it "
            "runs whatever code it holds",
            next_step="say --allow-pickle if you trust its maker",
        )
    return {
        "apiVersion": API_VERSION,
        "kind": "ModelJob",
        "metadata": {"name": f"{name[:_LONGEST].rstrip('-')}-optimize"},
        "spec": {
            "command": COMMAND,
            "inputs": {"model": {"path": f"{name}:{version['number']}", "digest": version["digest"]}},
            "params": dict(params),
            "env": {"SHIPWAY_ALLOW_PICKLE": "1"} if trusted else {},
            "requirements": lineage.get("lock") or lineage.get("requirements", []),
            "model": name,
            "optimize": "auto",
        },
    }
