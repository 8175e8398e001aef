"""What each server is asked, and how its answer is read."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from bench.serving.dialects import Exam, plain, read, v2_binary, v2_json
from bench.serving.grpc_wire import frame
from bench.serving.protobuf import fields, infer_answer, infer_request, varint
from bench.serving.wrk import quoted, to_lua

ROW = np.array([[1.0, 2.5]], np.float32)


def test_a_message_on_the_wire() -> None:
    raw = plain()(ROW, 0).raw()
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /predict HTTP/1.1\r\nhost: ")
    assert f"content-length: {len(body)}".encode() in head
    assert json.loads(body) == {"input": [[1.0, 2.5]]}


def test_the_protocol_in_json() -> None:
    document = json.loads(v2_json("label")(ROW.astype(np.float64), 7).body)
    assert document == {
        "id": "r7",
        "inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP64", "data": [1.0, 2.5]}],
        "outputs": [{"name": "label"}],
    }


def test_the_protocol_in_binary() -> None:
    message = v2_binary("output", binary_answer=True)(ROW, 0)
    length = int(dict(message.headers)["inference-header-content-length"])
    document = json.loads(message.body[:length])
    assert message.body[length:] == ROW.tobytes()
    assert document["inputs"][0]["parameters"] == {"binary_data_size": 8}
    assert document["outputs"] == [{"name": "output", "parameters": {"binary_data": True}}]


@pytest.mark.parametrize(
    "body",
    [
        b'{"outputs": [{"name": "label", "data": [1, 2]}]}',
        b'{"outputs": [{"name": "x", "datatype": "FP32"}]}' + np.array([1, 2], "<f4").tobytes(),
        b'{"output": [[1], [2]]}',
        b"[1, 2]",
    ],
)
def test_every_form_of_an_answer_is_read(body: bytes) -> None:
    assert read(body) == [1.0, 2.0]


def test_the_exam_knows_right_from_wrong() -> None:
    exam = Exam([np.array([0.5]), np.array([1.5])])
    assert exam.right(0, b"[0.5]")
    assert exam.right(0, b"[0.5]")  # known by now
    assert exam.right(1, b"[1.500001]")  # another order of adding up
    assert not exam.right(1, b"[0.5]")
    assert not exam.right(0, b"[0.5, 0.5]")
    assert not exam.right(0, b"half")
    assert not exam.right(0, b'{"error": "x"}')


def test_a_call_in_protobuf() -> None:
    message = dict(fields(infer_request("m", "r1", "FP32", (1, 300), b"data", "label")))
    assert (message[1], message[3], message[7]) == (b"m", b"r1", b"data")
    tensor = message[5]
    assert isinstance(tensor, bytes)
    assert dict(fields(tensor)) == {1: b"input", 2: b"FP32", 3: b"\x01\xac\x02"}


def answer(contents: bytes = b"", raw: bytes | None = None) -> bytes:
    tensor = b"\x12\x05INT64" + (b"\x2a" + varint(len(contents)) + contents if contents else b"")
    message = b"\x2a" + varint(len(tensor)) + tensor
    return message if raw is None else message + b"\x32" + varint(len(raw)) + raw


def test_raw_and_typed_answers() -> None:
    assert infer_answer(answer(raw=struct.pack("<q", 7))) == [7.0]
    assert infer_answer(answer(contents=b"\x1a\x02\x07\x08")) == [7.0, 8.0]  # int64_contents, packed
    assert infer_answer(answer(contents=b"\x32\x04" + struct.pack("<f", 0.5))) == [0.5]  # fp32_contents


@pytest.mark.parametrize("message", [b"", b"\x2a", b"\x2a\x05x", answer(), b"\x2b"])
def test_what_is_no_answer_is_an_error(message: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        infer_answer(message)


def test_a_frame_of_http_2() -> None:
    assert frame(6, 1, 3, b"12345678") == b"\0\0\x08\x06\x01\0\0\0\x0312345678"


def test_bytes_survive_lua() -> None:
    assert quoted(b'a"\\\n\xff') == '"a\\034\\092\\010\\255"'
    assert to_lua([(b"q", b"a")]) == 'exchanges = {\n{"q", "a"}\n}\n'
