"""The fake says what the real API server said, word by word: it cannot drift into what we wish.

``recorded/`` holds the answers (``python -m tests.kubernetes.record`` writes them); where a real one is at hand it is
asked again, so that they do not age.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from shipway.testing.kubernetes import FakeKubernetes
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.conversation import Conversation
from tests.kubernetes.record import RECORDED, hold
from tests.kubernetes.scenarios import SCENARIOS, Scenario

NAMESPACE = "test-0123456789"


async def held_with_the_fake(scenario: Scenario) -> list[dict[str, Any]]:
    async with FakeKubernetes() as server:
        server.namespace(NAMESPACE, **({"enforce": scenario.enforce} if scenario.enforce else {}))
        if scenario.forgotten:
            server.compact()
        if scenario.rules is not None:
            server.access.user, server.access.role = scenario.user, "recorded"
            server.access.namespace, server.access.rules = NAMESPACE, scenario.rules
        headers = {"User-Agent": "recorder/1", "Authorization": f"Bearer {server.access.token}"}
        async with aiohttp.ClientSession(server.url, headers=headers) as session:
            return await Conversation(session, NAMESPACE).hold(scenario.steps)


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text())["answers"]


# One of its watches lasts a second, the shortest that a server takes.
SLOW = {"watches": pytest.mark.slow}


@pytest.mark.parametrize("name", [pytest.param(one, marks=SLOW.get(one, ())) for one in SCENARIOS])
def test_the_fake_says_what_was_recorded(name: str) -> None:
    answers = asyncio.run(held_with_the_fake(SCENARIOS[name]))
    for step, answer, wanted in zip(SCENARIOS[name].steps, answers, recorded(name), strict=True):
        assert answer == wanted, f"{step['method']} {step['path']}"


@pytest.mark.parametrize("name", [name for name, one in SCENARIOS.items() if not one.forgotten])
def test_the_real_one_still_says_what_was_recorded(name: str, control_plane: ControlPlane) -> None:
    assert hold(control_plane, SCENARIOS[name]) == recorded(name)


def test_a_real_one_that_was_restarted_still_says_what_was_recorded(own_control_plane: ControlPlane) -> None:
    assert hold(own_control_plane, SCENARIOS["expired"]) == recorded("expired")
