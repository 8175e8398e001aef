"""The methods of the protocol, asked by a real client."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from shipway.runtime.errors import BadInput
from shipway.runtime.server.refusals import Reason, Refused
from shipway.runtime.server.rpc.messages import message
from tests.runtime.rpc.stage import Stage, play, sums


async def refused(asked: Any) -> grpc.aio.AioRpcError:
    """How a call failed."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asked
    return caught.value


def test_typed_is_answered_typed_and_raw_is_answered_raw() -> None:
    async def scene(stage: Stage) -> None:
        typed = await stage.ask("ModelInfer", sums(1.0, 2.0, 3.0, 4.0, id="a"))
        assert (typed.model_name, typed.model_version, typed.id) == ("sums", "3", "a")
        assert list(typed.outputs[0].contents.fp64_contents) == [3.0, 7.0]
        assert not typed.raw_output_contents
        raw = await stage.ask("ModelInfer", sums(1.0, 2.0, 3.0, 4.0, raw=True))
        (output,) = raw.outputs
        assert (output.name, output.datatype, list(output.shape), raw.id) == ("sum", "FP64", [2], "")
        assert list(raw.raw_output_contents) == [struct.pack("<2d", 3.0, 7.0)]
        assert not output.HasField("contents")

    play(scene)


def test_what_is_no_request_is_the_callers_fault() -> None:
    async def scene(stage: Stage) -> None:
        for request, said in (
            (b"\xff\xff", "not of the type"),
            (sums(1.0, 2.0, raw=True, inputs=[]), "no input is given; expected inputs: x FP64 [-1, 2]"),
            (sums(1.0, 2.0, outputs=[{"name": "y"}]), "unknown output 'y'"),
        ):
            error = await refused(stage.ask("ModelInfer", request))
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert said in (error.details() or "")

    play(scene)


def test_a_model_or_version_that_is_not_here_is_not_found() -> None:
    async def scene(stage: Stage) -> None:
        for method, request in (
            ("ModelInfer", sums(1.0, 2.0, model_name="other")),
            ("ModelInfer", sums(1.0, 2.0, model_version="9")),
            ("ModelReady", message("inference.ModelReadyRequest")(name="other")),
            ("ModelMetadata", message("inference.ModelMetadataRequest")(name="sums", version="9")),
        ):
            assert (await refused(stage.ask(method, request))).code() is grpc.StatusCode.NOT_FOUND
        assert (await stage.ask("ModelInfer", sums(1.0, 2.0, model_version="3"))).model_version == "3"

    play(scene)


def test_every_reason_has_its_code_and_says_when_to_come_again() -> None:
    async def scene(stage: Stage) -> None:
        for reason in Reason:
            stage.face.executor.problem = Refused(reason, "so it is", 1.5)
            error = await refused(stage.infer())
            assert (error.code().name, error.details()) == (reason.value.grpc, "so it is")
            assert dict(error.trailing_metadata())["retry-after"] == "2"
            assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "1500"
        stage.face.executor.problem = BadInput("x" * 100_000)
        error = await refused(stage.infer())
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert len(error.details() or "") < 1100

    play(scene)


def test_a_bug_of_ours_is_internal_and_told_to_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    async def scene(stage: Stage) -> None:
        stage.face.executor.problem = ZeroDivisionError("secret")
        error = await refused(stage.infer())
        assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "the server failed: ZeroDivisionError")

    play(scene)
    assert "secret" in capsys.readouterr().err


def test_metadata_and_readiness() -> None:
    async def scene(stage: Stage) -> None:
        server = await stage.ask("ServerMetadata", b"")
        assert server.name == "shipway"
        model = await stage.ask("ModelMetadata", message("inference.ModelMetadataRequest")(name="sums"))
        assert (model.name, list(model.versions), model.platform) == ("sums", ["3"], "played")
        assert [(one.name, one.datatype, list(one.shape)) for one in model.inputs] == [("x", "FP64", [-1, 2])]
        ready = message("inference.ModelReadyRequest")(name="sums")
        assert (await stage.ask("ServerLive", b"")).live
        assert (await stage.ask("ServerReady", b"")).ready
        assert (await stage.ask("ModelReady", ready)).ready
        stage.face.state.drain()
        assert (await stage.ask("ServerLive", b"")).live
        assert not (await stage.ask("ServerReady", b"")).ready
        assert not (await stage.ask("ModelReady", ready)).ready

    play(scene)


async def until(condition: Any) -> None:
    """Wait for it; the test's own time limit ends what never comes."""
    while not condition():
        await asyncio.sleep(0.001)


def test_a_call_that_is_cancelled_gives_its_work_back() -> None:
    async def scene(stage: Stage) -> None:
        stage.face.executor.go.clear()
        call = stage.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")(
            sums(1.0, 2.0).SerializeToString()
        )
        await until(lambda: stage.face.in_flight == 1)
        call.cancel()
        await until(lambda: stage.face.in_flight == 0)
        stage.face.executor.go.set()
        assert (await stage.infer()).outputs
        assert 'protocol="grpc",code="CANCELLED"} 1' in stage.face.metrics.render(ready=True)

    play(scene)


def test_a_deadline_ends_the_wait() -> None:
    async def scene(stage: Stage) -> None:
        stage.face.executor.go.clear()
        error = await refused(stage.infer(timeout=0.05))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await until(lambda: stage.face.in_flight == 0)

    play(scene)


