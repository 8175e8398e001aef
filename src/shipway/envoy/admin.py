"""What Envoy says of itself: a client of its admin interface, HTTP/1.1 on a Unix socket."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from urllib.parse import quote

from shipway.errors import DependencyFailed, Unresponsive

_LIVENESS = r"(\.version_text|\.update_rejected|\.update_failure|warming_clusters|total_listeners_warming)$"
_STATUS_LINE = re.compile(rb"http/1\.[01] ([0-9]{3})")


class Admin:
    """The admin interface of one Envoy. Every call opens a connection of its own."""

    def __init__(self, socket: Path, *, timeout: float = 3.0) -> None:
        self._socket = socket
        self._timeout = timeout

    async def ask(self, target: str, *, method: str = "GET") -> bytes:
        """The body that the request is answered with.

        Raises DependencyFailed when nobody listens, and Unresponsive when somebody does and there is no 200 in time.
        """
        try:
            async with asyncio.timeout(self._timeout):
                status, body = _parse(await self._exchange(method, target))
        except (OSError, ValueError) as error:
            # A connection that was made, or a queue that is too full for one, is a process that lives.
            lives = isinstance(error, TimeoutError | ConnectionResetError | BrokenPipeError | ValueError)
            raise (Unresponsive if lives else DependencyFailed)(
                f"Envoy does not answer on {self._socket}: {str(error) or type(error).__name__}"
            ) from error
        if status != 200:
            raise Unresponsive(f"Envoy answered {status} to {method} {target}: {body[:200].decode(errors='replace')}")
        return body

    async def stats(self, pattern: str) -> dict[str, str]:
        """Counters, gauges and texts whose name matches the regular expression, as Envoy prints them."""
        body = await self.ask(f"/stats?filter={quote(pattern, safe='')}")
        pairs = (line.partition(": ") for line in body.decode().splitlines())
        return {name: value.strip('"') for name, _, value in pairs}

    async def liveness(self) -> dict[str, str]:
        """The statistics that tell which configuration is live, which was refused, and what still warms up."""
        return await self.stats(_LIVENESS)

    async def flush_log(self) -> None:
        """Bring lines that Envoy buffers (for up to 10 s) into its log file."""
        await self.ask("/reopen_logs", method="POST")

    async def _exchange(self, method: str, target: str) -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(self._socket))
        try:
            request = f"{method} {target} HTTP/1.1\r\nhost: admin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            writer.write(request.encode())
            return await reader.read()
        finally:
            writer.close()


def _parse(response: bytes) -> tuple[int, bytes]:
    head, separator, body = response.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    match = _STATUS_LINE.match(lines[0])
    if not separator or not match:
        raise ValueError("the answer is cut off, or is not HTTP")
    chunked = b"transfer-encoding: chunked" in lines
    return int(match[1]), _unchunked(body) if chunked else body


def _unchunked(body: bytes) -> bytes:
    pieces: list[bytes] = []
    while True:
        size, separator, body = body.partition(b"\r\n")
        length = int(size, 16)
        if not separator or len(body) < length:
            raise ValueError("the answer is cut off")
        if length == 0:
            return b"".join(pieces)
        pieces.append(body[:length])
        body = body[length + 2 :]
