"""``check_cluster``: what every Cluster must do, whatever its processes are made of.

The workloads run small programs of the standard library with ``python -c`` and ask for no package, so that
any cluster with some Python can run them: ``make`` may wrap a cluster that needs more (an image, a namespace).
``play`` lets :class:`FakeCluster` act them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import replace

from shipway.bundle import HttpProbe, LogLine, Observed, Workload
from shipway.errors import Conflict, NotFound, ShipwayError
from shipway.ports import Cluster
from shipway.testing.cluster import FakeCluster

MakeCluster = Callable[[], AbstractAsyncContextManager[Cluster]]
Check = Callable[[Cluster], Awaitable[None]]
PATIENCE = 30.0  # seconds that anything may take

SERVE = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *args):
        pass
http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""
SERVE_OTHERWISE = SERVE + "# otherwise"
PRINT = "import sys; print('one', flush=True); print('two', file=sys.stderr, flush=True); print('three', end='')"
FAIL = "import sys; print('before the end', flush=True); sys.exit(7)"
SLEEP = "import time; print('asleep', flush=True); time.sleep(600)"
SECOND_FAILS = "import os, sys, time; os.environ['SHIPWAY_REPLICA_INDEX'] == '1' and sys.exit(7); time.sleep(600)"
NO_MODEL = "import sys; print('no weights in model.bin', file=sys.stderr, flush=True); sys.exit(3)"
TELL = """
import json, os
names = ["SHIPWAY_WORKLOAD", "SHIPWAY_REPLICA_INDEX", "SHIPWAY_REPLICAS", "SHIPWAY_INPUTS", "PYTHONUNBUFFERED", "MINE"]
print(json.dumps({name: os.environ.get(name) for name in names}))
print(os.listdir(os.environ["SHIPWAY_OUTPUT_DIR"]))
"""


def play(cluster: FakeCluster, workload: Workload) -> None:
    """How the fake acts the suite's programs."""
    name, program = workload.name, workload.command[-1]
    match program:
        case _ if workload.command[0] != "python":
            cluster.fail_preparing(name, "CommandNotFound", f"command {workload.command[0]!r} is not on the PATH")
        case p if p == SERVE:
            cluster.set_ready(name)
        case p if p == PRINT:
            for stream, text in (("stdout", "one"), ("stderr", "two"), ("stdout", "three")):
                cluster.write(name, text, stream=stream)
            cluster.finish(name)
        case p if p == FAIL and workload.mode == "server":
            cluster.start(name)
            cluster.kill(name)
        case p if p == FAIL:
            cluster.write(name, "before the end")
            cluster.finish(name, 7, tail="before the end")
        case p if p == SECOND_FAILS:
            cluster.finish(name, 7)
        case p if p == NO_MODEL:
            cluster.start(name)
            only = cluster.replica(name)
            message = "no weights in model.bin"
            cluster.set_replica(
                name, replace(only, phase="Exited", exit_code=3, reason="ModelNotLoaded", message=message)
            )
        case p if p == TELL:
            told = {"SHIPWAY_WORKLOAD": name, "SHIPWAY_REPLICA_INDEX": "0", "SHIPWAY_REPLICAS": "1"}
            told |= {"SHIPWAY_INPUTS": "{}", "PYTHONUNBUFFERED": "1", "MINE": f"of {name}"}
            cluster.write(name, json.dumps(told))
            cluster.write(name, "[]")
            cluster.finish(name)
        case _:
            cluster.write(name, "asleep")
            cluster.start(name)
            if workload.timeout is not None:
                cluster.finish(name, reason="TimedOut")


def check_cluster(make: MakeCluster, *, rolling: bool = False) -> None:
    """The whole contract of :class:`shipway.ports.Cluster`; ``make()`` gives an empty cluster for each check.
    ``rolling``: of one that exchanges the replicas of servers by itself."""
    for check in ROLLING_CHECKS if rolling else CLUSTER_CHECKS:
        asyncio.run(run_check(make, check))


async def run_check(make: MakeCluster, check: Check) -> None:
    """One check on a fresh cluster, which is left without workloads."""
    async with make() as cluster, asyncio.timeout(2 * PATIENCE):
        await check(cluster)
        for one in await cluster.list():
            await cluster.delete(one.name)
            await until_gone(cluster, one.name)


