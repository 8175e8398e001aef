"""Nobody gets another one's answer where brief calls of many connections are one call of the model:

    python -m tests.runtime.http.fuzz --requests 1000000 --seed 1

The socket is played, all behind it is real. Clients send what they like in whatever pieces, several requests at once,
hang up at any moment, and ask for what the model refuses; each row is its own question, so that an answer says whose
it is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Mapping

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.engine.threads import ThreadExecutor
from shipway.runtime.server.loading.model import Model
from tests.runtime.http.face import SIGNATURE, Face, Transport, face, raw

_CLIENTS = 64
_BAD, _BROKEN = 13.0, 17.0


def add(call: Call) -> Mapping[str, Array]:
    """The sum of each row."""
    rows = call.inputs["x"]
    if (rows == _BAD).any():
        raise BadInput("thirteen")
    if (rows == _BROKEN).any():
        raise RuntimeError("broken")
    return {"sum": rows.sum(axis=1)}


class Client:
    """Asks on one connection after another."""

    def __init__(self, face: Face, seed: int) -> None:
        self._face = face
        self._random = random.Random(seed)
        self._number = seed * 10_000_000
        self.counts: Counter[str] = Counter()

    async def ask(self, requests: int) -> None:
        """So many requests."""
        while requests > 0:
            requests -= await self._connection(min(requests, 50))

    async def _connection(self, requests: int) -> int:
        """How many were asked until it ended."""
        transport, asked = self._face.connect(), 0
        while asked < requests and not transport.closed.is_set():
            questions = [self._question() for _ in range(self._random.choice((1, 1, 1, 2, 3)))]
            asked += len(questions)
            for rows, _ in questions:
                await self._send(transport, rows)
            if self._random.random() < 0.05:
                transport.close()
                self.counts["hung up"] += len(questions)
                return asked
            for rows, expected in questions:
                self.counts[_outcome(*await self._answer(transport), rows, expected)] += 1
        transport.close()
        return asked

    def _question(self) -> tuple[list[list[float]], int]:
        draw = self._random
        rows = []
        for _ in range(draw.choice((1, 1, 1, 1, 2, 3, 70))):
            self._number += 1
            rows.append([float(self._number), 0.5])
        code = draw.choices((200, 400, 500), (96, 2, 2))[0]
        if code != 200:
            draw.choice(rows)[1] = _BAD if code == 400 else _BROKEN
        return rows, code

    async def _send(self, transport: Transport, rows: list[list[float]]) -> None:
        draw = self._random
        body = json.dumps({"input": rows}).encode()
        headers = {"x-request-id": "a"} if draw.random() < 0.1 else {}
        data = raw("POST", "/predict", [body] if draw.random() < 0.05 else body, headers)
        cut = draw.randrange(len(data)) if draw.random() < 0.1 else len(data)
        transport.connection.data_received(data[:cut])
        if draw.random() < 0.5 or cut < len(data):
            await asyncio.sleep(0)
        if cut < len(data) and not transport.closed.is_set():
            transport.connection.data_received(data[cut:])

    async def _answer(self, transport: Transport) -> tuple[int, bytes]:
        """Status and body of the next one, which is taken off what was sent."""
        while True:
            head, end, rest = transport.sent.partition(b"\r\n\r\n")
            if end:
                length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                if len(rest) >= length:
                    transport.sent = rest[length:]
                    return int(head[9:12]), rest[:length]
            transport.wrote.clear()
            await transport.wrote.wait()


def _outcome(status: int, body: bytes, rows: list[list[float]], expected: int) -> str:
    if status != expected:
        return f"wrong: {status} for {expected}"
    if expected == 200 and json.loads(body) != {"output": [sum(row) for row in rows]}:
        return "wrong"
    return {200: "answered", 400: "bad input", 500: "failed"}[expected]


async def fuzz(requests: int, seed: int) -> Counter[str]:
    """Outcomes by how often; also ``left``: requests that the server still counts at the end."""
    executor = ThreadExecutor(lambda: Model("fuzz", add, SIGNATURE, any_thread=True))
    made = await face(executor=executor)
    clients = [Client(made, seed * _CLIENTS + number) for number in range(_CLIENTS)]
    await asyncio.gather(*(client.ask(requests // _CLIENTS) for client in clients))
    for _ in range(20):
        await asyncio.sleep(0.001)
    counts = sum((client.counts for client in clients), Counter[str]())
    counts["left"] = made.in_flight + int(made.repository.served()[0].held) + len(made.shared.living)
    await executor.stop()
    return counts


def main() -> None:
    """Print the outcomes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    counts = asyncio.run(fuzz(options.requests, options.seed))
    print(f"seed {options.seed}, {options.requests} requests in {time.monotonic() - began:.0f} s")
    for outcome, count in counts.most_common():
        print(f"{count:10} {outcome}")


if __name__ == "__main__":
    main()
