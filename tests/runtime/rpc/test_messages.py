"""The committed descriptors are what the .proto files say, and what other implementations use.

After a change of a .proto file, in src/shipway/runtime/server/rpc, with grpcio-tools:
``python -m grpc_tools.protoc -I. --descriptor_set_out=NAME.binpb NAME.proto``
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from shipway.runtime.server.rpc import messages

ROOM = Path(messages.__file__).parent


def test_messages_are_classes_of_their_own_pool() -> None:
    request = messages.message("inference.ModelInferRequest")
    assert request is messages.message("inference.ModelInferRequest")
    assert request.FromString(request(model_name="m").SerializeToString()).model_name == "m"
    assert [one.name for one in messages.methods("grpc.health.v1.Health")] == ["Check", "Watch"]


@pytest.mark.extras
@pytest.mark.parametrize("name", messages.FILES)
def test_the_descriptor_is_made_of_the_proto_file(name: str, tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools")
    made = tmp_path / "made"
    command = [sys.executable, "-W", "ignore", "-m", "grpc_tools.protoc", f"-I{ROOM}", f"--descriptor_set_out={made}"]
    subprocess.run([*command, f"{name}.proto"], check=True)
    read = FileDescriptorSet.FromString
    assert read(made.read_bytes()) == read((ROOM / f"{name}.binpb").read_bytes())


@pytest.mark.extras
def test_fields_are_those_of_tritons_client() -> None:
    theirs = pytest.importorskip("tritonclient.grpc.service_pb2").DESCRIPTOR.message_types_by_name
    compared = 0
    for file in FileDescriptorSet.FromString((ROOM / "open_inference.binpb").read_bytes()).file:
        for one in file.message_type:
            compared += _compare(messages.message(f"inference.{one.name}").DESCRIPTOR, theirs[one.name])
    assert compared > 80


def _compare(ours: Any, theirs: Any) -> int:
    known = {field.name: field for field in theirs.fields}
    for field in ours.fields:
        other = known[field.name]
        assert (field.number, field.type) == (other.number, other.type), field.full_name
    nested = {one.name: one for one in theirs.nested_types}
    return len(ours.fields) + sum(_compare(one, nested[one.name]) for one in ours.nested_types)
