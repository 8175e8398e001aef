"""The sidecar with the launcher's own way of asking it, against registries that fail in all ways."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from shipway.courier.patience import Patience
from shipway.courier.sidecar import Sidecar
from shipway.oci.registry import Anonymous, Limits, Registry
from shipway.runtime import launch
from shipway.testing.registry import (
    Drop,
    FakeRegistry,
    Reply,
    ServerError,
    TooManyRequests,
)
from tests.oci.registry.faulty import HASTY

AT_ONCE = Patience(longest=0.1, first=0.01, most=0.01)


def sidecar(folder: Path, registry: FakeRegistry, said: list[str], patience: Patience = AT_ONCE) -> Sidecar:
    def new() -> Registry:
        return Registry(Anonymous(), limits=Limits(attempts=2, small=1000, stall=2.0), pace=HASTY)

    return Sidecar(folder, f"{registry.host}/team/outputs:digits-1", new, said.append, patience=patience, every=0.05)


async def served(one: Sidecar, path: Path, work: Callable[[], Awaitable[Any]]) -> Any:
    stop = asyncio.Event()
    serving = asyncio.create_task(one.serve(path, stop))
    while not path.exists():
        await asyncio.sleep(0.005)
    try:
        return await work()
    finally:
        stop.set()
        await serving


def asked(one: Sidecar, path: Path, times: int = 1) -> list[dict[str, Any]]:
    async def ask() -> list[dict[str, Any]]:
        return [await asyncio.to_thread(launch.push, str(path)) for _ in range(times)]

    return asyncio.run(served(one, path, ask))


def test_it_pushes_and_says_where(output: Path, registry: FakeRegistry, tmp_path: Path) -> None:
    said: list[str] = []
    first, second = asked(sidecar(output, registry, said), tmp_path / "run" / "socket", times=2)
    host, _, digest = first["output"].partition("@")
    assert host == f"{registry.host}/team/outputs" and first == second
    assert registry.manifest("team/outputs", digest) == registry.manifest("team/outputs", "digits-1")
    assert sum("pushed" in line for line in said) == 1


def test_nothing_is_pushed_of_an_empty_folder(registry: FakeRegistry, tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    assert asked(sidecar(tmp_path / "output", registry, []), tmp_path / "socket") == [{"output": ""}]
    assert not registry.requests()


@pytest.mark.parametrize(
    "fault", [ServerError(), TooManyRequests(), Drop(), Reply(502)], ids=lambda one: type(one).__name__
)
def test_a_registry_that_fails_for_a_while(output: Path, registry: FakeRegistry, tmp_path: Path, fault: Any) -> None:
    registry.fail(fault, times=9)  # more often than one push of the client tries
    [answer] = asked(sidecar(output, registry, []), tmp_path / "socket")
    assert registry.manifest("team/outputs", answer["output"].partition("@")[2])


@pytest.mark.thorough
def test_one_that_never_comes_back_fails_the_push_with_its_own_words(
    output: Path, registry: FakeRegistry, tmp_path: Path
) -> None:
    registry.fail(ServerError())
    said: list[str] = []
    [answer] = asked(sidecar(output, registry, said), tmp_path / "socket")
    assert "500" in answer["failed"] and any("again in" in line for line in said)


def test_one_that_refuses_is_asked_once(output: Path, registry: FakeRegistry, tmp_path: Path) -> None:
    registry.fail(Reply(403))
    said: list[str] = []
    [answer] = asked(sidecar(output, registry, said), tmp_path / "socket")
    assert "403" in answer["failed"] and not any("again in" in line for line in said)


def test_asked_again_after_a_failure_it_tries_again(output: Path, registry: FakeRegistry, tmp_path: Path) -> None:
    trap = registry.fail(Reply(403))

    async def ask() -> list[dict[str, Any]]:
        first = await asyncio.to_thread(launch.push, str(tmp_path / "socket"))
        trap.lift()
        return [first, await asyncio.to_thread(launch.push, str(tmp_path / "socket"))]

    one = sidecar(output, registry, [])
    first, second = asyncio.run(served(one, tmp_path / "socket", ask))
    assert "failed" in first and "output" in second


@pytest.mark.slow
def test_a_registry_that_lies_of_a_digest_is_not_believed(output: Path, registry: FakeRegistry, tmp_path: Path) -> None:
    registry.fail(
        Reply(201, headers={"Docker-Content-Digest": "sha256:" + "0" * 64}), method="PUT", path="*/manifests/*"
    )
    [answer] = asked(sidecar(output, registry, []), tmp_path / "socket")
    assert "failed" in answer


def test_told_to_end_while_it_pushes_it_ends_the_push_first(
    output: Path, registry: FakeRegistry, tmp_path: Path
) -> None:
    one = sidecar(output, registry, [])
    registry.fail(ServerError(), times=2)

    async def ask() -> Any:
        answer = asyncio.create_task(asyncio.to_thread(launch.push, str(tmp_path / "socket")))
        while one._work is None:
            await asyncio.sleep(0.001)
        return answer  # and it is told to end

    async def both() -> Any:
        return await (await served(one, tmp_path / "socket", ask))

    answer = asyncio.run(both())
    assert registry.manifest("team/outputs", answer["output"].partition("@")[2])


@pytest.mark.parametrize("line", [b"", b"nonsense\n", b"[]\n", b"x" * 100_000])
def test_what_is_no_question_gets_no_answer(output: Path, registry: FakeRegistry, tmp_path: Path, line: bytes) -> None:
    async def ask() -> bytes:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "socket")
        writer.write(line)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer

    assert asyncio.run(served(sidecar(output, registry, []), tmp_path / "socket", ask)) == b""
    assert not registry.requests()
