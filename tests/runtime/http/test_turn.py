"""The end of the loop's turn: who waits for it, and who must not."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Answer, Call
from shipway.runtime.server.engine.batch import whole
from shipway.runtime.server.engine.executor import Description
from shipway.runtime.server.http.turn import Turn
from shipway.runtime.server.refusals import Reason, Refused
from tests.runtime.http.face import SIGNATURE, Played, face, raw

ASK = raw("POST", "/predict", b'{"input": [[1, 2]]}', {})
BAD = raw("POST", "/predict", b'{"input": [[1, -2]]}', {})


class Brief(Played):
    """Answers at once; a negative number breaks it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    async def start(self) -> Description:
        return Description("brief", SIGNATURE, brief_rows=2)

    def at_once(self, call: Call) -> Answer:
        rows = whole(call).inputs["x"]
        self.calls.append(len(rows))
        if self.problem is not None and np.any(rows < 0):
            raise self.problem
        return Answer({"sum": rows.sum(axis=1)}, len(rows))


class Line:
    """A transport that remembers."""

    def __init__(self, log: list[Any]) -> None:
        self.log, self.closing = log, False

    def write(self, data: bytes) -> None:
        self.log.append(data)

    def is_closing(self) -> bool:
        return self.closing


def test_jobs_first_then_answers_and_none_to_who_has_gone() -> None:
    async def steps() -> None:
        log: list[Any] = []
        turn, one, gone = Turn(), Line(log), Line(log)
        turn.send(one, b"1")
        turn.later(lambda: (log.append("job"), turn.send(one, b"2"))[0])  # type: ignore[func-returns-value]
        turn.send(gone, b"x")
        gone.closing = True
        assert log == []
        await asyncio.sleep(0)
        assert log == ["job", b"1", b"2"]
        turn.send(one, b"3")
        turn.flush()
        assert log[3:] == [b"3"]
        await asyncio.sleep(0)
        assert log[3:] == [b"3"]

    asyncio.run(steps())


def test_those_of_one_turn_are_one_call_of_the_model() -> None:
    async def steps() -> None:
        executor = Brief()
        brief = await face(executor=executor)
        clients = [brief.connect() for _ in range(5)]
        for number, client in enumerate(clients):
            client.connection.data_received(ASK.replace(b"2", str(number).encode()))
            assert client.sent == b""
        clients[3].connection.connection_lost(None)
        await asyncio.sleep(0)
        assert executor.calls == [4]
        assert [client.sent.endswith(b'{"output":[%d.0]}' % (1 + n)) for n, client in enumerate(clients)] == [
            number != 3 for number in range(5)
        ]
        assert brief.in_flight == 0 and not brief.repository.served()[0].held
        assert 'code="499"' in brief.metrics.render(ready=True)

    asyncio.run(steps())


def test_one_that_breaks_the_model_breaks_no_other() -> None:
    async def steps() -> None:
        executor = Brief()
        brief = await face(executor=executor)
        for problem, status in (
            (BadInput("no"), b"400"),
            (Refused(Reason.FAILED, "no"), b"500"),
            (OSError("no"), b"500"),
        ):
            executor.problem = problem
            good, bad = brief.connect(), brief.connect()
            good.connection.data_received(ASK)
            bad.connection.data_received(BAD)
            await asyncio.sleep(0)
            assert bad.sent[9:12] == status
            assert good.sent[9:12] == b"200"
        assert brief.in_flight == 0

    asyncio.run(steps())


def test_who_finds_the_model_busy_waits_for_it() -> None:
    async def steps() -> None:
        executor = Brief()
        brief = await face(executor=executor)
        client, large = brief.connect(), brief.connect()
        client.connection.data_received(ASK)
        executor.go.clear()
        large.connection.data_received(raw("POST", "/predict", b'{"input": [[1, 2], [3, 4], [5, 6]]}', {}))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        executor.go.set()
        while not (client.sent and large.sent):
            await asyncio.sleep(0.001)
        assert client.sent.endswith(b"[3.0]}") and large.sent.endswith(b"[3.0,7.0,11.0]}")

    asyncio.run(steps())


def test_a_large_body_is_read_when_all_others_are_answered() -> None:
    async def steps() -> None:
        brief = await face(executor=Brief())
        small, large = brief.connect(), brief.connect()
        small.connection.data_received(ASK)
        assert not small.sent
        large.connection.data_received(raw("POST", "/predict", b" " * 20_000 + b'{"input": [[1, 2]]}', {}))
        assert small.sent.endswith(b"[3.0]}") and not large.sent
        await asyncio.sleep(0)
        assert large.sent.endswith(b"[3.0]}")

    asyncio.run(steps())


def test_the_last_answer_goes_before_its_connection_closes() -> None:
    async def steps() -> None:
        brief = await face(executor=Brief())
        client = brief.connect()
        client.connection.data_received(raw("POST", "/predict", b'{"input": [[1, 2]]}', {"connection": "close"}))
        await asyncio.sleep(0)
        assert client.sent.endswith(b"[3.0]}") and client.closed.is_set()

    asyncio.run(steps())
