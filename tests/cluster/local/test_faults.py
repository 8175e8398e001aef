"""Real processes, and what happens to them when somebody dies at the wrong moment."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shipway.bundle import Environment, HttpProbe, Limits, Observed, Workload
from shipway.cluster.local import LocalCluster, supervision
from shipway.cluster.local.folder import Folder
from shipway.cluster.local.supervisor import cgroups, identity
from shipway.errors import DependencyFailed, InvalidObject, Refused
from shipway.testing.cluster_suite import (
    FAIL,
    PRINT,
    SLEEP,
    job,
    lines,
    refusal,
    server,
    until,
    until_ended,
    until_gone,
    until_ready,
)
from tests.cluster.local.place import Place, place

pytestmark = pytest.mark.slow
SUPPORT = cgroups.detect(own=cgroups.membership())
needs_cgroups = pytest.mark.skipif(
    "memory" not in SUPPORT.folders, reason=f"memory cgroups are not writable: {SUPPORT.missing.get('memory')}"
)


@pytest.fixture
def home() -> Iterator[Place]:
    with place() as one:
        yield one


def supervisor(home: Place, name: str) -> int:
    return int(json.loads((home.folder(name) / "supervisor.json").read_text())["pid"])


def wait_for(condition: Callable[[], Any], what: str) -> None:
    give_up = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < give_up, what
        time.sleep(0.01)


def dead(pid: int | None) -> bool:
    return pid is not None and identity.start_time(pid) is None


def pid_of(seen: Observed, index: int = 0) -> int:
    pid = seen.replicas[index].pid
    assert pid is not None
    return pid


async def said(cluster: LocalCluster, name: str) -> str:
    """The first line of a workload."""
    async for line in cluster.logs(name, follow=True):
        return line.text
    raise AssertionError("it ended without a word")


def test_exit_code_while_no_hub_lives(home: Place) -> None:
    async def begin() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(job("train", f"import time; time.sleep(0.3); {FAIL.replace('7', '3')}"))
            await until(cluster, "train", lambda one: one.phase == "Running")

    async def see() -> None:
        async with home.cluster() as cluster:
            seen = await until_ended(cluster, "train")
            assert (seen.phase, seen.reason, seen.replicas[0].exit_code) == ("Failed", "Error", 3)
            assert seen.tail == "before the end"

    asyncio.run(begin())
    wait_for(lambda: not home.processes(), "the supervisor of an ended job ends")
    asyncio.run(see())


def test_a_supervisor_that_comes_late_does_not_run_the_job_again(home: Place, tmp_path: Path) -> None:
    """A hub died just after it had started it; the next hub's own one was faster, and is done."""
    starts = tmp_path / "starts"

    async def run() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(job("train", f"open({str(starts)!r}, 'a').write('x')"))
            assert (await until_ended(cluster, "train")).phase == "Succeeded"

    asyncio.run(run())
    wait_for(lambda: not home.processes(), "the supervisor of an ended job ends")
    supervision.start(Folder(home.folder("train")), {})
    wait_for(lambda: not home.processes(), "the late one ends")
    assert starts.read_text() == "x"


def test_a_new_hub_finds_what_runs(home: Place) -> None:
    async def see() -> Observed:
        async with home.cluster() as cluster:
            await cluster.apply(server("web", replicas=2))
            return await until_ready(cluster, "web", 2)

    first = asyncio.run(see())
    assert asyncio.run(see()) == first


async def another_supervisor(home: Place, name: str) -> None:
    """Kill the one that there is, and wait until the next one has written down what it has."""
    first = supervisor(home, name)
    folder = home.folder(name)
    os.kill(first, signal.SIGKILL)
    while supervisor(home, name) == first or (folder / "status.json").stat().st_mtime_ns < _written(folder):
        await asyncio.sleep(0.01)


def _written(folder: Path) -> int:
    return (folder / "supervisor.json").stat().st_mtime_ns


def test_the_replicas_of_a_killed_supervisor_go_on_under_the_next_one(home: Place) -> None:
    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(server("web", replicas=2))
            before = await until_ready(cluster, "web", 2)
            for _ in range(2):  # what was adopted can be adopted again
                await another_supervisor(home, "web")
                assert await until_ready(cluster, "web", 2) == before
            os.kill(pid_of(before), signal.SIGKILL)
            after = await until(cluster, "web", lambda one: len(one.ready) == 2 and one.replicas[0].restarts == 1)
            assert after.replicas[1] == before.replicas[1]
            assert after.replicas[0].address == before.replicas[0].address
            assert (after.replicas[0].exit_code, after.replicas[0].signal) == (None, None)

    asyncio.run(scenario())


