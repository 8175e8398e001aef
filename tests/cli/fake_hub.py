"""A hub of canned answers on a real Unix socket: what the CLI sends is kept, what it gets is written by the test."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from shipway import __version__

BASE = "/apis/shipway.dev/v1alpha1"


@dataclass
class Events:
    """An answer that is an event stream of (event, data)."""

    events: list[tuple[str, Any]]


@dataclass
class FakeHub:
    """``routes``: "GET /path" (without query) to JSON data, Events, (status, data), or a function of the body."""

    routes: dict[str, Any] = field(default_factory=dict)
    requests: list[tuple[str, Any]] = field(default_factory=list)

    def objects(self, *objects: dict[str, Any]) -> None:
        """Be a hub with these objects, where nothing changes any more."""
        self.routes[f"GET {BASE}"] = {"kind": "List", "resourceVersion": 1, "items": list(objects)}
        shown = [one for one in objects if one["kind"] in ("ModelService", "ModelJob", "Model")]
        about = {"version": __version__, "pid": 1, "home": "/h"}
        self.routes["GET /v1/status"] = {"hub": about, "gateway": {}, "objects": shown}
        by_plural = {"ModelJob": "modeljobs", "Model": "models", "ModelService": "modelservices"}
        for kind, plural in by_plural.items():
            items = [one for one in objects if one["kind"] == kind]
            self.routes[f"GET {BASE}/{plural}"] = {"kind": "List", "resourceVersion": 1, "items": items}
            for one in items:
                self.routes[f"GET {BASE}/{plural}/{one['metadata']['name']}"] = one

    def sent(self, route: str) -> list[Any]:
        """The bodies that came for a route."""
        return [body for one, body in self.requests if one == route]


@contextmanager
def running(socket: Path) -> Iterator[FakeHub]:
    """Serve on the socket while the block runs."""
    hub = FakeHub({"GET /healthz": {"status": "ok", "version": __version__, "pid": 1, "home": "/h", "gateway": {}}})
    socket.parent.mkdir(parents=True, exist_ok=True)
    with _Server(str(socket), _handler(hub)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def get_request(self) -> Any:
        request, _ = super().get_request()
        return request, ("local", 0)


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            path, _, query = self.path.partition("?")
            route = f"{self.command} {path}"
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            body: Any = json.loads(raw) if raw and self.headers["content-type"] == "application/json" else raw
            hub.requests.append((route, body))
            if "watch=true" in query:
                route = f"WATCH {path}"
                time.sleep(0.01)  # silence, so that who follows does not spin
            found = hub.routes.get(route, Events([]) if route.startswith("WATCH") else None)
            found = found(body) if callable(found) else found
            if found is None:
                error = {"code": "NotFound", "message": f"there is no {path}", "nextStep": ""}
                found = (404, {"error": error})
            self._send(*(found if isinstance(found, tuple) else (200, found)))

        def _send(self, status: int, data: Any) -> None:
            kind = "text/event-stream" if isinstance(data, Events) else "application/json"
            if isinstance(data, Events):
                text = "".join(f"event: {name}\ndata: {json.dumps(one)}\n\n" for name, one in data.events)
            else:
                text = json.dumps(data)
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(text.encode())))
            with suppress(BrokenPipeError):  # who follows may have seen enough
                self.end_headers()
                self.wfile.write(text.encode())

        do_GET = do_PUT = do_POST = do_DELETE = _answer

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
