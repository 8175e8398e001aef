"""HTTP/2 as good clients do not write it, and windows as small as they may be."""

from __future__ import annotations

import asyncio
import struct
import zlib
from contextlib import suppress
from typing import Any

import hypothesis
import pytest
from hpack import Decoder, Encoder
from hypothesis import strategies as st

from shipway.runtime.server.rpc import exchange, frames, streams
from shipway.runtime.server.rpc.exchange import _trailers
from shipway.runtime.server.rpc.failure import Code, Failure
from shipway.runtime.server.rpc.frames import PREFACE, Fault, Kind
from shipway.runtime.server.rpc.messages import message
from tests.runtime.rpc.stage import Stage, play, sums

INFER = "/inference.GRPCInferenceService/ModelInfer"


class Peer:
    """The client's side of one connection, frame by frame."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._encoder, self._decoder = Encoder(), Decoder()

    def write(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))

    def headers(self, stream: int, changes: dict[str, str] | None = None, flags: int = frames.END_HEADERS) -> bytes:
        fields = {":method": "POST", ":scheme": "http", ":path": INFER, "content-type": "application/grpc"} | (
            changes or {}
        )
        return frames.frame(Kind.HEADERS, flags, stream, self._encoder.encode(list(fields.items())))

    def data(self, stream: int, request: Any, flags: int = frames.END_STREAM) -> bytes:
        body = request.SerializeToString()
        return frames.frame(Kind.DATA, flags, stream, b"\0" + len(body).to_bytes(4) + body)

    async def read(self) -> tuple[int, int, int, bytes]:
        """Kind, flags, stream and payload of the next frame. Raises IncompleteReadError at the end."""
        length, kind, flags, stream = frames.head(await self.reader.readexactly(frames.HEAD), 0)
        return kind, flags, stream, await self.reader.readexactly(length)

    async def until(self, wanted: Kind) -> tuple[int, int, bytes]:
        """Flags, stream and payload of the next frame of that kind."""
        while True:
            kind, flags, stream, payload = await self.read()
            if kind == wanted:
                return flags, stream, payload

    async def status(self) -> dict[str, str]:
        """The next trailers."""
        while True:
            flags, _, payload = await self.until(Kind.HEADERS)
            fields = {str(name): str(value) for name, value in self._decoder.decode(payload)}
            if flags & frames.END_STREAM:
                return fields


async def peer(stage: Stage, settings: bytes | None = None) -> Peer:
    one = Peer(*await asyncio.open_connection("127.0.0.1", stage.port))
    one.write(PREFACE, settings or frames.settings(()))
    return one


def test_a_call_by_hand() -> None:
    async def scene(stage: Stage) -> None:
        one = await peer(stage)
        one.write(one.headers(1), one.data(1, sums(1.0, 2.0)))
        _, stream, payload = await one.until(Kind.DATA)
        answer = message("inference.ModelInferResponse").FromString(payload[5:])
        assert (stream, list(answer.outputs[0].contents.fp64_contents)) == (1, [3.0])
        assert await one.status() == {"grpc-status": "0"}
        one.write(frames.frame(Kind.PING, 0, 0, b"12345678"))
        assert (await one.until(Kind.PING))[2] == b"12345678"
        one.writer.close()

    play(scene)


def test_headers_and_messages_in_pieces() -> None:
    async def scene(stage: Stage) -> None:
        one = await peer(stage)
        whole = one.headers(1)[frames.HEAD :]
        padded = b"\x02" + whole[:9] + b"\0\0"
        one.write(
            frames.frame(Kind.HEADERS, frames.PADDED, 1, padded),
            frames.frame(Kind.CONTINUATION, 0, 1, whole[9:20]),
            frames.frame(Kind.CONTINUATION, frames.END_HEADERS, 1, whole[20:]),
        )
        body = one.data(1, sums(1.0, 2.0))[frames.HEAD :]
        for at in range(len(body)):
            for byte in frames.frame(Kind.DATA, 0, 1, body[at : at + 1]):
                one.write(bytes((byte,)))
            await asyncio.sleep(0)
        one.write(frames.frame(Kind.DATA, frames.END_STREAM, 1))
        assert (await one.status())["grpc-status"] == "0"
        one.writer.close()

    play(scene)


def test_an_answer_waits_for_the_windows_of_its_reader() -> None:
    async def scene(stage: Stage) -> None:
        one = await peer(stage, frames.frame(Kind.SETTINGS, 0, 0, struct.pack(">HI", 4, 7)))
        one.write(one.headers(1), one.data(1, sums(1.0, 2.0, raw=True)))
        got = b""
        while True:
            kind, flags, _, payload = await one.read()
            if flags & frames.END_STREAM and got:
                break
            if kind == Kind.DATA:
                assert len(payload) <= 7
                got += payload
                one.write(frames.window_update(1, 7))
        size = int.from_bytes(got[1:5])
        answer = message("inference.ModelInferResponse").FromString(got[5:])
        assert (size, answer.raw_output_contents[0]) == (len(got) - 5, struct.pack("<d", 3.0))
        one.writer.close()

    play(scene)


@pytest.mark.parametrize(
    "said, fault",
    [
        (b"GET / HTTP/1.1\r\n\r\n", Fault.PROTOCOL),
        (PREFACE + struct.pack(">IBI", 20000 << 8, 0, 1), Fault.FRAME_SIZE),
        (PREFACE + frames.frame(Kind.DATA, 0, 1, b"x"), Fault.PROTOCOL),
        (PREFACE + frames.frame(Kind.HEADERS, frames.END_HEADERS, 2, b""), Fault.PROTOCOL),
        (PREFACE + frames.frame(Kind.HEADERS, frames.END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"), Fault.COMPRESSION),
        (PREFACE + frames.frame(Kind.HEADERS, 0, 1, b"") + frames.frame(Kind.PING, 0, 0, bytes(8)), Fault.PROTOCOL),
        (PREFACE + frames.frame(Kind.CONTINUATION, 0, 1, b""), Fault.PROTOCOL),
        (PREFACE + frames.frame(Kind.SETTINGS, 0, 0, b"123"), Fault.FRAME_SIZE),
        (PREFACE + frames.frame(Kind.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), Fault.FLOW_CONTROL),
        (PREFACE + frames.frame(Kind.HEADERS, 0, 1, b"") + 40 * frames.frame(Kind.CONTINUATION, 0, 1, b""),
         Fault.ENHANCE_YOUR_CALM),
        (PREFACE + frames.frame(Kind.HEADERS, frames.END_HEADERS, 1, b"\xff" + 32000 // 2 * b"\xff" + b"\x01"),
         Fault.COMPRESSION),
        (PREFACE + frames.frame(Kind.HEADERS, frames.END_HEADERS | frames.PRIORITY_FIELDS, 1, b"abc"),
         Fault.FRAME_SIZE),
        (PREFACE + frames.frame(Kind.HEADERS, frames.PADDED, 1, b"\x09abc"), Fault.PROTOCOL),
        (PREFACE + frames.frame(Kind.SETTINGS, 0, 0, struct.pack(">HI", 5, 0)), Fault.PROTOCOL),
        (PREFACE + frames.frame(Kind.SETTINGS, 0, 0, struct.pack(">HI", 4, 2**31)), Fault.FLOW_CONTROL),
        (PREFACE + frames.frame(Kind.SETTINGS, 0, 1, b""), Fault.PROTOCOL),
        (PREFACE + frames.frame(Kind.PING, 0, 0, b"1234567"), Fault.FRAME_SIZE),
        (PREFACE + frames.frame(Kind.PING, 0, 1, bytes(8)), Fault.PROTOCOL),
        (PREFACE + frames.frame(Kind.WINDOW_UPDATE, 0, 0, bytes(4)), Fault.PROTOCOL),
        (PREFACE + frames.window_update(1, 1), Fault.PROTOCOL),
        (PREFACE + frames.frame(Kind.RST_STREAM, 0, 1, bytes(4)), Fault.PROTOCOL),
        (PREFACE + frames.frame(Kind.RST_STREAM, 0, 1, b""), Fault.FRAME_SIZE),
        (PREFACE + frames.frame(Kind.HEADERS, 0, 1, b"") + 5 * frames.frame(Kind.CONTINUATION, 0, 1, bytes(16384)),
         Fault.ENHANCE_YOUR_CALM),
        (PREFACE + frames.frame(Kind.SETTINGS, frames.ACK, 0, bytes(6)), Fault.FRAME_SIZE),
        (PREFACE + frames.frame(Kind.SETTINGS, 0, 0, struct.pack(">HI", 2, 2)), Fault.PROTOCOL),
        (PREFACE + frames.frame(Kind.PRIORITY, 0, 0, bytes(5)), Fault.PROTOCOL),
        (PREFACE + frames.frame(Kind.PRIORITY, 0, 1, bytes(4)), Fault.FRAME_SIZE),
    ],
)  # fmt: skip
def test_a_peer_that_breaks_the_rules_is_told_and_left(said: bytes, fault: Fault) -> None:
    async def scene(stage: Stage) -> None:
        one = Peer(*await asyncio.open_connection("127.0.0.1", stage.port))
        one.write(said)
        _, _, payload = await one.until(Kind.GOAWAY)
        assert struct.unpack(">I", payload[4:8])[0] == fault
        assert await one.reader.read() == b""
        one.writer.close()
        assert (await stage.infer()).outputs, "others are not harmed"

    play(scene)


POST = {":method": "POST", ":scheme": "http", ":path": INFER}


@pytest.mark.parametrize(
    "fields",
    [
        {**POST, "Content-Type": "application/grpc"},
        {**POST, "connection": "keep-alive"},
        {**POST, "transfer-encoding": "chunked"},
        {**POST, "te": "gzip"},
        {**POST, ":status": "200"},
        {**POST, ":unknown": "x"},
        {"content-type": "application/grpc", **POST},
        {**POST, ":path": ""},
        *({name: value for name, value in POST.items() if name != missing} for missing in POST),
    ],
    ids=lambda fields: next(
        (f"{name}={value}" for name, value in fields.items() if POST.get(name) != value), "without"
    ),
)
def test_fields_that_no_request_has_end_the_connection(fields: dict[str, str]) -> None:
    assert _fault_of(Encoder().encode(list(fields.items()))) == Fault.PROTOCOL


def test_a_pseudo_field_comes_once() -> None:
    assert _fault_of(Encoder().encode([*POST.items(), (":path", "/other")])) == Fault.PROTOCOL


def _fault_of(block: bytes) -> int:
    found = []

    async def scene(stage: Stage) -> None:
        one = await peer(stage)
        one.write(frames.frame(Kind.HEADERS, frames.END_HEADERS, 1, block))
        _, _, payload = await one.until(Kind.GOAWAY)
        found.append(struct.unpack(">I", payload[4:8])[0])
        one.writer.close()

    play(scene)
    return int(found[0])


ENDED = frames.END_HEADERS | frames.END_STREAM
RESET = struct.pack(">I", Fault.CANCEL)


@pytest.mark.parametrize(
    "say, fault",
    [
        (lambda one: (one.headers(1, flags=ENDED), frames.frame(Kind.DATA, 0, 1, b"x")), Fault.STREAM_CLOSED),
        (lambda one: (one.headers(1, flags=ENDED), one.headers(1)), Fault.STREAM_CLOSED),
        (lambda one: (one.headers(1), frames.frame(Kind.RST_STREAM, 0, 1, RESET), frames.frame(Kind.DATA, 0, 1, b"x")),
         Fault.STREAM_CLOSED),
        (lambda one: (one.headers(1, {"content-type": "x"}), frames.frame(Kind.RST_STREAM, 0, 1, RESET),
                      frames.frame(Kind.DATA, 0, 1, b"x")), Fault.STREAM_CLOSED),
        (lambda one: (one.headers(5), one.headers(3)), Fault.PROTOCOL),
        (lambda one: (one.headers(1), one.headers(1)), Fault.PROTOCOL),
        (lambda one: (one.headers(1), one.headers(1, flags=ENDED)), Fault.PROTOCOL),
    ],
)  # fmt: skip
def test_what_comes_after_the_end_of_a_stream_ends_the_connection(say: Any, fault: Fault) -> None:
    async def scene(stage: Stage) -> None:
        one = await peer(stage)
        one.write(*say(one))
        _, _, payload = await one.until(Kind.GOAWAY)
        assert struct.unpack(">I", payload[4:8])[0] == fault
        one.writer.close()

    play(scene)


def test_what_was_under_way_as_we_ended_a_stream_is_let_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_REMEMBERED", 4)

    async def scene(stage: Stage) -> None:
        one = await peer(stage)
        for stream in range(1, 21, 2):
            one.write(one.headers(stream, {"content-type": "text/html"}))
            one.write(frames.frame(Kind.DATA, 0, stream, b"x"), frames.frame(Kind.DATA, frames.END_STREAM, stream))
        one.write(one.headers(21), one.data(21, sums(1.0, 2.0)))
        while (await one.status()).get("grpc-status") != "0":
            pass
        one.writer.close()

    play(scene)


def test_calls_that_are_none() -> None:
    async def scene(stage: Stage) -> None:
        one = await peer(stage)
        one.write(one.headers(1, {"content-type": "text/html"}))
        assert (await one.status())[":status"] == "415"
        one.write(one.headers(3, {":path": "/nothing"}))
        assert (await one.status())["grpc-status"] == "12"
        one.write(one.headers(5, flags=frames.END_HEADERS | frames.END_STREAM))
        assert (await one.status())["grpc-status"] == "3"
        one.write(one.headers(7), frames.frame(Kind.DATA, frames.END_STREAM, 7, b"\0\0\0\0\x09half"))
        assert "middle of a message" in (await one.status())["grpc-message"]
        one.write(one.headers(9, {"grpc-encoding": "gzip"}), frames.frame(Kind.DATA, 1, 9, b"\1\0\0\0\x03abc"))
        assert (await one.status())["grpc-status"] == "3"
        one.writer.close()

    play(scene)


def test_who_hangs_up_leaves_nothing_behind() -> None:
    async def scene(stage: Stage) -> None:
        stage.face.executor.go.clear()
        one = await peer(stage)
        one.write(one.headers(1), one.data(1, sums(1.0, 2.0)), one.headers(3), one.data(3, sums(1.0, 2.0), 0))
        while stage.face.in_flight != 1:
            await asyncio.sleep(0.001)
        one.writer.transport.abort()
        while stage.face.in_flight or stage.server._connections:
            await asyncio.sleep(0.001)

    play(scene)


def test_what_comes_behind_the_end_of_a_call_ends_the_connection() -> None:
    async def scene(stage: Stage) -> None:
        stage.face.executor.go.clear()
        for late in (frames.frame(Kind.DATA, 0, 1, b"x"), frames.frame(Kind.HEADERS, 5, 1)):
            one = await peer(stage)
            one.write(one.headers(1), one.data(1, sums(1.0, 2.0)), late)
            _, _, payload = await one.until(Kind.GOAWAY)
            assert struct.unpack(">I", payload[4:8])[0] == Fault.STREAM_CLOSED
            assert await one.reader.read() == b""
            one.writer.close()
        stage.face.executor.go.set()
        while stage.face.in_flight or stage.server._connections:
            await asyncio.sleep(0.001)

    play(scene)


def test_a_stream_that_sends_more_than_its_window_ends_the_connection() -> None:
    async def scene(stage: Stage) -> None:
        one = await peer(stage)
        one.write(one.headers(1), *[frames.frame(Kind.DATA, 0, 1, bytes(16380)) for _ in range(5)])
        _, _, payload = await one.until(Kind.GOAWAY)
        assert struct.unpack(">I", payload[4:8])[0] == Fault.FLOW_CONTROL
        one.writer.close()

    play(scene, max_body=1024)


def test_calls_of_one_connection_hold_so_much_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_MOST_HELD", 20000)

    async def scene(stage: Stage) -> None:
        one = await peer(stage)
        half = b"\0\0\0\x04\0" + bytes(1000)
        for stream in range(1, 41, 2):  # a message of 1024 bytes each, without its end
            one.write(one.headers(stream), frames.frame(Kind.DATA, 0, stream, half))
        fields = await one.status()
        assert (fields["grpc-status"], "hold" in fields["grpc-message"]) == ("8", True)
        one.write(*[frames.reset(stream, Fault.CANCEL) for stream in range(1, 41, 2)])
        one.write(one.headers(41), one.data(41, sums(1.0, 2.0)))
        assert (await one.status())["grpc-status"] == "0", "what was taken back is not held"
        (connection,) = stage.server._connections
        assert connection._sender.held == 0
        one.writer.close()

    play(scene, max_body=1024)


def test_a_packed_message_is_unpacked_when_it_is_taken_and_counts_as_it_came() -> None:
    async def scene(stage: Stage) -> None:
        one = await peer(stage)
        bomb = zlib.compress(bytes(60_000_000))
        one.write(one.headers(1, {"grpc-encoding": "deflate"}))
        one.write(frames.frame(Kind.DATA, 0, 1, b"\1" + len(bomb).to_bytes(4) + bomb[:10000]))
        for at in range(10000, len(bomb), 10000):
            one.write(frames.frame(Kind.DATA, 0, 1, bomb[at : at + 10000]))
        one.write(frames.frame(Kind.DATA, frames.END_STREAM, 1))
        assert (await one.status())["grpc-status"] == "8", "too large"
        body = sums(1.0, 2.0, id="a" * 500).SerializeToString()
        small = zlib.compress(body)
        one.write(
            one.headers(3, {":path": INFER.replace("Model", "ModelStream"), "grpc-encoding": "deflate"}),
            frames.frame(Kind.DATA, 0, 3, b"\1" + len(small).to_bytes(4) + small),
        )
        while (update := await one.until(Kind.WINDOW_UPDATE))[1] != 3:
            pass
        assert int.from_bytes(update[2]) == len(small) + 5 != len(body) + 5
        one.writer.close()

    play(scene, max_body=1_000_000)


def test_padding_takes_no_room_for_ever() -> None:
    async def scene(stage: Stage) -> None:
        one = await peer(stage)
        one.write(one.headers(1, {":path": INFER.replace("Model", "ModelStream")}))
        one.write(frames.frame(Kind.DATA, frames.PADDED, 1, b"\x63" + bytes(99)))
        while (update := await one.until(Kind.WINDOW_UPDATE))[1] != 1:
            pass
        assert int.from_bytes(update[2]) == 100
        one.writer.close()

    play(scene)


def test_who_takes_no_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "STALLED", 0.05)

    async def scene(stage: Stage) -> None:
        one = await peer(stage, frames.frame(Kind.SETTINGS, 0, 0, struct.pack(">HI", 4, 7)))
        one.write(one.headers(1), one.data(1, sums(1.0, 2.0)))
        fields = await one.status()
        assert (fields["grpc-status"], fields["grpc-message"]) == ("1", "nothing was read for 0.05 s")
        one.writer.close()

    play(scene)


def test_a_message_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_MESSAGE_TAKES", 0.02)

    async def scene(stage: Stage) -> None:
        one = await peer(stage)
        one.write(one.headers(1), frames.frame(Kind.DATA, 0, 1, b"\0\0\0\0\x09half"))
        assert (await one.status())["grpc-status"] == "4"
        one.writer.close()

    play(scene)


def test_calls_that_are_begun_only_to_be_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_MOST_RESETS", 20)

    async def scene(stage: Stage) -> None:
        stage.face.executor.go.clear()
        one = await peer(stage)
        for stream in range(1, 43, 2):
            one.write(one.headers(stream), one.data(stream, sums(1.0, 2.0)), frames.reset(stream, Fault.CANCEL))
            await asyncio.sleep(0.001)  # so that each call has begun, and ended
        _, _, payload = await one.until(Kind.GOAWAY)
        assert struct.unpack(">I", payload[4:8])[0] == Fault.ENHANCE_YOUR_CALM
        one.writer.close()

    play(scene)


def test_a_message_that_utf_8_has_no_form_for_is_told_all_the_same() -> None:
    assert _trailers(Failure(Code.INTERNAL, "\ud800!")).endswith(b"?!")


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 255), st.integers(0, 5), st.binary(max_size=40)))
)
def test_any_frames_end_in_an_answer_or_a_goodbye(sent: list[tuple[int, int, int, bytes]]) -> None:
    async def scene(stage: Stage) -> None:
        one = await peer(stage)
        for kind, flags, stream, payload in sent:
            one.write(frames.frame(kind, flags, stream, payload))  # type: ignore[arg-type]
        one.writer.write_eof()
        with suppress(ConnectionResetError):  # the end of a connection of which not all was read
            await asyncio.wait_for(one.reader.read(), 10)
        one.writer.close()
        assert (await stage.infer()).outputs

    play(scene)