def test_what_an_adopted_replica_prints_is_in_its_log(home: Place) -> None:
    loud = "import time\nfor second in range(1000):\n    print('line', second, flush=True)\n    time.sleep(0.05)"

    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(replace(server("loud"), command=("python", "-c", loud), serves=False))
            await until_ready(cluster, "loud")
            await another_supervisor(home, "loud")
            log = home.folder("loud") / "logs" / "replica-0.log"
            before = len(log.read_text().splitlines())
            wait_for(lambda: len(log.read_text().splitlines()) > before + 5, "it is read on")

    asyncio.run(scenario())


def test_a_replica_that_was_not_ready_when_its_supervisor_died_starts_anew(home: Place) -> None:
    silent = replace(server("web"), command=("python", "-c", "import time; time.sleep(100)"))

    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(silent)
            first = await until(cluster, "web", lambda one: bool(one.replicas and one.replicas[0].pid))
            await another_supervisor(home, "web")
            wait_for(lambda: dead(first.replicas[0].pid), "nobody looks after it")
            await until(cluster, "web", lambda one: one.replicas[0].pid not in (None, first.replicas[0].pid))

    asyncio.run(scenario())


def test_the_supervisor_of_a_job_is_killed(home: Place) -> None:
    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(job("train", SLEEP))
            running = await until(cluster, "train", lambda one: bool(one.ready))
            os.kill(supervisor(home, "train"), signal.SIGKILL)
            seen = await until_ended(cluster, "train")
            assert (seen.phase, seen.reason) == ("Failed", "SupervisorLost")
            wait_for(lambda: dead(running.replicas[0].pid), "the orphan is killed")
        async with home.cluster() as cluster:
            assert await cluster.observe("train") == seen

    asyncio.run(scenario())


def test_a_supervisor_that_is_asked_to_end_takes_its_replicas_along(home: Place) -> None:
    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(server("web"))
            await cluster.apply(job("train", SLEEP))
            before = await until_ready(cluster, "web")
            await until(cluster, "train", lambda one: bool(one.ready))
            for name in ("web", "train"):
                os.kill(supervisor(home, name), signal.SIGTERM)
            assert (await until_ended(cluster, "train")).reason == "SupervisorLost"
            pid = pid_of(before)
            after = await until(cluster, "web", lambda one: bool(one.ready) and one.replicas[0].pid != pid)
            assert after.phase == "Running"

    asyncio.run(scenario())


def test_the_pid_of_a_dead_replica_may_belong_to_a_stranger(home: Place) -> None:
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)

    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(job("train", SLEEP))
            await until(cluster, "train", lambda one: bool(one.ready))
        os.kill(supervisor(home, "train"), signal.SIGKILL)
        file = home.folder("train") / "status.json"
        status = json.loads(file.read_text())
        real = status["replicas"][0]["pid"]
        status["replicas"][0]["pid"] = stranger.pid
        file.write_text(json.dumps(status))
        async with home.cluster() as cluster:
            assert (await until_ended(cluster, "train")).reason == "SupervisorLost"
        assert stranger.poll() is None
        if not dead(real):  # without cgroups nothing else leads to it
            os.kill(real, signal.SIGKILL)

    try:
        asyncio.run(scenario())
    finally:
        stranger.kill()
        stranger.wait()


def test_stopping_takes_grandchildren_along(home: Place) -> None:
    program = "import subprocess, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"

    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(job("family", program))
            grandchild = int(await said(cluster, "family"))
            assert not dead(grandchild)
            await cluster.delete("family")
            await until_gone(cluster, "family")
            assert dead(grandchild)

    asyncio.run(scenario())


@needs_cgroups
def test_even_those_that_left_the_process_group(home: Place) -> None:
    program = (
        "import subprocess, time; "
        "print(subprocess.Popen(['sleep', '600'], start_new_session=True).pid, flush=True); time.sleep(600)"
    )

    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(job("runaway", program))
            grandchild = int(await said(cluster, "runaway"))
            await cluster.delete("runaway")
            await until_gone(cluster, "runaway")
            wait_for(lambda: dead(grandchild), "the runaway is killed")

    asyncio.run(scenario())


