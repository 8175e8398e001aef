"""The model repository over HTTP: for whoever has the admin key.

Source: Triton's extension "Model Repository". ``config`` and ``file:`` parameters are refused whoever asks: what is
served comes from the folder of models, and from nowhere else.
"""

from __future__ import annotations

import hmac
from typing import Any

import msgspec
from msgspec import Struct

from shipway.runtime.errors import BadInput
from shipway.runtime.server.http.replies import Reply, json_reply
from shipway.runtime.server.http.routes import Action, Target
from shipway.runtime.server.http.rsgi import Incoming
from shipway.runtime.server.refusals import Reason, Refused
from shipway.runtime.server.repository import Repository


class _Index(Struct):
    ready: bool = False


class _Change(Struct):
    parameters: dict[str, Any] = {}


_INDEX = msgspec.json.Decoder(_Index)
_CHANGE = msgspec.json.Decoder(_Change)
_BEARER = "bearer "


def check_key(headers: Incoming, key: str) -> None:
    """Raises Refused FORBIDDEN."""
    if not key:
        raise Refused(
            Reason.FORBIDDEN, "models cannot be listed, loaded or unloaded here: SHIPWAY_ADMIN_KEY is not set"
        )
    given = headers.get("x-shipway-admin-key")
    if given is None:
        authorization = headers.get("authorization", "")
        given = authorization[len(_BEARER) :] if authorization[: len(_BEARER)].lower() == _BEARER else ""
    if not hmac.compare_digest(given.encode(), key.encode()):
        raise Refused(
            Reason.FORBIDDEN, "this needs the admin key, as `Authorization: Bearer KEY` or `X-Shipway-Admin-Key: KEY`"
        )


async def change(repository: Repository, target: Target, body: bytes) -> Reply:
    """Do what is asked, whose key was checked. Raises BadInput, Refused NOT_FOUND, INVALID."""
    try:
        if target.action is Action.INDEX:
            return json_reply(repository.index(ready=_INDEX.decode(body or b"{}").ready))
        parameters = _CHANGE.decode(body or b"{}").parameters
    except (ValueError, RecursionError) as error:
        raise BadInput(f'{error}; expected {{"ready": true}} for an index, {{"parameters": {{...}}}} else') from error
    version = _version(parameters)
    if target.action is Action.LOAD:
        await repository.load(target.model, version)
    else:
        await repository.unload(target.model)
    return json_reply({})


def _version(parameters: dict[str, Any]) -> str | None:
    """Of what is to be loaded. Raises BadInput for parameters that would change more than that."""
    for name in parameters:
        if name == "config" or name.startswith("file:"):
            raise BadInput(f"parameter {name!r}: configurations and files are not taken over the network")
        if name not in ("version", "unload_dependents"):
            raise BadInput(f"unknown parameter {name!r}: version is known")
    version = parameters.get("version")
    if version is not None and not isinstance(version, str):
        raise BadInput(f'version is {version!r}, and must be text, like "2"')
    return version
