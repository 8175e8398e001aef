"""One conversation with an API server, real or not: its steps, and what was answered without what differs each time."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

PATIENCE = 20.0  # seconds that an answer may take
Step = Mapping[str, Any]

_VOLATILE = {
    "uid": "uid",
    "creationTimestamp": "time",
    "deletionTimestamp": "time",
    "time": "time",
    "continue": "token",
    "clusterIP": "address",
    "nodePort": "port",
    "storageVersionHash": "hash",
}


class Conversation:
    """``session`` has the address and the user; ``namespace`` stands where the steps say ``{ns}``.

    A step is ``{"method", "path", "body", "type"}``, and may have ``save`` (name to a dotted path of the answer, used
    as ``{name}`` later), ``until`` (ask again until this status comes: what a real server hears of late) and for
    a watch ``events`` (how many to wait for) and ``during`` (steps to take when it stands).
    """

    def __init__(self, session: aiohttp.ClientSession, namespace: str) -> None:
        self._session = session
        self._known = {"ns": namespace}
        self._seen: dict[str, str] = {}

    async def hold(self, steps: Sequence[Step]) -> list[dict[str, Any]]:
        """The answers, normalised: ``{"status", "body"}`` or ``{"status", "events"}``, ``{"during"}``."""
        return [await self._step(one) for one in steps]

    async def _step(self, step: Step) -> dict[str, Any]:
        if "events" in step:
            return await self._watch(step)
        async with asyncio.timeout(PATIENCE):
            while True:
                status, headers, body = await self._ask(step)
                if status == step.get("until", status):
                    break
                await asyncio.sleep(0.1)
        for name, path in step.get("save", {}).items():
            value = body
            for part in path.split("."):
                value = value[int(part)] if isinstance(value, list) else value[part]
            self._known[name] = str(value)
        self._meet(body)
        answer: dict[str, Any] = {"status": status, "body": self._normal(body)}
        if warning := headers.getall("Warning", None):
            answer["warnings"] = [self._text(one) for one in warning]
        if retry := headers.get("Retry-After"):
            answer["retry_after"] = retry
        return answer

    async def _ask(self, step: Step) -> tuple[int, Any, Any]:
        async with self._request(step) as answer:
            text = await answer.text()
            return answer.status, answer.headers, json.loads(text) if text[:1] in ("{", "[") else text

    def _request(self, step: Step) -> Any:
        body = self._filled(step.get("body"))
        headers = {"Content-Type": step.get("type", "application/json")}
        data = None if body is None else json.dumps(body)
        return self._session.request(step["method"], self._filled(step["path"]), data=data, headers=headers)

    async def _watch(self, step: Step) -> dict[str, Any]:
        events: list[Any] = []
        async with asyncio.timeout(PATIENCE), self._request({"method": "GET", **step}) as answer:
            if answer.status != 200:
                return {"status": answer.status, "body": self._normal(await answer.json())}
            during = await self.hold(step.get("during", ()))
            while len(events) < step["events"] and (line := await answer.content.readline()):
                events.append(self._normal(json.loads(line)))
        found = {"status": answer.status, "events": events}
        return {**found, "during": during} if during else found

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str):
            return re.sub(r"\{([a-z_]+)\}", lambda match: self._known.get(match[1], match[0]), value)
        if isinstance(value, Mapping):
            return {name: self._filled(one) for name, one in value.items()}
        return [self._filled(one) for one in value] if isinstance(value, list) else value

    def _normal(self, value: Any, key: str = "", inside: str = "") -> Any:
        if isinstance(value, dict):
            found = {name: self._normal(one, name, key) for name, one in sorted(value.items())}
            if key == "metadata" and "managedFields" in found:
                found["managedFields"] = _managers(found["managedFields"])
            if str(value.get("kind", "")).endswith("List") and "items" in value:
                found["metadata"]["resourceVersion"] = "{list}"
            if str(value.get("kind", "")).endswith("Review"):
                return _reviewed(found)
            if key == "details" and "causes" in found:
                found["causes"].sort(key=json.dumps)
            if value.get("type") == "BOOKMARK":
                found["object"]["metadata"]["resourceVersion"] = "{list}"
            return found
        if isinstance(value, list):
            return [self._normal(one, key, inside) for one in value]
        if isinstance(value, str | int) and not isinstance(value, bool):
            if key in _VOLATILE and value not in ("", "None", None):
                return self._alias(_VOLATILE[key], str(value))
            if key == "resourceVersion" and value:
                return self._alias("version", str(value))
            if key == "clusterIPs":
                return self._alias("address", str(value))
        return self._text(value) if isinstance(value, str) else value

    def _meet(self, value: Any) -> None:
        """Know uids before their first mention, which may be in a label."""
        if isinstance(value, dict):
            if isinstance(uid := value.get("uid"), str):
                self._alias("uid", uid)
            for _, one in sorted(value.items()):
                self._meet(one)
        for one in value if isinstance(value, list) else ():
            self._meet(one)

    def _alias(self, kind: str, value: str) -> str:
        if kind in ("time", "token", "hash"):
            return f"{{{kind}}}"
        known = [one for one in self._seen.values() if one.startswith(f"{{{kind}-")]
        return self._seen.setdefault(value, f"{{{kind}-{len(known) + 1}}}")

    def _text(self, value: str) -> str:
        value = value.replace(self._known["ns"], "{ns}")
        for actual, alias in self._seen.items():
            if alias.startswith("{uid"):
                value = value.replace(actual, alias)
        return re.sub(r"(resource version: )\d+( \()\d+\)", r"\1{version}\2{version})", value)


def _reviewed(found: dict[str, Any]) -> dict[str, Any]:
    """Of a review: rules in no order, and nothing of the roles that each build of a server brings for everybody."""
    found["metadata"].pop("managedFields", None)
    if "resourceRules" in found["status"]:
        found["status"]["resourceRules"].sort(key=json.dumps)
        del found["status"]["nonResourceRules"]
    return found


def _managers(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Fields of those who apply are held against each other; of those who update only who they are."""
    kept = [
        {name: one for name, one in entry.items() if name != "fieldsV1" or entry["operation"] == "Apply"}
        for entry in entries
    ]
    return sorted(kept, key=lambda one: (one["manager"], one["operation"], one.get("subresource", "")))
