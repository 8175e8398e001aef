"""The messages of the protocols as classes, made of their descriptors on first use.

``NAME.binpb`` is ``NAME.proto`` as protoc writes it (tests/runtime/rpc/test_messages.py says how, and compares them).
Not protoc's Python: what it writes refuses a protobuf that is older than itself, or newer by two, and which protobuf is
here is decided by the user's own packages (TensorFlow names one).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

FILES = ("open_inference", "health")


@cache
def message(name: str) -> Any:
    """The class of a message, by its full name: ``inference.ModelInferRequest``."""
    return GetMessageClass(_pool().FindMessageTypeByName(name))


@cache
def methods(service: str) -> tuple[Any, ...]:
    """The descriptors of a service's methods, by its full name: ``inference.GRPCInferenceService``."""
    return tuple(_pool().FindServiceByName(service).methods)


@cache
def _pool() -> DescriptorPool:
    # Our own: in the default one our names would collide with those of a client library that a predictor imports.
    pool = DescriptorPool()
    for name in FILES:
        for file in FileDescriptorSet.FromString(Path(__file__).with_name(f"{name}.binpb").read_bytes()).file:
            pool.Add(file)
    return pool