def test_a_pipe_that_a_grandchild_keeps_open_blocks_nothing(home: Place) -> None:
    program = (
        "import subprocess; print('last words', end='', flush=True); "
        "subprocess.Popen(['sleep', '600'], start_new_session=True)"
    )

    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(job("forks", program))
            seen = await asyncio.wait_for(until_ended(cluster, "forks"), 5)
            assert seen.phase == "Succeeded"
            assert [line.text for line in await lines(cluster, "forks")] == ["last words"]

    asyncio.run(scenario())


def test_a_process_that_ignores_sigterm_is_killed_after_the_grace_period(home: Place) -> None:
    program = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"

    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(replace(job("deaf", program), grace_period=0.3))
            assert await said(cluster, "deaf") == "deaf"
            begun = time.monotonic()
            await cluster.delete("deaf")
            seen = await cluster.observe("deaf")
            assert seen is not None
            assert seen.phase == "Stopping"
            await until_gone(cluster, "deaf")
            assert time.monotonic() - begun >= 0.3

    asyncio.run(scenario())


def test_a_server_that_does_not_listen_is_killed(home: Place) -> None:
    async def scenario() -> None:
        probe = HttpProbe("/", period=0.1, failure_threshold=2)
        async with home.cluster() as cluster:
            await cluster.apply(replace(server("mute", SLEEP), startup=probe))
            seen = await until(cluster, "mute", lambda one: any(r.reason == "StartupProbeFailed" for r in one.replicas))
            assert "refused" in seen.replicas[0].message
            await until(cluster, "mute", lambda one: one.replicas[0].restarts == 1)

    asyncio.run(scenario())


def test_a_server_that_hangs_is_restarted(home: Place) -> None:
    async def scenario() -> None:
        probe = HttpProbe("/", period=0.1, timeout=1.0, failure_threshold=2)
        async with home.cluster() as cluster:
            await cluster.apply(replace(server("hang"), readiness=probe, liveness=probe, grace_period=0.2))
            os.kill(pid_of(await until_ready(cluster, "hang")), signal.SIGSTOP)
            reasons: set[str] = set()

            def restarted(one: Observed) -> bool:
                reasons.add(one.replicas[0].reason)
                return one.replicas[0].restarts == 1 and bool(one.ready)

            seen = await until(cluster, "hang", restarted)
            assert "LivenessProbeFailed" in reasons
            assert seen.replicas[0].signal == signal.SIGKILL

    asyncio.run(scenario())


@pytest.mark.thorough
def test_a_replica_that_slept_with_its_supervisor_is_not_ended(home: Place) -> None:
    """A question was under way when the lid was closed, and its time is over when the lid opens."""
    strict = HttpProbe("/", period=0.1, timeout=2.0, failure_threshold=1)

    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(replace(server("web"), liveness=strict))
            before = await until_ready(cluster, "web")
            asleep = (pid_of(before), supervisor(home, "web"))
            for pid in asleep:
                os.kill(pid, signal.SIGSTOP)
                await asyncio.sleep(0.3)  # for a question that nobody answers
            await asyncio.sleep(5.0)
            for pid in asleep:
                os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(1.0)  # for what would be ended now
            assert await until_ready(cluster, "web") == before

    asyncio.run(scenario())


def test_a_killed_replica_comes_back_on_its_port_and_the_other_never_notices(home: Place) -> None:
    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(server("web", replicas=2))
            before = (await until_ready(cluster, "web", 2)).replicas
            os.kill(before[0].pid or 0, signal.SIGKILL)
            seen = await until(cluster, "web", lambda one: one.replicas[0].restarts == 1 and len(one.ready) == 2)
            assert seen.replicas[0].address == before[0].address
            assert seen.replicas[0].signal == signal.SIGKILL
            assert seen.replicas[1] == before[1]

    asyncio.run(scenario())


def test_a_port_that_a_stranger_took_is_left_to_him(home: Place) -> None:
    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(
                server("web", "import os, time; print(os.environ['PORT'], flush=True); time.sleep(600)")
            )
            port = int(await said(cluster, "web"))
            with socket.create_server(("127.0.0.1", port)):
                seen = await until(cluster, "web", lambda one: bool(one.replicas))
                os.kill(pid_of(seen), signal.SIGKILL)
                seen = await until(cluster, "web", lambda one: not one.replicas[0].address.endswith(f":{port}"))
            assert seen.replicas[0].phase in ("BackOff", "Starting")

    asyncio.run(scenario())


