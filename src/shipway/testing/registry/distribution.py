"""The rules of a registry: which request means what, who may, and in which tongue it is refused. No sockets."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qs

from shipway.oci import Digest
from shipway.testing.registry.answers import Answer, error
from shipway.testing.registry.asked import Asked
from shipway.testing.registry.auth import Auth, Bearer, Wanted
from shipway.testing.registry.blobs import Blobs
from shipway.testing.registry.contents import Holdings, is_digest
from shipway.testing.registry.manifests import Manifests
from shipway.testing.registry.quirks import Quirks

Endpoint = Callable[..., Awaitable[Answer]]

_NAME = r"(?P<name>.+)"
_GRAMMAR = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_ACTIONS = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}
_LONGEST_FORM = 64 * 1024


class Distribution:
    """distribution-spec v1.1.1 over what is held, with the quirks and the users of one registry."""

    def __init__(self, holdings: Holdings, quirks: Quirks, auth: Auth | None) -> None:
        self._holdings, self._quirks, self._auth = holdings, quirks, auth
        self.blobs, self._manifests = Blobs(holdings, quirks), Manifests(holdings, quirks)
        self._routes = self._table()

    async def answer(self, asked: Asked) -> Answer:
        """What the registry answers."""
        if asked.path == "/token" and isinstance(self._auth, Bearer):
            return await self._token(asked, self._auth)
        answer = await self._answer(asked)
        return answer.having(Warning=f'299 - "{self._quirks.warning}"') if self._quirks.warning else answer

    async def stored(self, asked: Asked) -> Answer:
        """What the other host answers, which holds the blobs and wants to know nobody."""
        digest = asked.path.removeprefix("/storage/")
        if asked.headers.get("Authorization"):
            return Answer.of(
                400, b"one mechanism of authentication is enough: the URL is signed", Content_Type="text/plain"
            )
        if not asked.one("signature") or not is_digest(digest):
            return Answer.of(403)
        return self.blobs.content(asked, Digest(digest))

    def refuse(self, asked: Asked) -> Answer:
        """401, and what to show instead."""
        wanted = self._wanted(asked)
        challenge = self._auth.challenge(wanted, asked.url) if self._auth else "Basic"
        return error("UNAUTHORIZED", "authentication required", WWW_Authenticate=challenge)

    async def _answer(self, asked: Asked) -> Answer:
        if self._auth and not self._auth.allows(asked.headers.get("Authorization", ""), self._wanted(asked)):
            return self.refuse(asked)
        for pattern, endpoints in self._routes:
            if not (found := pattern.fullmatch(asked.path)):
                continue
            names = found.groupdict()
            if "name" in names and not _GRAMMAR.fullmatch(names["name"]):
                return error("NAME_INVALID", f"{names['name']!r} is not the name of a repository")
            endpoint = endpoints.get("GET" if asked.method == "HEAD" else asked.method)
            if endpoint is None or (asked.method == "DELETE" and not self._allows_delete(asked.path)):
                return error("UNSUPPORTED", f"{asked.method} is not allowed here")
            return await endpoint(asked, **names)
        return error("UNSUPPORTED", "there is nothing", 404)

    def _table(self) -> tuple[tuple[re.Pattern[str], Mapping[str, Endpoint]], ...]:
        blobs, manifests = self.blobs, self._manifests
        # Uploads come before blobs: their paths look like a blob's.
        table: dict[str, dict[str, Endpoint]] = {
            r"/v2/?": {"GET": _ping},
            rf"/v2/{_NAME}/blobs/uploads/?": {"POST": blobs.start},
            rf"/v2/{_NAME}/blobs/uploads/(?P<upload_name>[^/]+)": {
                "GET": blobs.status,
                "PATCH": blobs.patch,
                "PUT": blobs.finish,
                "DELETE": blobs.cancel,
            },
            rf"/v2/{_NAME}/blobs/(?P<digest>[^/]+)": {"GET": blobs.get, "DELETE": blobs.delete},
            rf"/v2/{_NAME}/manifests/(?P<reference>[^/]+)": {
                "GET": manifests.get,
                "PUT": manifests.put,
                "DELETE": manifests.delete,
            },
            rf"/v2/{_NAME}/tags/list": {"GET": manifests.tags},
            rf"/v2/{_NAME}/referrers/(?P<digest>[^/]+)": {"GET": manifests.referrers},
        }
        return tuple((re.compile(pattern), endpoints) for pattern, endpoints in table.items())

    def _allows_delete(self, path: str) -> bool:
        return self._quirks.deletes or "/blobs/uploads/" in path

    def _wanted(self, asked: Asked) -> Wanted:
        for pattern, _ in self._routes[1:]:
            if found := pattern.fullmatch(asked.path):
                upload = "upload_name" in found.groupdict()
                action = "push" if upload else _ACTIONS.get(asked.method, "push")
                return Wanted(found["name"], action)
        return Wanted()

    async def _token(self, asked: Asked, auth: Bearer) -> Answer:
        body = await asked.read(_LONGEST_FORM) if asked.method == "POST" else b""
        form = parse_qs((body or b"").decode(errors="replace"))
        return auth.token(asked.headers.get("Authorization", ""), asked.query, form)


async def _ping(asked: Asked) -> Answer:
    return Answer.json({}, Docker_Distribution_API_Version="registry/2.0")
