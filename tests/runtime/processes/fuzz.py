"""No request gets another one's answer from worker processes either, while these are killed:
``python -m tests.runtime.engine.fuzz --plan tests.runtime.processes.fuzz:processes --requests 100000``."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path

from shipway.runtime.server.engine.executor import Executor
from shipway.runtime.server.engine.processes import arena, executor
from shipway.runtime.server.engine.processes.executor import ProcessExecutor
from shipway.runtime.server.settings import Settings
from tests.runtime.engine.fuzz import Plan

PREDICTOR = Path(__file__).with_name("fuzzed.py")


def processes(seed: int = 1, seconds: float = 5.0) -> Plan:
    """Two workers, one of which is killed every so many seconds on average."""
    chance = random.Random(seed)

    def start() -> Executor:
        arena._SMALL = 256  # more than half of the inputs lie in shared memory
        executor._LONGEST = 0.1
        return ProcessExecutor(Settings(predictor=f"{PREDICTOR}:Fuzzed"), 2)

    async def kill(victim: Executor) -> None:
        assert isinstance(victim, ProcessExecutor)
        while True:
            await asyncio.sleep(2 * seconds * chance.random())
            children = sorted(child.pid for child in victim._children)
            if children:
                os.kill(chance.choice(children), signal.SIGKILL)

    return Plan(start, kill, fragile=True)
