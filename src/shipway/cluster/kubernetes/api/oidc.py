"""The auth-provider "oidc" of a kubeconfig: an ID token, and a refresh token with which the next one is had.

Sources: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#openid-connect-tokens (option 1);
OpenID Connect Discovery 1.0 section 4; RFC 6749 section 6.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote_plus

import aiohttp

from shipway.cluster.kubernetes.api import expiry, tls
from shipway.cluster.kubernetes.api.kubeconfig import Entry, change_user
from shipway.cluster.kubernetes.api.lines import start
from shipway.cluster.kubernetes.api.login import Credential, basic, bearer, file
from shipway.cluster.kubernetes.api.server import Server
from shipway.errors import ClusterRefused, ClusterUnreachable, UserError

_EARLY = timedelta(seconds=10)
_PATIENCE = 30.0  # seconds
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Tokens:
    """``identity`` is a JWT; ``refresh`` may be used once only."""

    identity: str = field(default="", repr=False)
    refresh: str = field(default="", repr=False)


class Oidc:
    """Refreshes the ID token when it expires or was refused, and writes both tokens back as kubectl does: many
    providers take a refresh token once only, and the user's own kubectl needs the next one."""

    def __init__(
        self, user: Entry, config: Mapping[str, str], authorities: bytes, wall: Callable[[], datetime]
    ) -> None:
        self._user = user
        self._config = config
        self._authorities = authorities
        self._wall = wall
        self._tokens = Tokens(config.get("id-token", ""), config.get("refresh-token", ""))
        self._refused = ""
        self._lock = asyncio.Lock()

    @classmethod
    def of(cls, user: Entry, wall: Callable[[], datetime]) -> Self:
        """From ``user.auth-provider`` of a kubeconfig. Raises UserError when a field is missing."""
        config = user.content["auth-provider"].get("config") or {}
        for name in ("idp-issuer-url", "client-id"):
            if not config.get(name):
                raise UserError(f"{user}: the auth-provider oidc has no {name}", next_step="Get the kubeconfig anew.")
        entry = Entry("user", user.name, user.file, config)
        authorities = entry.data("idp-certificate-authority-data")
        if not authorities and (path := entry.path("idp-certificate-authority")):
            authorities = file(path, "idp-certificate-authority")()
        return cls(user, config, authorities, wall)

    async def credential(self) -> Credential:
        async with self._lock:
            token = self._tokens.identity
            until = expiry.of_token(token)
            stale = not token or token == self._refused or (until is not None and self._wall() >= until - _EARLY)
            if stale and (self._tokens.refresh or not token):
                self._tokens = await self._refresh()
                await asyncio.to_thread(self._write_back)
            return Credential(bearer(self._tokens.identity))

    def refused(self, credential: Credential) -> None:
        if credential.header == bearer(self._tokens.identity):
            self._refused = self._tokens.identity

    async def _refresh(self) -> Tokens:
        if not self._tokens.refresh:
            raise self._again("it has neither an ID token nor a refresh token")
        issuer = self._config["idp-issuer-url"].rstrip("/")
        context = tls.context(tls.Tls(self._authorities), None, Server(issuer))
        form = {"grant_type": "refresh_token", "refresh_token": self._tokens.refresh}
        who, password = (quote_plus(self._config.get(name) or "") for name in ("client-id", "client-secret"))
        headers = {"Authorization": basic(who, password)}
        try:
            async with aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context), timeout=aiohttp.ClientTimeout(total=_PATIENCE)
            ) as session:
                async with session.get(f"{issuer}/.well-known/openid-configuration") as found:
                    endpoint = (await _json(found))["token_endpoint"]
                async with session.post(endpoint, data=form, headers=headers, allow_redirects=False) as answer:
                    document = await _json(answer)
        except (aiohttp.ClientError, OSError, ValueError, KeyError) as error:
            raise ClusterUnreachable(
                f"{self._user}: the OIDC provider {issuer} cannot be asked: {type(error).__name__}",
                next_step="Is the network or VPN up?",
            ) from None
        if "id_token" not in document:
            raise self._again(f"the OIDC provider {issuer} gives no new token ({document.get('error', answer.status)})")
        return Tokens(document["id_token"], document.get("refresh_token") or self._tokens.refresh)

    def _again(self, why: str) -> ClusterRefused:
        return ClusterRefused(f"{self._user}: {why}", next_step="Log in again.", status=401, reason="Unauthorized")

    def _write_back(self) -> None:
        def change(user: dict[str, Any]) -> None:
            config = user["auth-provider"]["config"]
            config["id-token"], config["refresh-token"] = self._tokens.identity, self._tokens.refresh

        path = self._user.file.resolve()
        with _locked(path) as mine:
            if mine:
                text = change_user(self._user, change)
                beside = path.with_name(f".{path.name}.{os.getpid()}")
                descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
                with os.fdopen(descriptor, "w") as out:
                    out.write(text)
                beside.replace(path)


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """kubectl's own lock of a kubeconfig: a file beside it. Whether we have it: a folder may not be ours to write."""
    lock = path.with_name(path.name + ".lock")
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL, 0o600))
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        lock.unlink()


async def _json(response: aiohttp.ClientResponse) -> dict[str, Any]:
    document = json.loads(await start(response.content, _LARGEST))
    if not isinstance(document, dict):
        raise ValueError("no object")
    return document
