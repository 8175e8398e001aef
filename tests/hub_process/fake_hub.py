"""A hub that can do nothing but answer: ``fake_hub.py MODE SOCKET LOCK``. Standard library only."""

from __future__ import annotations

import fcntl
import json
import os
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

mode, socket, lock = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer(
            {
                "version": "1.0",
                "pid": os.getpid(),
                "gateway": {"url": f"http://127.0.0.1:{os.environ.get('SHIPWAY_GATEWAY_PORT', '8100')}"},
                "home": os.environ["SHIPWAY_HOME"],
                "cwd": str(Path.cwd()),
                "docker": os.environ.get("DOCKER_CONFIG"),
                "session": os.getsid(0),
                "descriptors": {name: str(Path(f"/proc/self/fd/{name}").resolve()) for name in ("0", "1", "2")},
                "inherited": [one.name for one in Path("/proc/self/fd").iterdir() if _is_foreign(one)],
            }
        )

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer({})
        threading.Thread(target=self.server.shutdown).start()

    def answer(self, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"


def _is_foreign(descriptor: Path) -> bool:
    """Whether a descriptor beyond the first three is a pipe: our own are sockets and the lock."""
    try:
        return int(descriptor.name) > 2 and str(descriptor.readlink()).startswith("pipe:")
    except OSError:
        return False


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


print("fake hub starts", flush=True)
if mode == "dies":
    print("the store is of a newer Shipway", file=sys.stderr)
    sys.exit(3)
if mode == "refuses":
    print("that is no home", file=sys.stderr)
    sys.exit(2)
if mode == "late":
    time.sleep(0.6)
held = lock.open("a")
try:
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(0)
held.truncate(0)
held.write(str(os.getpid()))
held.flush()
if mode == "slow":
    time.sleep(0.4)
socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
socket.unlink(missing_ok=True)
with Server(str(socket), Handler) as server:
    server.serve_forever(poll_interval=0.02)
socket.unlink()
