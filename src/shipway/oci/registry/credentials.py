"""Credentials of registries, as Docker keeps them: ``config.json`` and the programs that it names.

Sources: https://docs.docker.com/reference/cli/docker/login/ ("Credential stores", "Credential helpers") and
docker-credential-helpers' README (the protocol: the server's name on stdin, JSON on stdout).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from shipway.errors import EnvironmentFault, UserError

DOCKER_HUB = "https://index.docker.io/v1/"  # what Docker calls its own registry in config.json

_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PATIENCE = 30.0  # seconds: a helper may have to ask the user's keyring, or a cloud's API
_LARGEST = 1 << 20
_TOKEN_USER = "<token>"  # the user name with which a helper says that the secret is an identity token


@dataclass(frozen=True, slots=True)
class Credential:
    """A user and a password, or an identity token (OAuth2's refresh token). Its repr shows no secret."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


class Credentials(Protocol):
    """Where credentials come from."""

    async def of(self, host: str) -> Credential | None:
        """What is known for a registry; None: ask anonymously."""
        ...


class Anonymous:
    """No credentials for anybody."""

    async def of(self, host: str) -> Credential | None:
        return None


class DockerCredentials:
    """Docker's ``config.json`` (None, or absent: no credentials), read anew each time: ``docker login`` works at once.

    Raises UserError when the file cannot be read, EnvironmentFault when a credential helper fails. No error and no
    line of the log holds what a helper printed.
    """

    def __init__(self, config: Path | None, *, patience: float = _PATIENCE) -> None:
        self._config = config
        self._patience = patience

    async def of(self, host: str) -> Credential | None:
        document = await asyncio.to_thread(_read, self._config)
        if (name := helper(document, host)) is not None:
            for server in names(host):
                if (found := await _ask(name, server, self._patience)) is not None:
                    return found
        return stored(document, host)


def names(host: str) -> tuple[str, ...]:
    """The names under which Docker and its friends keep a registry's credentials, the most usual first."""
    if host in ("docker.io", "index.docker.io", "registry-1.docker.io"):
        return (DOCKER_HUB, "docker.io", "index.docker.io", "registry-1.docker.io")
    return (host, f"https://{host}", f"http://{host}")


def helper(document: Mapping[str, Any], host: str) -> str | None:
    """The credential helper for a registry: its own (``credHelpers``), or the one for all (``credsStore``)."""
    own = _section(document, "credHelpers")
    found = next((own[name] for name in names(host) if name in own), document.get("credsStore"))
    if not found:
        return None
    if not isinstance(found, str) or not _HELPER.fullmatch(found):
        raise UserError(
            f"Docker's config.json names the credential helper {found!r}: allowed are letters, digits, . _ -"
        )
    return found


def stored(document: Mapping[str, Any], host: str) -> Credential | None:
    """The credential that stands in the file itself. Raises UserError when ``auth`` is not base64 of USER:PASSWORD."""
    by_host = {_host(key): key for key in _section(document, "auths")}
    key = next((by_host[_host(name)] for name in names(host) if _host(name) in by_host), None)
    entry = document["auths"][key] if key is not None else None
    if not isinstance(entry, dict):
        return None
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            decoded = base64.b64decode(str(entry["auth"]), validate=True).decode().rstrip("\0")
        except (binascii.Error, ValueError):
            decoded = ""
        username, colon, password = decoded.partition(":")
        if not colon:
            raise UserError(
                f"Docker's config.json: auths[{key!r}].auth is not base64 of USER:PASSWORD",
                next_step=f"Log in again: docker login {host}",
            )
    token = str(entry.get("identitytoken") or "")
    return Credential(username, password, token) if username or token else None


def answered(output: bytes) -> Credential | None:
    """What a helper's JSON says; None when it holds no secret. Raises ValueError when it is none."""
    document = json.loads(output)
    if not isinstance(document, dict):
        raise ValueError("not an object")
    username, secret = str(document.get("Username") or ""), str(document.get("Secret") or "")
    if username == _TOKEN_USER:
        return Credential(identity_token=secret)
    return Credential(username, secret) if secret else None


def _section(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = document.get(name)
    return section if isinstance(section, dict) else {}


def _host(key: str) -> str:
    """An entry's registry: older programs wrote ``https://host/v1/`` for what is ``host`` now."""
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _read(path: Path | None) -> Mapping[str, Any]:
    if path is None:
        return {}
    try:
        document = json.loads(path.read_bytes()[:_LARGEST])
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError:  # without the cause: it may quote what stands there
        raise UserError(f"{path} is not JSON", next_step="Mend it, or log in again with `docker login`.") from None
    return document if isinstance(document, dict) else {}


async def _ask(name: str, server: str, patience: float) -> Credential | None:
    program = f"docker-credential-{name}"
    again = f"Run `{program} get` by hand with {server!r} on its input, or log in again with `docker login`."
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            "get",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        raise EnvironmentFault(
            f"{program}, which Docker's config.json names, cannot be started: {error.strerror}",
            next_step="Install it, or take it out of credsStore and credHelpers.",
        ) from error
    try:
        output, _ = await asyncio.wait_for(process.communicate(server.encode()), patience)
    except TimeoutError:
        raise EnvironmentFault(f"{program} did not answer within {patience:.0f} s", next_step=again) from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.returncode:
        # The protocol's one way to say "I know none", in words; all other failures are failures.
        if b"credentials not found" in output:
            return None
        raise EnvironmentFault(f"{program} ended with {process.returncode}", next_step=again)
    try:
        return answered(output)
    except ValueError:
        raise EnvironmentFault(f"{program} did not answer with the JSON of a credential", next_step=again) from None