def test_two_homes_never_meet(home: Place) -> None:
    async def scenario(other: Place) -> None:
        async with home.cluster() as one, other.cluster() as two:
            await one.apply(server("web"))
            await two.apply(server("web"))
            first, second = await until_ready(one, "web"), await until_ready(two, "web")
            assert first.replicas[0].address != second.replicas[0].address
            await one.delete("web")
            await until_gone(one, "web")
            assert await two.observe("web") == second

    with place() as other:
        asyncio.run(scenario(other))


def test_a_program_that_starts_a_workload_gives_back_its_pipes(home: Place) -> None:
    program = f"""
import asyncio, sys
from pathlib import Path
from tests.cluster.local.place import Place
from shipway.testing.cluster_suite import SLEEP, job
async def main():
    async with Place(Path({str(home.home)!r})).cluster() as cluster:
        await cluster.apply(job("long", SLEEP))
        while not (await cluster.observe("long")).ready:
            await asyncio.sleep(0.01)
asyncio.run(main())
print("done")
"""
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)
    assert home.processes()
    for pid in home.processes():
        links = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.name in "012"}
        assert links <= {"/dev/null", f"{home.folder('long')}/supervisor.log"} or all(
            "pipe" in one or "null" in one for one in links
        )


def test_a_supervisor_is_small_and_listens_on_no_port(home: Place) -> None:
    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(server("web", replicas=2))
            await until_ready(cluster, "web", 2)
        status = Path(f"/proc/{supervisor(home, 'web')}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert match
        assert int(match[1]) < 12 * 1024
        for file in (home.home / "run" / "supervisors").iterdir():
            assert file.stat().st_mode & 0o777 == 0o600

    asyncio.run(scenario())


@needs_cgroups
def test_memory_is_limited_and_an_oom_kill_is_called_so(home: Place) -> None:
    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(replace(job("big", "x = bytearray(200 * 2**20)"), limits=Limits(0.9, 64 * 2**20)))
            seen = await until_ended(cluster, "big")
            assert (seen.reason, seen.replicas[0].signal) == ("OOMKilled", signal.SIGKILL)
            assert "64Mi" in seen.message
            assert seen.notes == ()

    asyncio.run(scenario())
    for folder in SUPPORT.folders.values():
        assert not any(list(parent.glob("big-*")) for parent in Path(folder).glob("shipway-*"))


def test_secrets_reach_the_replica_and_nothing_else(home: Place) -> None:
    file = home.home / "secrets" / "upstream" / "API_KEY"
    file.parent.mkdir(parents=True)
    file.write_text("s3cret")
    # Spelled backwards, or the search below would find it in the program.
    program = (
        "import os, sys; "
        "print(os.environ['KEY'][::-1] == 'terc3s', os.environ.get('AWS_SECRET_ACCESS_KEY'), *sys.argv[1:])"
    )

    async def scenario() -> None:
        workload = replace(job("uses", program), secret_env={"KEY": ("upstream", "API_KEY")})
        async with home.cluster() as cluster:
            await cluster.apply(replace(workload, command=(*workload.command, "$(KEY)")))
            seen = await until_ended(cluster, "uses")
            assert [line.text for line in await lines(cluster, "uses")] == ["True None $(KEY)"]
            assert "is a secret" in seen.notes[0]
            await cluster.apply(replace(workload, name="lacks", secret_env={"KEY": ("upstream", "NONE")}))
            seen = await until_ended(cluster, "lacks")
            assert (seen.phase, seen.reason) == ("Failed", "SecretNotFound")

    asyncio.run(scenario())
    files = [one for one in home.folder("uses").rglob("*") if one.is_file()]
    assert not [one for one in files if b"s3cret" in one.read_bytes()]


def test_preparing_fails_with_its_reason_which_the_next_hub_knows(home: Place) -> None:
    home.environments.failure = DependencyFailed("uv cannot install nosuch==1\nNo solution found")

    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(replace(job("bad", PRINT), environment=Environment(("nosuch==1",))))
            seen = await until_ended(cluster, "bad")
            assert (seen.reason, seen.message) == ("EnvironmentFailed", "uv cannot install nosuch==1")
            assert "No solution found" in seen.tail
            await cluster.apply(replace(job("lost", PRINT), source="sha256:0"))
            assert (await until_ended(cluster, "lost")).reason == "ArtifactNotFound"
        async with home.cluster() as cluster:
            assert await cluster.observe("bad") == seen

    asyncio.run(scenario())


def test_source_inputs_and_model_are_there(home: Place) -> None:
    source, data = home.home / "source", home.home / "data"
    source.mkdir()
    (source / "main.py").write_text(
        "import os, json; print(open(json.loads(os.environ['SHIPWAY_INPUTS'])['data'] + '/d').read())\n"
        "open(os.environ['SHIPWAY_OUTPUT_DIR'] + '/model', 'w').write('m'); open('here', 'w').close()\n"
        "print(os.environ['SHIPWAY_MODEL_DIR'])"
    )
    data.mkdir()
    (data / "d").write_text("numbers")
    home.artifacts.folders = {"s": source, "d": data, "m": data}
    workload = Workload("w", "job", ("python", "main.py"), source="s", inputs={"data": "d"}, model="m")

    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(workload)
            seen = await until_ended(cluster, "w")
            assert (seen.phase, seen.environment) == ("Succeeded", "the tests' own Python")
            assert [line.text for line in await lines(cluster, "w")] == ["numbers", str(data)]
            assert [one.name for one in Path(seen.output).iterdir()] == ["model"]
            assert sorted(one.name for one in source.iterdir()) == ["main.py"]

    asyncio.run(scenario())


def test_a_hub_that_died_while_preparing_or_removing_goes_on(home: Place) -> None:
    home.environments.seconds = 0.2

    async def begin() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(replace(job("half", PRINT), environment=Environment()))
            await cluster.apply(server("going"))
            await until_ready(cluster, "going")

    async def go_on() -> None:
        async with home.cluster() as cluster:
            assert (await until_ended(cluster, "half")).phase == "Succeeded"
            await until_gone(cluster, "going")

    asyncio.run(begin())
    (home.folder("going") / "deleted").write_text("{}")
    (home.home / "workloads" / "never-written").mkdir()
    asyncio.run(go_on())
    assert [one.name for one in (home.home / "workloads").iterdir()] == ["half"]


def test_deleting_while_an_environment_is_built_does_not_wait_for_it(home: Place) -> None:
    home.environments.seconds = 5.0

    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(replace(job("slow", PRINT), environment=Environment()))
            await asyncio.sleep(0.05)
            await cluster.delete("slow")
            await asyncio.wait_for(until_gone(cluster, "slow"), 2)

    asyncio.run(scenario())


def test_what_is_refused(home: Place) -> None:
    async def scenario() -> None:
        async with home.cluster() as cluster:
            for name in ("", "../up", "A", ".hidden", "a/b"):
                assert "name" in await refusal(InvalidObject, cluster.apply(job(name, PRINT)))
            await cluster.apply(job("fixed", SLEEP))
            assert "cannot be scaled" in await refusal(Refused, cluster.apply(job("fixed", SLEEP, replicas=2)))

    asyncio.run(scenario())


def test_a_stale_socket_and_a_missing_status_are_no_obstacle(home: Place) -> None:
    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(server("web"))
            before = await until_ready(cluster, "web")
        os.kill(supervisor(home, "web"), signal.SIGKILL)
        os.killpg(pid_of(before), signal.SIGKILL)
        (home.folder("web") / "status.json").unlink()
        async with home.cluster() as cluster:
            after = await until_ready(cluster, "web")
            assert after.replicas[0].address == before.replicas[0].address

    asyncio.run(scenario())


def test_a_crash_loop_backs_off_and_shows_its_words(home: Place) -> None:
    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(server("loop", f"print('trying', flush=True); {FAIL}"))
            seen = await until(cluster, "loop", lambda one: one.replicas != () and one.replicas[0].restarts == 1)
            seen = await until(cluster, "loop", lambda one: one.replicas[0].phase == "BackOff")
            assert seen.replicas[0].exit_code == 7
            assert seen.tail.endswith("before the end")
            assert seen.phase == "Running"

    asyncio.run(scenario())


def test_sixteen_jobs_at_once_all_end_and_leave_nothing(home: Place) -> None:
    async def scenario() -> None:
        async with home.cluster() as cluster:
            for number in range(16):
                await cluster.apply(job(f"j{number}", PRINT))
            for number in range(16):
                assert (await until_ended(cluster, f"j{number}")).phase == "Succeeded"
        wait_for(lambda: not home.processes(), "supervisors of ended jobs end")

    asyncio.run(scenario())
