"""gRPC's face in this process, in front of a played model, and a client: what the tests of this room play with."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from socket import socket
from typing import Any

import grpc
from msgspec.structs import replace

from shipway.runtime.server.observe.observer import Observer
from shipway.runtime.server.rpc.messages import message
from shipway.runtime.server.rpc.server import GrpcServer
from shipway.runtime.server.settings import Server, Settings
from tests.runtime.http.face import Face, face


@dataclass
class Stage:
    """A served model, "sums:3", whose input ``x`` has rows of two FP64, and a channel to it."""

    face: Face
    server: GrpcServer
    channel: grpc.aio.Channel
    port: int

    async def ask(self, method: str, request: Any, service: str = "inference.GRPCInferenceService", **how: Any) -> Any:
        """One call of a unary method; ``request`` is a message or bytes. Raises AioRpcError."""
        answers = {"Check": "grpc.health.v1.HealthCheckResponse"}
        call = self.channel.unary_unary(f"/{service}/{method}")
        data = request if isinstance(request, bytes) else request.SerializeToString()
        name = answers.get(method, f"inference.{method}Response")
        return message(name).FromString(await call(data, **how))

    async def infer(self, **how: Any) -> Any:
        """The answer to the row (1, 2)."""
        return await self.ask("ModelInfer", sums(1.0, 2.0), **how)

    async def health(self, service: str = "") -> int:
        request = message("grpc.health.v1.HealthCheckRequest")(service=service)
        status: int = (await self.ask("Check", request, "grpc.health.v1.Health")).status
        return status


def sums(*values: float, raw: bool = False, **more: Any) -> Any:
    """A request for the sums of rows of two numbers."""
    tensor: dict[str, Any] = {"name": "x", "datatype": "FP64", "shape": [len(values) // 2, 2]}
    if raw:
        more["raw_input_contents"] = [struct.pack(f"<{len(values)}d", *values)]
    else:
        tensor["contents"] = {"fp64_contents": values}
    return message("inference.ModelInferRequest")(**{"model_name": "sums", "inputs": [tensor], **more})


@asynccontextmanager
async def staged(*, streams: bool = False, admin_key: str = "", **server: Any) -> AsyncIterator[Stage]:
    """A face that listens; ended with the block."""
    with closing(socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(model="sums", version="3", grpc_port=port, admin_key=admin_key)
    settings = replace(settings, server=Server(**server))
    behind = await face(streams=streams, settings=settings)
    one = GrpcServer(settings, behind.repository, behind.state, Observer(behind.metrics))
    await one.start()
    options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            yield Stage(behind, one, channel, port)
    finally:
        behind.executor.go.set()
        await one.stop(0.0)


def play(scene: Callable[[Stage], Awaitable[None]], **settings: Any) -> None:
    """Run a scene on a stage of its own."""

    async def run() -> None:
        async with staged(**settings) as stage:
            await scene(stage)

    asyncio.run(run())
