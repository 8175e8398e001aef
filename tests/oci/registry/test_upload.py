"""What to do next in an upload: every answer that a registry may give."""

from __future__ import annotations

import pytest

from shipway.oci.registry import upload
from shipway.oci.registry.upload import FIRST_CHUNK, Next, Session, Told

SIZE = 100 << 20
MIB = 1 << 20


def test_post_begins_or_was_enough() -> None:
    step, session = upload.begun(Told(202, "https://r/u?_state=x"), SIZE, 0, "65536")
    assert (step, session) == (Next.SEND, Session("https://r/u?_state=x", SIZE, least=65536))
    assert upload.begun(Told(201, "https://r/b"), SIZE, 0, "")[0] is Next.DONE
    assert upload.begun(Told(200, "https://r/b"), SIZE, 0, "x")[0] is Next.REFUSED


def test_everything_goes_at_once_or_in_chunks_that_are_large_enough() -> None:
    assert Session("u", SIZE, offset=5).end == SIZE
    assert Session("u", SIZE, offset=5, chunk=10).end == 15
    assert Session("u", SIZE, offset=5, chunk=10, least=64).end == 69
    assert Session("u", SIZE, offset=SIZE - 1, chunk=10).end == SIZE


def test_after_a_chunk_the_registry_says_how_much_it_has() -> None:
    before = Session("u", SIZE, chunk=10 * MIB)
    step, after = upload.sent(before, Told(202, "u2", f"0-{10 * MIB - 1}"))
    assert (step, after) == (Next.SEND, Session("u2", SIZE, offset=10 * MIB, chunk=10 * MIB))
    assert upload.sent(before, Told(202, "u2", "0-4"))[1].offset == 5, "it took less than was sent"
    assert upload.sent(before, Told(202, "u2"))[1].offset == 10 * MIB, "it does not say"
    assert upload.sent(before, Told(202, "u2", f"0-{SIZE}"))[0] is Next.RESTART, "more than there is"
    assert upload.sent(before, Told(202, "u2", "0-0"))[0] is Next.RESTART, "nothing of it: or it goes on for ever"


@pytest.mark.parametrize(
    "status, step",
    [
        (201, Next.WHOLE),  # ECR
        (416, Next.ASK),
        (401, Next.ASK),
        (429, Next.ASK),
        (500, Next.ASK),
        (503, Next.ASK),
        (404, Next.RESTART),
        (400, Next.REFUSED),
        (403, Next.REFUSED),
    ],
)
def test_after_a_chunk(status: int, step: Next) -> None:
    assert upload.sent(Session("u", SIZE), Told(status, "u"))[0] is step


def test_too_large_bodies_become_smaller_until_there_is_no_sense_in_it() -> None:
    session, sizes = Session("u", SIZE), []
    while (told := upload.sent(session, Told(413, "u")))[0] is Next.ASK:
        session = told[1]
        sizes.append(session.chunk)
    assert sizes[0] == FIRST_CHUNK and sizes[-1] == MIB
    assert told[0] is Next.REFUSED
    assert upload.sent(Session("u", SIZE, chunk=32 * MIB, least=32 * MIB), Told(413, "u"))[0] is Next.REFUSED


@pytest.mark.parametrize(
    "told, step, offset",
    [
        (Told(204, "u2", "0-9"), Next.SEND, 10),
        (Told(204, "u2", "0-0"), Next.SEND, 0),
        (Told(204, "u2", ""), Next.RESTART, 7),
        (Told(204, "u2", f"0-{SIZE}"), Next.RESTART, 7),
        (Told(404, "u2"), Next.RESTART, 7),
        (Told(400, "u2"), Next.RESTART, 7),  # docker-registry 2.8 after a break
        (Told(503, "u2"), Next.ASK, 7),
        (Told(401, "u2"), Next.ASK, 7),
    ],
)
def test_after_asking(told: Told, step: Next, offset: int) -> None:
    found, session = upload.asked(Session("u", SIZE, offset=7), told)
    assert (found, session.offset) == (step, offset)


@pytest.mark.parametrize(
    "status, step",
    [
        (201, Next.DONE),
        (204, Next.DONE),
        (400, Next.REFUSED),
        (403, Next.REFUSED),
        (404, Next.RESTART),
        (416, Next.RESTART),
        (500, Next.RESTART),
        (401, Next.RESTART),
    ],
)
def test_after_the_end(status: int, step: Next) -> None:
    assert upload.ended(Told(status, "u")) is step
