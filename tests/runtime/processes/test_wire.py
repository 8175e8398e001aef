"""Messages out of a stream of bytes."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest

from shipway.runtime.server.calls import Answer, Call
from shipway.runtime.server.engine.executor import Description
from shipway.runtime.server.engine.processes.arena import Block
from shipway.runtime.server.engine.processes.channel import Channel
from shipway.runtime.server.engine.processes.wire import Done, Failed, FromWorker, Load, Loaded, Run, ToWorker
from shipway.runtime.server.settings import Server, Settings
from shipway.runtime.signature import Signature, Tensor

NOTHING = Block(0, 64, ())


@pytest.fixture
def ends() -> tuple[Channel, Channel]:
    requests, replies = os.memfd_create("a"), os.memfd_create("b")
    server = Channel(FromWorker, read_from=replies, write_to=requests)
    worker = Channel(ToWorker, read_from=requests, write_to=replies)
    for fd in (requests, replies):
        os.close(fd)  # what is small needs no memory
    return server, worker


def _deliver(channel: Channel, stream: bytes, chance: random.Random, longest: int) -> list[object]:
    frames: list[object] = []
    while stream:
        room = channel.room()
        count = min(chance.randint(1, longest), len(room), len(stream))
        room[:count] = stream[:count]
        stream = stream[count:]
        frames += channel.received(count)
    return frames


@pytest.mark.parametrize("longest", [1, 7, 300, 10**6])
def test_messages_are_found_however_the_bytes_come(ends: tuple[Channel, Channel], longest: int) -> None:
    server, worker = ends
    chance = random.Random(longest)
    lengths = [0, 1, 5000, 3, 2, 0] if longest < 100 else [0, 10, 5000, 65_520, 0, 200_000, 1, 65_536, 2]
    sent = [Failed(number, "FAILED", "x" * length, 1.0) for number, length in enumerate(lengths)]
    stream = b"".join(worker.message(frame) for frame in sent)
    assert _deliver(server, stream, chance, longest) == sent


def test_what_is_said_arrives_whole(ends: tuple[Channel, Channel]) -> None:
    server, worker = ends
    settings = Settings(
        port=1, model_dir=Path("/ü"), predictor="p.py:P", allow_pickle=True, server=Server(instances=3, drain_delay=2.5)
    )
    run = Run(2**40, NOTHING, ("a", "b"), {"t": 0.5, "n": 3, "b": True, "s": "ß"}, None, float("inf"), True)
    loaded = Loaded(
        Description("x", Signature((Tensor("a", "FP32", (-1, 3)),), (Tensor("b", "BYTES", (-1,)),)), concurrent=True)
    )
    chance = random.Random(0)
    assert _deliver(worker, bytes(server.message(Load(settings)) + server.message(run)), chance, 99) == [
        Load(settings),
        run,
    ]
    assert _deliver(server, bytes(worker.message(loaded)), chance, 99) == [loaded]


def test_nothing_of_a_call_and_its_answer_is_left_out() -> None:
    """Who adds a field to them decides here whether a worker must know it."""
    only_for_the_server = {"binary", "columns"}
    assert set(Call.__struct_fields__) - only_for_the_server <= set(Run.__struct_fields__)
    assert set(Answer.__struct_fields__) <= set(Done.__struct_fields__)


def test_small_arrays_need_no_shared_memory(ends: tuple[Channel, Channel]) -> None:
    server, worker = ends
    block = server.write({"x": np.arange(6.0).reshape(2, 3)})
    (run,) = _deliver(worker, bytes(server.message(Run(1, block, (), {}, None, 0.0, False))), random.Random(0), 99)
    assert isinstance(run, Run)
    assert worker.read(run.inputs)["x"].tolist() == [[0, 1, 2], [3, 4, 5]]
