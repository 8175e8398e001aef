"""Logs through a real API server, with a kubelet behind it that is away, that was just started, or that lost them."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from shipway.cluster.kubernetes.api.client import Api
from shipway.cluster.kubernetes.api.credentials import read
from shipway.errors import ClusterUnreachable, NotFound, ShipwayError, UserError
from tests.kubernetes.control_plane import ControlPlane

WAITING = 'container "main" in pod "p" is waiting to start: ContainerCreating'


class Kubelet:
    """Answers each request for a log with ``says``: a status and a text."""

    def __init__(self, certificates: Path) -> None:
        self.says = (200, "")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, text = outer.says
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: Any) -> None:
                """Not to the tests' output."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "server.crt", certificates / "server.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]


@contextmanager
def kubelet(plane: ControlPlane, namespace: str) -> Iterator[Kubelet]:
    """On a node of its own, with a Pod ``p`` that was given to it."""
    made = Kubelet(plane.folder / "pki")
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        node = f"node-of-{namespace}"
        plane.request("POST", "/api/v1/nodes", {"metadata": {"name": node}})
        endpoint = {"daemonEndpoints": {"kubeletEndpoint": {"Port": made.port}}}
        status = {"status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}], **endpoint}}
        plane.kubectl("patch", "node", node, "--subresource=status", "--type=merge", "-p", json.dumps(status))
        pod = {"metadata": {"name": "p"}, "spec": {"nodeName": node, "containers": [{"name": "main", "image": "x"}]}}
        assert plane.request("POST", f"/api/v1/namespaces/{namespace}/pods", pod)[0] == 201
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join()


def test_what_a_kubelet_says_is_told_apart_from_what_the_api_server_says(control_plane: ControlPlane) -> None:
    """ "Not found" of a kubelet that was started a moment ago is no "not found" of a Pod: metrics were lost by that."""
    namespace = control_plane.namespace()

    async def ask(pod: str) -> list[bytes]:
        async with Api.connect(read("", str(control_plane.kubeconfig), {})) as api:
            return [line async for line in api.logs(pod, namespace, "main")]

    def refused(pod: str = "p") -> ShipwayError:
        with pytest.raises(ShipwayError) as caught:
            asyncio.run(ask(pod))
        return caught.value

    with kubelet(control_plane, namespace) as node:
        node.says = (200, "2026-01-01T10:00:00.000000001Z one\n")
        assert asyncio.run(ask("p")) == [b"2026-01-01T10:00:00.000000001Z one"]
        node.says = (404, 'pod "p" does not exist\n')
        assert type(refused()) is ClusterUnreachable
        node.says = (400, WAITING)
        assert type(refused()) is UserError
        assert type(refused("nobody")) is NotFound
    away = refused()
    assert type(away) is ClusterUnreachable and "connection refused" in away.message
    assert "get nodes" in away.next_step
