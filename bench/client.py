"""Requests to a model server: one connection kept alive, Open Inference Protocol v2."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit


@dataclass(slots=True)
class Server:
    """One model behind ``url``, reached over one connection."""

    url: str
    model: str
    _connection: HTTPConnection = field(init=False)
    _prefix: str = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self._connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        self._prefix = f"{parts.path.rstrip('/')}/v2/models/{self.model}"

    def signature(self) -> dict[str, Any]:
        """The first input that the model declares: ``{name, datatype, shape}``."""
        self._connection.request("GET", self._prefix)
        document = json.loads(self._read())
        return dict(document["inputs"][0])

    def body(self, row: Sequence[float]) -> bytes:
        """An inference request of one row."""
        first = self.signature()
        tensor = {"name": first["name"], "shape": [1, len(row)], "datatype": first["datatype"], "data": list(row)}
        return json.dumps({"inputs": [tensor]}).encode()

    def infer(self, body: bytes) -> Any:
        """The first value of the first output."""
        self._connection.request("POST", f"{self._prefix}/infer", body, {"Content-Type": "application/json"})
        return json.loads(self._read())["outputs"][0]["data"][0]

    def latency(self, body: bytes) -> float:
        """Seconds of one request, answer read but not parsed."""
        start = time.perf_counter()
        self._connection.request("POST", f"{self._prefix}/infer", body, {"Content-Type": "application/json"})
        self._read()
        return time.perf_counter() - start

    def close(self) -> None:
        self._connection.close()

    def _read(self) -> bytes:
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{self.url} answered {answer.status}: {content[:500]!r}")
        return content