async def until(cluster: Cluster, name: str, condition: Callable[[Observed], bool]) -> Observed:
    """Wait until a workload is seen as wanted. Raises TimeoutError with what was seen last."""
    seen = None
    try:
        async with asyncio.timeout(PATIENCE), aclosing(cluster.watch()) as names:  # type: ignore[type-var]
            async for changed in names:
                seen = await cluster.observe(name) if changed == name else None
                if seen is not None and condition(seen):
                    return seen
    except TimeoutError:
        raise TimeoutError(f"{name} is {await cluster.observe(name)}") from None
    raise AssertionError("the watch ended")


async def until_ready(cluster: Cluster, name: str, replicas: int = 1) -> Observed:
    """Wait until so many replicas are ready and no other is left."""
    return await until(cluster, name, lambda one: len(one.ready) == len(one.replicas) == replicas)


async def until_rolled_out(cluster: Cluster, name: str, replicas: int) -> Observed:
    """Wait until all replicas are of what was applied last, and no other is left."""
    return await until(cluster, name, lambda one: one.rolled_out and len(one.ready) == len(one.replicas) == replicas)


async def until_ended(cluster: Cluster, name: str) -> Observed:
    """Wait for the end of a job, or of a preparation."""
    return await until(cluster, name, lambda one: one.phase in ("Succeeded", "Failed"))


async def until_gone(cluster: Cluster, name: str) -> None:
    """Wait until a deleted workload is gone."""
    async with asyncio.timeout(PATIENCE), aclosing(cluster.watch()) as names:  # type: ignore[type-var]
        while await cluster.observe(name) is not None:
            await anext(names)


async def lines(cluster: Cluster, name: str, *, follow: bool = False, tail: int | None = None) -> list[LogLine]:
    """The log of a workload."""
    return [line async for line in cluster.logs(name, follow=follow, tail=tail)]


async def refusal(kind: type[ShipwayError], call: Awaitable[object]) -> str:
    """The message with which a call is refused."""
    try:
        await call
    except kind as error:
        return error.message
    raise AssertionError(f"no {kind.__name__} was raised")


def server(name: str, program: str = SERVE, *, replicas: int = 1) -> Workload:
    """A server that is ready when it answers GET /."""
    probe = HttpProbe("/", period=0.2)
    return Workload(
        name,
        "server",
        ("python", "-c", program),
        replicas=replicas,
        serves=True,
        environment=None,
        startup=replace(probe, failure_threshold=100),
        readiness=probe,
        grace_period=5.0,
    )


def job(name: str, program: str, *, replicas: int = 1, timeout: float | None = None) -> Workload:
    """A job."""
    return Workload(
        name,
        "job",
        ("python", "-c", program),
        replicas=replicas,
        environment=None,
        timeout=timeout,
        grace_period=5.0,
    )


async def check_a_server_gets_ready(cluster: Cluster) -> None:
    await cluster.apply(server("web", replicas=2))
    seen = await until_ready(cluster, "web", 2)
    assert (seen.phase, seen.hash, seen.reason) == ("Running", server("web").hash(), "")
    assert [one.index for one in seen.replicas] == [0, 1]
    assert len({one.address for one in seen.replicas}) == 2
    assert all(one.restarts == 0 and one.exit_code is None for one in seen.replicas)
    assert seen.started_at is not None
    assert seen.finished_at is None


async def check_a_job_succeeds(cluster: Cluster) -> None:
    await cluster.apply(job("good", PRINT))
    seen = await until_ended(cluster, "good")
    assert (seen.phase, seen.reason, seen.tail) == ("Succeeded", "", "")
    assert [(one.phase, one.exit_code, one.signal) for one in seen.replicas] == [("Exited", 0, None)]
    assert seen.output
    assert seen.finished_at is not None


async def check_a_job_fails(cluster: Cluster) -> None:
    await cluster.apply(job("bad", FAIL))
    seen = await until_ended(cluster, "bad")
    assert (seen.phase, seen.reason) == ("Failed", "Error")
    assert [one.exit_code for one in seen.replicas] == [7]
    assert "7" in seen.message
    assert "before the end" in seen.tail


async def check_one_failed_replica_ends_the_job(cluster: Cluster) -> None:
    await cluster.apply(job("gang", SECOND_FAILS, replicas=3))
    seen = await until_ended(cluster, "gang")
    assert (seen.phase, seen.reason) == ("Failed", "Error")
    assert {one.phase for one in seen.replicas} == {"Exited"}


async def check_a_job_may_take_so_long(cluster: Cluster) -> None:
    await cluster.apply(job("slow", SLEEP, timeout=0.3))
    seen = await until_ended(cluster, "slow")
    assert (seen.phase, seen.reason) == ("Failed", "TimedOut")