def test_messages_may_be_as_large_as_max_body_and_no_larger_even_when_packed() -> None:
    async def scene(stage: Stage) -> None:
        rows = 60_000  # 960 KB in, 480 KB out: more than 4 MB is tried below, by the default of both sides
        answer = await stage.ask("ModelInfer", sums(*[1.0] * 2 * rows, raw=True))
        assert list(answer.outputs[0].shape) == [rows]
        for how in ({}, {"compression": grpc.Compression.Gzip}):
            error = await refused(stage.ask("ModelInfer", sums(*[1.0] * 200_000, raw=True), **how))
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await stage.infer(compression=grpc.Compression.Gzip)).outputs

    play(scene, max_body=1_000_000)


def test_more_than_grpcs_own_limit_goes_through() -> None:
    async def scene(stage: Stage) -> None:
        answer = await stage.ask("ModelInfer", sums(*[1.0] * 2_000_000, raw=True))
        assert len(answer.raw_output_contents[0]) == 8_000_000

    play(scene)


def test_the_repository_is_for_those_with_the_key() -> None:
    async def scene(stage: Stage) -> None:
        key = (("authorization", "Bearer sesame"),)
        index = message("inference.RepositoryIndexRequest")()
        load = message("inference.RepositoryModelLoadRequest")
        unload = message("inference.RepositoryModelUnloadRequest")(model_name="sums")
        for metadata in ((), (("authorization", "Bearer no"),)):
            for method, request in (
                ("RepositoryIndex", index),
                ("RepositoryModelLoad", load(model_name="sums")),
                ("RepositoryModelUnload", unload),
            ):
                error = await refused(stage.ask(method, request, metadata=metadata))
                assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        (row,) = (await stage.ask("RepositoryIndex", index, metadata=key)).models
        assert (row.name, row.version, row.state) == ("sums", "3", "READY")
        await stage.ask("RepositoryModelUnload", unload, metadata=key)
        await stage.ask("RepositoryModelUnload", unload, metadata=key)
        assert (await refused(stage.infer())).code() is grpc.StatusCode.UNAVAILABLE
        for name in ("config", "file:1/model.onnx"):
            error = await refused(
                stage.ask(
                    "RepositoryModelLoad",
                    load(model_name="sums", parameters={name: {"string_param": "{}"}}),
                    metadata=key,
                )
            )
            assert (error.code(), name in (error.details() or "")) == (grpc.StatusCode.INVALID_ARGUMENT, True)
        await stage.ask(
            "RepositoryModelLoad",
            load(model_name="sums", parameters={"version": {"string_param": "3"}}),
            metadata=key,
        )
        assert (await stage.infer()).outputs

    play(scene, admin_key="sesame")


def test_without_a_key_nobody_may_touch_the_repository() -> None:
    async def scene(stage: Stage) -> None:
        request = message("inference.RepositoryModelUnloadRequest")(model_name="sums")
        error = await refused(stage.ask("RepositoryModelUnload", request, metadata=(("authorization", "Bearer "),)))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED

    play(scene)


async def streamed(stage: Stage, *requests: Any) -> AsyncIterator[Any]:
    """What ModelStreamInfer answers to these, one sent after another."""

    async def sent() -> AsyncIterator[bytes]:
        for one in requests:
            yield one.SerializeToString()

    call = stage.channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")(sent())
    async for data in call:
        yield message("inference.ModelStreamInferResponse").FromString(data)


def test_a_stream_has_an_answer_for_each_output_and_goes_on_after_an_error() -> None:
    async def scene(stage: Stage) -> None:
        bad = sums(1.0, 2.0, model_name="other", id="b")
        ask_for_end = {"triton_enable_empty_final_response": {"bool_param": True}}
        last = sums(5.0, 6.0, id="c", parameters=ask_for_end)
        answers = [one async for one in streamed(stage, sums(1.0, 2.0, 3.0, 4.0, id="a"), bad, last)]
        seen = [
            (one.infer_response.id, one.error_message, list(tensor.contents.fp64_contents))
            for one in answers
            for tensor in (one.infer_response.outputs or [message("inference.ModelInferResponse.InferOutputTensor")()])
        ]
        assert [(id_, bool(error), data) for id_, error, data in seen] == [
            ("a", False, [3.0]),
            ("a", False, [7.0]),
            ("b", True, []),
            ("c", False, [11.0]),
            ("c", False, []),
        ]
        assert answers[-1].infer_response.parameters["triton_final_response"].bool_param
        assert stage.face.executor.closed_streams == 2

    play(scene, streams=True)


def test_a_stream_takes_models_that_do_not_stream_too() -> None:
    async def scene(stage: Stage) -> None:
        answers = [one async for one in streamed(stage, sums(1.0, 2.0), sums(3.0, 4.0))]
        assert [one.infer_response.outputs[0].contents.fp64_contents[0] for one in answers] == [3.0, 7.0]

    play(scene)


def test_a_client_that_hangs_up_ends_the_models_generator() -> None:
    async def scene(stage: Stage) -> None:
        request = sums(*[1.0, 2.0] * 100)
        call = stage.channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")()
        await call.write(request.SerializeToString())
        assert await call.read()
        stage.face.executor.go.clear()
        call.cancel()
        await until(lambda: stage.face.executor.closed_streams == 1)
        assert stage.face.in_flight == 0

    play(scene, streams=True)


def test_a_streaming_model_is_not_asked_for_one_answer() -> None:
    async def scene(stage: Stage) -> None:
        assert (await refused(stage.infer())).code() is grpc.StatusCode.INVALID_ARGUMENT

    play(scene, streams=True)
