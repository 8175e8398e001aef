"""When to try again."""

from __future__ import annotations

import pytest

from shipway.oci.registry.retry import LONGEST, Tries, pause


def ask(
    failures: int = 1,
    *,
    waited: float = 0.0,
    chance: float = 0.0,
    status: int | None = None,
    wanted: float | None = None,
) -> float | None:
    return pause(Tries(failures, waited), chance, status=status, wanted=wanted, attempts=6, patience=120.0)


def test_waits_grow_up_to_a_cap_and_scatter() -> None:
    assert [ask(count, chance=0.999999) for count in (1, 2, 3)] == pytest.approx([0.25, 0.5, 1.0], rel=1e-3)
    assert ask(1, chance=0.0) == 0.125
    assert pause(Tries(30), 0.999999, attempts=99, patience=120.0) == pytest.approx(LONGEST, rel=1e-3)


@pytest.mark.parametrize("status", [None, 408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int | None) -> None:
    assert ask(status=status) is not None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 416, 501, 505])
def test_a_no_is_a_no(status: int) -> None:
    assert ask(status=status) is None


def test_the_servers_own_time_is_a_floor() -> None:
    assert ask(status=429, wanted=30.0) == 30.0
    assert ask(status=429, wanted=30.0, chance=0.5) == 30.125
    assert ask(status=503, wanted=3600.0) is None, "nobody waits an hour in a terminal"


def test_it_ends_after_so_many_tries_or_so_much_time() -> None:
    assert ask(5) is not None and ask(6) is None
    assert ask(2, waited=119.0) is not None and ask(2, waited=120.0) is None


def test_failures_and_waits_add_up() -> None:
    assert Tries().failed().after(2.0).failed().after(0.5) == Tries(2, 2.5)
