"""Lists with pages, and watches: what a client sees of the storage, and when it must begin anew."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from shipway.testing.kubernetes import answers
from shipway.testing.kubernetes.answers import Refusal
from shipway.testing.kubernetes.schema import Kind
from shipway.testing.kubernetes.selectors import Selector, both
from shipway.testing.kubernetes.storage import Change, Object, Storage, clone

_INITIAL_END = "k8s.io/initial-events-end"


class Reads:
    """Of one storage. ``bookmark_every``: seconds, of watches that allow bookmarks."""

    def __init__(self, storage: Storage) -> None:
        self.bookmark_every = 60.0
        self._storage = storage
        self._pages: dict[int, Sequence[Object]] = {}  # by version: what a list was when its first page was given
        self._bookmarks = 0

    def list(self, kind: Kind, namespace: str, query: Mapping[str, str]) -> Object:
        """A List. Raises Refusal."""
        chosen = both(kind, query)
        limit = int(query.get("limit") or 0)
        version, start = self._storage.version, 0
        if token := query.get("continue"):
            version, start = _opened(token)
            if version not in self._pages:
                raise answers.expired_continue()
            found = self._pages[version]
        else:
            self._check_version(query)
            found = [one for one in self._storage.items(kind, namespace) if chosen(one)]
        page = found[start : start + limit] if limit else found[start:]
        metadata: dict[str, Any] = {"resourceVersion": str(version)}
        left = len(found) - start - len(page)
        if left:
            self._pages[version] = found
            metadata["continue"] = _token(version, start + len(page))
            if not query.get("labelSelector") and not query.get("fieldSelector"):
                metadata["remainingItemCount"] = left
        items = [{name: one for name, one in each.items() if name not in ("kind", "apiVersion")} for each in page]
        return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata, "items": items}

    def forget(self) -> None:
        """The lists of which pages are still to be asked for."""
        self._pages.clear()

    def bookmark(self) -> None:
        """Send one to every watch that allows them, now."""
        self._bookmarks += 1
        self._storage.wake()

    def watch(self, kind: Kind, namespace: str, query: Mapping[str, str]) -> AsyncIterator[Object]:
        """Events until ``timeoutSeconds`` have passed; an ERROR event is the last one. Raises Refusal."""
        if query.get("sendInitialEvents") == "true" and query.get("resourceVersionMatch") != "NotOlderThan":
            raise _bad_match()
        return self._watching(kind, namespace, query, both(kind, query))

    async def _watching(
        self, kind: Kind, namespace: str, query: Mapping[str, str], chosen: Selector
    ) -> AsyncIterator[Object]:
        bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
        asked = query.get("resourceVersion", "")
        initial = query.get("sendInitialEvents") == "true"
        since = int(asked or 0)
        if not since or initial:
            since = self._storage.version
            for one in self._storage.items(kind, namespace):
                if chosen(one):
                    yield {"type": "ADDED", "object": one}
        if initial and bookmarks:
            yield _bookmark(kind, since, {_INITIAL_END: "true"})
        end = asyncio.get_running_loop().time() + float(query.get("timeoutSeconds") or 1800)
        told = self._bookmarks
        try:
            async for change in self._storage.follow(kind.qualified, since):
                if change is not None:
                    if (event := _event(change, namespace, chosen)) is not None:
                        yield event
                    continue
                if bookmarks and told != self._bookmarks:
                    told = self._bookmarks
                    yield _bookmark(kind, self._storage.version)
                if (left := end - asyncio.get_running_loop().time()) <= 0:
                    return
                if not await self._storage.news(min(left, self.bookmark_every)) and left > self.bookmark_every:
                    told = -1
        except Refusal as refusal:
            yield {"type": "ERROR", "object": refusal.status()}

    def _check_version(self, query: Mapping[str, str]) -> None:
        asked = query.get("resourceVersion", "")
        match = query.get("resourceVersionMatch", "")
        if asked in ("", "0"):
            return
        if int(asked) > self._storage.version:
            causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
            message = f"Too large resource version: {asked}, current: {self._storage.version}"
            raise Refusal(504, "Timeout", f"Timeout: {message}", {"causes": causes, "retryAfterSeconds": 1})
        if match == "Exact" and int(asked) < self._storage.oldest:
            raise answers.expired(int(asked), self._storage.oldest)


def _bad_match() -> Refusal:
    why = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    causes = [{"reason": "FieldValueForbidden", "message": why, "field": "resourceVersionMatch"}]
    details = {"group": "meta.k8s.io", "kind": "ListOptions", "causes": causes}
    return Refusal(422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: {why}', details)


def _event(change: Change, namespace: str, chosen: Selector) -> Object | None:
    """What a change is to a watch that sees only what it selects."""
    some = change.after or change.before
    assert some is not None
    if namespace not in ("", some["metadata"].get("namespace", "")):
        return None
    was = change.before is not None and chosen(change.before)
    is_now = change.after is not None and chosen(change.after)
    if is_now:
        return {"type": "MODIFIED" if was else "ADDED", "object": change.after}
    if was:
        assert change.before is not None
        last = clone(change.before)  # as it was when it was last seen here
        last["metadata"]["resourceVersion"] = str(change.version)
        return {"type": "DELETED", "object": last}
    return None


def _bookmark(kind: Kind, version: int, annotations: Mapping[str, str] | None = None) -> Object:
    metadata: dict[str, Any] = {"resourceVersion": str(version)}
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"type": "BOOKMARK", "object": {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}}


def _token(version: int, start: int) -> str:
    return base64.urlsafe_b64encode(
        json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": start}).encode()
    ).decode()


def _opened(token: str) -> tuple[int, int]:
    try:
        found = json.loads(base64.urlsafe_b64decode(token))
        return int(found["rv"]), int(found["start"])
    except (ValueError, KeyError) as error:
        raise answers.bad_request(f"continue key is not valid: {error}") from None
