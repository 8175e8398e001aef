"""Write what a real API server says: ``python -m tests.kubernetes.record`` [SCENARIO...].

It starts a control plane (see control_plane.py), holds each conversation of scenarios.py with it and writes them to
``recorded/``, and the fake's schema.json beside the fake.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import aiohttp

from tests.kubernetes import schema
from tests.kubernetes.control_plane import ControlPlane, missing
from tests.kubernetes.conversation import Conversation
from tests.kubernetes.scenarios import SCENARIOS, Scenario

HERE = Path(__file__).parent
RECORDED = HERE / "recorded"
SCHEMA = HERE.parents[1] / "src/shipway/testing/kubernetes/schema.json"


def hold(plane: ControlPlane, scenario: Scenario) -> list[dict[str, Any]]:
    """A scenario's answers, in a namespace of its own."""
    if scenario.forgotten:
        plane.restart()
    namespace = plane.namespace(**({"enforce": scenario.enforce} if scenario.enforce else {}))
    user = "admin"
    if scenario.rules is not None:
        user = scenario.user
        plane.user(user)
        _allow(plane, namespace, scenario)
    return asyncio.run(_hold(plane, user, namespace, scenario))


async def _hold(plane: ControlPlane, user: str, namespace: str, scenario: Scenario) -> list[dict[str, Any]]:
    connector = aiohttp.TCPConnector(ssl=plane.tls(user))
    headers = {"User-Agent": "recorder/1"}
    async with aiohttp.ClientSession(plane.url, connector=connector, headers=headers) as session:
        return await Conversation(session, namespace).hold(scenario.steps)


def _allow(plane: ControlPlane, namespace: str, scenario: Scenario) -> None:
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    name = {"metadata": {"name": "recorded"}}
    subject = {"kind": "User", "name": scenario.user, "apiGroup": "rbac.authorization.k8s.io"}
    role = {"kind": "Role", "name": "recorded", "apiGroup": "rbac.authorization.k8s.io"}
    for path, body in (
        ("roles", {**name, "rules": list(scenario.rules or ())}),
        ("rolebindings", {**name, "subjects": [subject], "roleRef": role}),
    ):
        status, answer = plane.request("POST", f"{rbac}/{path}", body)
        assert status == 201, answer
    first = (scenario.rules or ())[0]
    plane.until_allowed(scenario.user, first["verbs"][0], first["resources"][0], namespace)


def main(names: list[str]) -> None:
    """Record those, or all."""
    if reason := missing():
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as folder, ControlPlane(Path(folder)) as plane:
        SCHEMA.write_text(json.dumps(schema.gather(lambda path: plane.request("GET", path)[1]), separators=(",", ":")))
        version = plane.request("GET", "/version")[1]["gitVersion"]
        for name in names or SCENARIOS:
            answers = hold(plane, SCENARIOS[name])
            document = {"server": version, "answers": answers}
            (RECORDED / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
            print(f"{name}: {len(answers)} answers")


if __name__ == "__main__":
    main(sys.argv[1:])
