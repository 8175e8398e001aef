"""The model repository over HTTP: for whoever has the admin key.

Source: Triton's extension "Model Repository". ``config`` and ``file:`` parameters are refused whoever asks: what is
served comes from the folder of models, and from nowhere else.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from shipway.runtime.errors import BadInput
from shipway.runtime.server.http.replies import Reply, json_reply
from shipway.runtime.server.http.routes import Action, Target
from shipway.runtime.server.repository import Repository


class _Index(Struct):
    ready: bool = False


class _Change(Struct):
    parameters: dict[str, Any] = {}


_INDEX = msgspec.json.Decoder(_Index)
_CHANGE = msgspec.json.Decoder(_Change)


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