async def check_a_command_that_does_not_exist(cluster: Cluster) -> None:
    await cluster.apply(replace(job("typo", ""), command=("pyhton", "train.py")))
    seen = await until_ended(cluster, "typo")
    assert (seen.phase, seen.reason) == ("Failed", "CommandNotFound")
    assert "pyhton" in seen.message


async def check_a_crashing_server_is_restarted(cluster: Cluster) -> None:
    await cluster.apply(server("crash", FAIL))
    seen = await until(cluster, "crash", lambda one: any(replica.restarts for replica in one.replicas))
    assert seen.phase == "Running"
    assert seen.replicas[0].reason == "Error"


async def check_a_server_without_its_model_says_so(cluster: Cluster) -> None:
    await cluster.apply(server("hollow", NO_MODEL))
    told = "no weights in model.bin"
    seen = await until(cluster, "hollow", lambda one: any(replica.message == told for replica in one.replicas))
    only = seen.replicas[0]
    assert (seen.phase, only.reason, only.exit_code, only.signal) == ("Running", "ModelNotLoaded", 3, None)


async def check_a_server_without_its_model_is_not_restarted(cluster: Cluster) -> None:
    await cluster.apply(server("hollow", NO_MODEL))
    seen = await until(cluster, "hollow", lambda one: any(replica.phase == "Exited" for replica in one.replicas))
    only = seen.replicas[0]
    assert (seen.phase, only.restarts, only.exit_code) == ("Running", 0, 3)
    assert (only.reason, only.message) == ("ModelNotLoaded", "no weights in model.bin")


async def check_applying_again_changes_nothing(cluster: Cluster) -> None:
    await cluster.apply(server("same"))
    first = await until_ready(cluster, "same")
    await cluster.apply(server("same"))
    assert await cluster.observe("same") == first


async def check_names_are_used_once(cluster: Cluster) -> None:
    await cluster.apply(job("once", SLEEP))
    assert "once" in await refusal(Conflict, cluster.apply(job("once", PRINT)))


async def check_scaling_restarts_nothing(cluster: Cluster) -> None:
    await cluster.apply(server("wide", replicas=1))
    before = (await until_ready(cluster, "wide", 1)).replicas[0]
    await cluster.apply(server("wide", replicas=3))
    assert (await until_ready(cluster, "wide", 3)).replicas[0] == before
    await cluster.apply(server("wide", replicas=1))
    assert (await until_ready(cluster, "wide", 1)).replicas == (before,)
    await cluster.apply(server("wide", replicas=0))
    assert (await until_ready(cluster, "wide", 0)).phase == "Running"
    await cluster.apply(server("wide", replicas=1))
    await until_ready(cluster, "wide", 1)


async def check_deleting(cluster: Cluster) -> None:
    await cluster.delete("nobody")
    for workload in (server("gone"), job("running", SLEEP), job("ended", PRINT)):
        await cluster.apply(workload)
    await until_ready(cluster, "gone")
    await until_ended(cluster, "ended")
    for name in ("gone", "running", "ended"):
        await cluster.delete(name)
        await cluster.delete(name)
        await until_gone(cluster, name)
    assert await cluster.list() == ()


async def check_listing_and_observing(cluster: Cluster) -> None:
    assert await cluster.list() == ()
    assert await cluster.observe("nobody") is None
    for name in ("b", "a"):
        await cluster.apply(job(name, PRINT))
        await until_ended(cluster, name)
    seen = await cluster.list()
    assert [one.name for one in seen] == ["a", "b"]
    assert seen[0] == await cluster.observe("a")


async def check_watching(cluster: Cluster) -> None:
    for name in ("b", "a"):
        await cluster.apply(job(name, PRINT))
        await until_ended(cluster, name)
    async with asyncio.timeout(PATIENCE), aclosing(cluster.watch()) as names:  # type: ignore[type-var]
        assert {await anext(names), await anext(names)} == {"a", "b"}
        await cluster.apply(server("c"))
        assert await anext(names) == "c"
        await cluster.delete("a")
        while await anext(names) != "a":
            continue


async def check_logs(cluster: Cluster) -> None:
    await cluster.apply(job("talk", PRINT))
    followed = await asyncio.wait_for(lines(cluster, "talk", follow=True), PATIENCE)
    assert {(one.replica, one.text) for one in followed} == {(0, "one"), (0, "two"), (0, "three")}
    assert await lines(cluster, "talk") == followed
    assert await lines(cluster, "talk", tail=2) == followed[1:]
    assert await lines(cluster, "talk", tail=0) == []


