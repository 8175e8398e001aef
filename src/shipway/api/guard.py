"""Who may call: anyone who may open the Unix socket (0600), or who has the token, on loopback.

A web page in the user's browser can reach 127.0.0.1 too, and by DNS rebinding under a name of its
own: hence the check of the Host header before the token is even looked at. Under another origin it cannot
send the token: the browser asks first (CORS), and that question has no token and gets no leave.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from shipway.api.responses import error_response
from shipway.errors import Refused

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """ASGI middleware that refuses strangers on TCP: 403 for a foreign host, 401 without the token (RFC 6750)."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _on_unix_socket(scope):
            answer = self._judge(Headers(scope=scope))
            if answer is not None:
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _judge(self, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if _hostname(host) not in LOOPBACK:
            stranger = Refused(
                f"the Host header says {host!r}; allowed are {', '.join(sorted(LOOPBACK))}",
                next_step="Use the URL http://127.0.0.1:PORT.",
            )
            return error_response(stranger)
        expected = f"Bearer {self._token}".encode()
        given = headers.get("authorization", "").encode("latin-1")
        if self._token is None or not hmac.compare_digest(given, expected):
            unknown = Refused(
                "the bearer token is missing or wrong",
                next_step="Send 'Authorization: Bearer TOKEN' with the text of the file 'token' in the hub's home.",
            )
            answer = error_response(unknown, status=401)
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        return None


def _on_unix_socket(scope: Scope) -> bool:
    # By the server's own address, not by the client's: a TCP client that hangs up at once has no
    # address any more either, and its request would pass for one from the Unix socket.
    server = scope.get("server")
    return server is not None and server[1] is None


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
