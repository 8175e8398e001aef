"""The standard health service, and the end of the server."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from shipway.runtime.server.rpc.messages import message
from shipway.runtime.server.rpc.server import GrpcServer
from shipway.runtime.server.settings import Settings
from tests.runtime.rpc.stage import Stage, play, sums

SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3


def test_check_follows_the_state() -> None:
    async def scene(stage: Stage) -> None:
        assert await stage.health() == await stage.health("inference.GRPCInferenceService") == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stage.health("nobody")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        stage.face.state.drain()
        assert await stage.health() == NOT_SERVING

    play(scene)


def test_watch_tells_of_the_drain_and_ends() -> None:
    async def scene(stage: Stage) -> None:
        parse = message("grpc.health.v1.HealthCheckResponse").FromString
        request = message("grpc.health.v1.HealthCheckRequest")
        watch = stage.channel.unary_stream("/grpc.health.v1.Health/Watch")
        call, unknown = watch(b""), watch(request(service="nobody").SerializeToString())
        assert parse(await call.read()).status == SERVING
        assert parse(await unknown.read()).status == SERVICE_UNKNOWN
        stage.face.state.drain()
        assert parse(await call.read()).status == NOT_SERVING
        assert await call.read() is grpc.aio.EOF

    play(scene)


def test_what_is_under_way_is_answered_before_the_end() -> None:
    async def scene(stage: Stage) -> None:
        stage.face.executor.go.clear()
        asked = asyncio.create_task(stage.infer())
        while not stage.face.in_flight:
            await asyncio.sleep(0.001)
        stage.face.state.drain()
        ending = asyncio.create_task(stage.server.stop(30.0))
        await asyncio.sleep(0)
        stage.face.executor.go.set()
        assert (await asked).outputs
        await ending
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stage.ask("ModelInfer", sums(1.0, 2.0))
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

    play(scene)


def test_a_port_that_is_taken_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    async def scene(stage: Stage) -> None:
        face = stage.face
        settings = Settings(grpc_port=stage.port)
        second = GrpcServer(settings, face.repository, face.state, face.app._observer)
        with pytest.raises(OSError, match=f"127.0.0.1:{stage.port}"):
            await second.start()

    play(scene)
