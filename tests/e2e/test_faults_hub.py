"""The hub dies at the worst moments: what runs goes on, and the next hub takes it up where it stood."""

from __future__ import annotations

import random
import signal
import time
from typing import Any

from tests.e2e.faults import (
    Trained,
    command,
    entries,
    hub_of,
    kill,
    kill_hub,
    line_answers,
    nothing_twice,
    own_answers,
    own_server,
    phase_is,
    the,
    version_of,
    watched,
    whole,
)
from tests.e2e.home import Home, Load, eventually

BODY = {"input": [[1.0]]}


def test_killed_while_it_trains(home: Home) -> None:
    """The command that waits starts the next hub, or, when it was killed too, the next command does."""
    line = Trained(home)
    line.let_go()
    home.ok("up", line.folder)
    with Load(f"{home.url('line')}/predict", BODY, line_answers, threads=4) as load:
        for both in (False, True):
            line.hold()
            line.change()
            before = len(line.starts)
            with command(home, "up", line.folder) as finish:
                eventually(lambda: len(line.starts) > before, what="training began")  # noqa: B023
                if both:
                    kill(the(home, "cli"))
                kill_hub(home)
                load.more()
                line.let_go()
                if both:
                    home.ok("up", line.folder)
                else:
                    finish()
        whole(home, "line")
        load.more()
    assert load.bad == []
    assert len(line.starts) == len(set(line.starts)) == 3
    nothing_twice(home, "line", runs=3)


def test_killed_while_it_packs(home: Home) -> None:
    """Six moments on the way from the end of training to the version: it takes some 0.2 s."""
    line = Trained(home, size=24 * 2**20)
    line.let_go()
    home.ok("up", line.folder)
    delays = [0.0, *sorted(random.Random(2).uniform(0.0, 0.25) for _ in range(5))]
    with Load(f"{home.url('line')}/predict", BODY, line_answers, threads=4) as load:
        for delay in delays:
            line.change()
            since = version_of(home)
            with command(home, "up", line.folder) as finish:
                watched(home, phase_is("ModelJob", "Packing"), since=since)
                time.sleep(delay)  # the moment of the fault: not a wait for anything
                kill_hub(home)
                finish()
            assert line.starts[-1:] and len(line.starts) == line.slope - 1
        whole(home, "line")
        load.more()
    assert load.bad == []
    nothing_twice(home, "line", runs=1 + len(delays))
    # The lease of one that was killed counts for another hour.
    files = [one for one in (home.path / "oci").rglob("*") if one.is_file()]
    left = [one for one in files if not {"blobs", "leases"} & {*one.parts}]
    assert {one.name for one in left} <= {"index.json", "oci-layout", ".lock"}, left


def _starting(one: dict[str, Any]) -> bool:
    return phase_is("Revision", "Starting")(one)


def _ready(one: dict[str, Any]) -> bool:
    return phase_is("Revision", "Ready")(one)


def _asked(one: dict[str, Any]) -> bool:
    """The route has its new backends, and the gateway has not confirmed them."""
    return bool(
        one["kind"] == "Route" and one["spec"]["backends"] and one["spec"]["backends"] != one["status"]["liveBackends"]
    )


def _live(one: dict[str, Any]) -> bool:
    return bool(one["kind"] == "Route" and one["spec"]["backends"] == one["status"]["liveBackends"])


def _draining(one: dict[str, Any]) -> bool:
    return phase_is("Revision", "Draining")(one)


def _retired(one: dict[str, Any]) -> bool:
    return phase_is("Revision", "Retired")(one)


def test_killed_while_it_rolls_out(home: Home) -> None:
    own = own_server(home)
    home.ok("up", own.folder)
    moments = [_starting, _ready, _asked, _live, _draining, _retired]
    with Load(home.url("own"), {}, own_answers, threads=4) as load:
        for edition, moment in enumerate(moments, 2):
            own.edit("server.py", f'"edition": {edition - 1},', f'"edition": {edition},')
            number = f"own-{edition:05d}"
            since = version_of(home)
            with command(home, "up", own.folder) as finish:
                seen = watched(
                    home,
                    lambda one: moment(one) and (moment in (_asked, _live) or _is_of(one, number, moment)),  # noqa: B023
                    since=since,
                )
                assert seen
                kill_hub(home)
                load.more(50)
                finish()
            home.ok("hub", "start")
            assert whole(home, "own") == number
        load.more()
    assert load.bad == []
    live = [one["data"]["to"] for one in entries(home, "ModelService/own", "ledger")]
    assert live == [f"own-{number:05d}" for number in range(1, len(moments) + 2)]
    editions = {text.partition(",")[0] for text in load.good}
    assert editions == {f'{{"edition": {number}' for number in range(1, len(moments) + 2)}


def _is_of(one: dict[str, Any], number: str, moment: object) -> bool:
    """The new revision starts and gets ready, the old one drains and retires."""
    is_new = bool(one["metadata"]["name"] == number)
    return is_new == (moment in (_starting, _ready))


def test_a_job_that_fails_while_no_hub_lives(home: Home) -> None:
    line = Trained(home)
    line.project.edit("shipway.yaml", "code: 0", "code: 3")
    with command(home, "up", line.folder):
        eventually(lambda: line.starts, what="training began")
        kill(the(home, "cli"))
        kill_hub(home)
    line.let_go()
    eventually(lambda: not home.processes(), what="the job and its supervisor end")
    home.ok("hub", "start")

    def failed() -> dict[str, Any]:
        status: dict[str, Any] = hub_of(home).get("/apis/shipway.dev/v1alpha1/modeljobs/line")["status"]
        return status if status["phase"] == "Failed" else {}

    status = eventually(failed, what="the next hub reports it")
    assert status["run"]["exitCode"] == 3
    assert "exit" in home.ok("jobs") + str(status["conditions"])
    assert len(line.starts) == 1


def test_stopped_for_seconds_under_load(home: Home) -> None:
    """A hub that hangs harms nobody, and goes on when it can; a replica that dies meanwhile comes back without it."""
    own = own_server(home)
    home.ok("up", own.folder)
    with Load(home.url("own"), {}, own_answers, threads=4) as load:
        hub = the(home, "hub")
        kill(hub, signal.SIGSTOP)
        try:
            victim = home.processes("replica")[0]
            kill(victim)
            load.more(1000)
            eventually(lambda: len(set(home.processes("replica")) - {victim}) == 2, what="the replica comes back")
            load.more(500)
        finally:
            kill(hub, signal.SIGCONT)
        whole(home, "own")
        assert home.hub_pid() == hub.pid
        load.more()
    assert load.bad == []
