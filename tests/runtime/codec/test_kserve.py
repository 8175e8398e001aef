"""What KServe's Python client sends and reads, byte for byte.

Recorded from kserve 0.21's ``InferenceRESTClient`` (V2, ``InferRequest.to_rest``) against this server on 2026-11-22,
when it read all of these answers right. The client itself brings 200 packages, so its bytes stand for it here.
"""

from __future__ import annotations

import pytest

from shipway.runtime.server.codec import oip
from shipway.runtime.server.codec.door import Door
from shipway.runtime.signature import Signature

ECHO = Door(Signature())
RECORDED = {
    "a binary input": (
        b'{"id":"7","model_name":"digits","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32",'
        b'"parameters":{"binary_data_size":8}}]}\x00\x00\x80?\x00\x00 @',
        124,
        b'{"model_name":"digits","model_version":"1","id":"7","outputs":'
        b'[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1.0,2.5]}]}',
        None,
    ),
    "an input in JSON": (
        b'{"id":"7","model_name":"digits","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1.0,2.5]}]}',
        None,
        b'{"model_name":"digits","model_version":"1","id":"7","outputs":'
        b'[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1.0,2.5]}]}',
        None,
    ),
    "both, and an output by name in binary": (
        b'{"id":"7","model_name":"digits","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1.0,2.5]},'
        b'{"name":"t","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":5}}],'
        b'"outputs":[{"name":"x","parameters":{"binary_data":true}}]}\x01\x00\x00\x00a',
        244,
        b'{"model_name":"digits","model_version":"1","id":"7","outputs":'
        b'[{"name":"x","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}]}\x00\x00\x80?\x00\x00 @',
        145,
    ),
    "text in JSON": (
        b'{"id":"7","model_name":"digits","inputs":[{"name":"t","shape":[1],"datatype":"BYTES","data":["a"]}]}',
        None,
        b'{"model_name":"digits","model_version":"1","id":"7","outputs":'
        b'[{"name":"t","datatype":"BYTES","shape":[1],"data":["a"]}]}',
        None,
    ),
    "FP16, asked for in binary": (
        b'{"id":"7","model_name":"digits","inputs":[{"name":"h","shape":[1,2],"datatype":"FP16",'
        b'"parameters":{"binary_data_size":4}}],"parameters":{"binary_data_output":true}}\x00<\x00@',
        165,
        b'{"model_name":"digits","model_version":"1","id":"7","outputs":'
        b'[{"name":"h","datatype":"FP16","shape":[1,2],"parameters":{"binary_data_size":4}}]}\x00<\x00@',
        145,
    ),
    "several, asked for in binary": (
        b'{"id":"7","model_name":"digits","inputs":[{"name":"i","shape":[1,1],"datatype":"INT8",'
        b'"parameters":{"binary_data_size":1}},{"name":"u","shape":[1,1],"datatype":"UINT64",'
        b'"parameters":{"binary_data_size":8}}],"parameters":{"binary_data_output":true}}' + b"\xfd" + b"\xff" * 8,
        248,
        b'{"model_name":"digits","model_version":"1","id":"7","outputs":'
        b'[{"name":"i","datatype":"INT8","shape":[1,1],"parameters":{"binary_data_size":1}},'
        b'{"name":"u","datatype":"UINT64","shape":[1,1],"parameters":{"binary_data_size":8}}]}' + b"\xfd" + b"\xff" * 8,
        228,
    ),
}


@pytest.mark.parametrize("name", RECORDED)
def test_the_client_of_kserve(name: str) -> None:
    request, length, answer, answer_length = RECORDED[name]
    call = oip.decode(request, length, ECHO)
    outputs = {name: call.inputs[name] for name in call.wanted or call.inputs}
    assert oip.encode(outputs, call, ECHO, model="digits", version="1") == (answer, answer_length)
