"""What follows the command of a job: it runs where the command ran, and how it ends says nothing of the job."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shipway.bundle import Observed, Workload
from shipway.testing.cluster_suite import until_ended, until_gone
from tests.cluster.local.place import Place, place

pytestmark = pytest.mark.slow

WRITES = "import os; print('trained'); open(os.environ['SHIPWAY_OUTPUT_DIR'] + '/model', 'w').write('m')"
LOOKS = (
    "import os, sys; folder = os.environ['SHIPWAY_OUTPUT_DIR']; print('after', os.listdir(folder), "
    "os.environ['SHIPWAY_REPLICA_INDEX'], file=sys.stderr); open(folder + '/described', 'w').write('d')"
)


@pytest.fixture
def home() -> Iterator[Place]:
    with place() as one:
        yield one


def job(code: str, afterwards: str, **fields: int | float) -> Workload:
    bare = Workload("train", "job", ("python", "-c", code), afterwards=("python", "-c", afterwards))
    return replace(bare, **fields)  # type: ignore[arg-type]


async def ended(home: Place, workload: Workload) -> Observed:
    async with home.cluster() as cluster:
        await cluster.apply(workload)
        return await until_ended(cluster, workload.name)


def test_it_sees_the_output_and_adds_to_it(home: Place) -> None:
    seen = asyncio.run(ended(home, job(WRITES, LOOKS, replicas=2)))
    assert (seen.phase, [one.reason for one in seen.replicas]) == ("Succeeded", ["Completed", "Completed"])
    assert {one.name for one in Path(seen.output).iterdir()} == {"model", "described"}
    text = Path(seen.log).read_text()
    assert text.count("after") == 1
    assert text.index("trained") < text.index("after ['model'] 0")


@pytest.mark.parametrize("afterwards", ["raise SystemExit(3)", "import os; os.kill(os.getpid(), 9)"])
def test_its_failure_is_none_of_the_jobs(home: Place, afterwards: str) -> None:
    seen = asyncio.run(ended(home, job(WRITES, afterwards)))
    assert (seen.phase, seen.reason) == ("Succeeded", "")
    assert (seen.replicas[0].reason, seen.replicas[0].exit_code) == ("Completed", 0)


def test_nothing_follows_a_command_that_failed(home: Place) -> None:
    seen = asyncio.run(ended(home, job("raise SystemExit(4)", LOOKS)))
    assert (seen.phase, seen.replicas[0].exit_code) == ("Failed", 4)
    assert "after" not in Path(seen.log).read_text()


def test_the_jobs_time_is_its_commands(home: Place) -> None:
    seen = asyncio.run(ended(home, job("pass", "import time; time.sleep(2.5)", timeout=2.0)))
    assert seen.phase == "Succeeded"


def test_it_is_ended_with_its_job(home: Place) -> None:
    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(job("pass", "import signal, time; print('on', flush=True); time.sleep(600)"))
            log = home.folder("train") / "logs" / "replica-0.log"
            async with asyncio.timeout(20):
                while not log.is_file() or "on" not in log.read_text():
                    await asyncio.sleep(0.02)
            await cluster.delete("train")
            await until_gone(cluster, "train")

    asyncio.run(scenario())