async def check_logs_tell_the_streams(cluster: Cluster) -> None:
    await cluster.apply(job("streams", PRINT))
    await until_ended(cluster, "streams")
    found = {(one.stream, one.text) for one in await lines(cluster, "streams")}
    assert found == {("stdout", "one"), ("stderr", "two"), ("stdout", "three")}


async def check_following_ends_with_the_workload(cluster: Cluster) -> None:
    await cluster.apply(job("long", SLEEP))
    async with asyncio.timeout(PATIENCE), aclosing(cluster.logs("long", follow=True)) as log:  # type: ignore[type-var]
        assert (await anext(log)).text == "asleep"
        await cluster.delete("long")
        assert [line.text async for line in log] == []


async def check_logs_of_nobody(cluster: Cluster) -> None:
    assert "nobody" in await refusal(NotFound, lines(cluster, "nobody"))


async def check_the_environment_of_a_job(cluster: Cluster) -> None:
    await cluster.apply(replace(job("told", TELL), env={"MINE": "of $(SHIPWAY_WORKLOAD)"}))
    await until_ended(cluster, "told")
    variables, output = [line.text for line in await lines(cluster, "told")]
    assert json.loads(variables) == {
        "SHIPWAY_WORKLOAD": "told",
        "SHIPWAY_REPLICA_INDEX": "0",
        "SHIPWAY_REPLICAS": "1",
        "SHIPWAY_INPUTS": "{}",
        "PYTHONUNBUFFERED": "1",
        "MINE": "of told",
    }
    assert output == "[]"


async def check_info(cluster: Cluster) -> None:
    info = await cluster.info()
    assert info.cpus > 0
    assert info.memory > 0
    assert set(info.limits) <= {"cpu", "memory"}


async def check_servers_are_used_once(cluster: Cluster) -> None:
    await cluster.apply(server("web"))
    assert "web" in await refusal(Conflict, cluster.apply(server("web", FAIL)))


async def check_replicas_are_exchanged(cluster: Cluster) -> None:
    await cluster.apply(server("web", replicas=2))
    before = await until_rolled_out(cluster, "web", 2)
    await cluster.apply(server("web", SERVE_OTHERWISE, replicas=2))
    after = await until(cluster, "web", lambda one: one.hash != before.hash and one.rolled_out)
    assert (after.hash, after.phase, after.reason) == (server("web", SERVE_OTHERWISE).hash(), "Running", "")
    assert len(after.ready) == 2
    assert not {one.name for one in after.replicas if one.phase == "Ready"} & {one.name for one in before.replicas}


async def check_what_serves_stays_while_the_next_does_not_get_ready(cluster: Cluster) -> None:
    await cluster.apply(server("web"))
    before = (await until_rolled_out(cluster, "web", 1)).replicas[0]
    await cluster.apply(server("web", FAIL))
    held = await until(cluster, "web", lambda one: any(replica.restarts for replica in one.replicas))
    assert (held.phase, held.rolled_out) == ("Running", False)
    assert before in held.ready
    await cluster.apply(server("web"))
    back = await until_rolled_out(cluster, "web", 1)
    assert (back.replicas, back.hash) == ((before,), server("web").hash())


# What every place keeps.
COMMON_CHECKS: tuple[Check, ...] = (
    check_a_server_gets_ready,
    check_a_job_succeeds,
    check_a_job_fails,
    check_one_failed_replica_ends_the_job,
    check_a_job_may_take_so_long,
    check_a_command_that_does_not_exist,
    check_a_crashing_server_is_restarted,
    check_a_server_without_its_model_says_so,
    check_applying_again_changes_nothing,
    check_names_are_used_once,
    check_scaling_restarts_nothing,
    check_deleting,
    check_listing_and_observing,
    check_watching,
    check_logs,
    check_following_ends_with_the_workload,
    check_logs_of_nobody,
    check_the_environment_of_a_job,
    check_info,
)

# What a place keeps that starts and watches its replicas by itself: names of servers are used once.
CLUSTER_CHECKS: tuple[Check, ...] = (
    *COMMON_CHECKS,
    check_a_server_without_its_model_is_not_restarted,
    check_logs_tell_the_streams,
    check_servers_are_used_once,
)

# What a place keeps that exchanges replicas by itself (``terms`` come from the cluster that ``make`` gives).
ROLLING_CHECKS: tuple[Check, ...] = (
    *COMMON_CHECKS,
    check_replicas_are_exchanged,
    check_what_serves_stays_while_the_next_does_not_get_ready,
)
