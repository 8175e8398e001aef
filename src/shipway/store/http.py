"""The store of a hub, seen from another process through its API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import pydantic

from shipway.client import HubClient
from shipway.errors import PlatformError
from shipway.kinds import API_VERSION, KINDS, Object
from shipway.ports import Change
from shipway.store import semantics

ROOT = f"/apis/{API_VERSION}"


class HttpStore:
    """:class:`shipway.ports.Store` over HTTP. Raises what the hub's store raised, and HubUnreachable."""

    def __init__(self, client: HubClient) -> None:
        self._client = client

    def get(self, kind: str, name: str) -> Object:
        return _parse(self._client.get(_path(kind, name)))

    def list(self, kind: str | None = None) -> tuple[list[Object], int]:
        answer = self._client.get(_path(kind))
        return [_parse(one) for one in answer["items"]], int(answer["resourceVersion"])

    def texts(self, kind: str | None = None) -> tuple[Sequence[str], int]:
        answer = self._client.get(_path(kind))
        return [_text(one) for one in answer["items"]], int(answer["resourceVersion"])

    def put(self, obj: Object) -> Object:
        return _parse(self._client.put(_path(obj.kind, obj.name), obj.to_json()))

    def delete(self, kind: str, name: str) -> Object:
        return _parse(self._client.delete(_path(kind, name)))

    def watch(self, since: int, *, kind: str | None = None, wait: float = 0.0) -> Iterator[Change]:
        query = urlencode({"watch": "true", "since": since, "wait": wait})
        for event, data in self._client.stream(f"{_path(kind)}?{query}"):
            if event == "change":
                yield Change(data["type"], _parse(data["object"]), int(data["version"]), _text(data["object"]))

    def close(self) -> None:
        """Nothing is held: every call has its own connection."""


def _path(kind: str | None, name: str | None = None) -> str:
    parts = [ROOT]
    if kind is not None:
        parts.append(semantics.check_kind(kind).plural)
    if name is not None:
        parts.append(quote(name, safe=""))
    return "/".join(parts)


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _parse(document: Mapping[str, Any]) -> Object:
    try:
        return KINDS[document["kind"]].model_validate(document)
    except (KeyError, pydantic.ValidationError) as error:
        raise PlatformError(
            f"the hub sent an object that this Shipway cannot read: {error}",
            next_step="Hub and command have different versions: run 'shipway hub stop' and try again.",
        ) from error
