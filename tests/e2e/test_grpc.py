"""A service that speaks gRPC, through the home's one port."""

from __future__ import annotations

import os
import signal
import struct
from contextlib import suppress
from urllib.parse import urlsplit

import grpc

from shipway.runtime.server.rpc.messages import message
from tests.e2e.home import YAML, Home, Project, eventually, post


def _ask(address: str, x: float, **how: object) -> float:
    """What the model makes of x."""
    tensor = {"name": "x", "datatype": "FP64", "shape": [1, 1]}
    request = message("inference.ModelInferRequest")(
        model_name="spoken", inputs=[tensor], raw_input_contents=[struct.pack("<d", x)]
    )
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.default_authority", "spoken.localhost")]
    with grpc.insecure_channel(address, options) as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        answer = message("inference.ModelInferResponse").FromString(
            call(request.SerializeToString(), timeout=10, **how)
        )
    (value,) = struct.unpack("<d", answer.raw_output_contents[0])
    return float(value)


def test_both_protocols_of_a_service_and_after_the_death_of_its_replica(home: Home) -> None:
    project = Project.line(home.projects, "spoken", shipway_yaml=YAML + "  server: {grpc: true}\n")
    out = home.ok("up", project.folder)
    url = home.url("spoken")
    address = urlsplit(url).netloc
    assert f"grpc     spoken  {address}, authority spoken.localhost" in out
    assert _ask(address, 3.0) == 6.0
    assert post(f"{url}/predict", {"input": [[3]]}).json() == {"output": [6]}
    (replica,) = home.processes("replica")
    os.kill(replica.pid, signal.SIGKILL)

    def again() -> bool:
        with suppress(grpc.RpcError):
            return _ask(address, 4.0) == 8.0
        return False

    eventually(again, what="an answer of the replica's next process")
