"""What the file holds, in memory: each text is read, verified and parsed once, however often it is listed.

It learns from committed rows only, the change log's, so that no transaction that failed and no other process that
writes can leave it wrong.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Literal

from shipway.kinds import Object
from shipway.ports import Change

Parse = Callable[[str, str], Object]  # kind and text

_RECENT = 500  # changes kept for watchers: those that are further behind read the file


class Mirror:
    """The objects as of ``version``, by kind and name."""

    def __init__(self, rows: Iterable[tuple[str, str, str]], version: int, parse: Parse) -> None:
        self.version = version
        self._recent: deque[Change] = deque(maxlen=_RECENT)
        self._parse = parse
        self._texts: dict[str, dict[str, str]] = {}
        self._objects: dict[tuple[str, str], Object] = {}  # those that were asked for
        for kind, name, text in rows:
            self._texts.setdefault(kind, {})[name] = text

    def learn(self, type_: Literal["ADDED", "MODIFIED", "DELETED"], kind: str, text: str, version: int) -> None:
        """Take over the next change."""
        obj = self._parse(kind, text)
        if type_ == "DELETED":
            self._texts.get(kind, {}).pop(obj.name, None)
            self._objects.pop(obj.key, None)
        else:
            self._texts.setdefault(kind, {})[obj.name] = text
            self._objects[obj.key] = obj
        self.version = version
        self._recent.append(Change(type_, obj, version, text))

    def since(self, version: int) -> list[Change] | None:
        """The changes after ``version``, all of them; None when not all are remembered."""
        if version >= self.version:
            return []
        if not self._recent or self._recent[0].version > version + 1:
            return None
        return list(islice(self._recent, version + 1 - self._recent[0].version, None))  # they have no gaps

    def find(self, kind: str, name: str) -> Object | None:
        """The object, or None."""
        text = self._texts.get(kind, {}).get(name)
        if text is None:
            return None
        found = self._objects.get((kind, name))
        if found is None:
            found = self._objects[kind, name] = self._parse(kind, text)
        return found

    def objects(self, kind: str | None) -> list[Object]:
        """Sorted by kind and name."""
        found = (self.find(of, name) for of in self._kinds(kind) for name in sorted(self._texts[of]))
        return [one for one in found if one is not None]

    def texts(self, kind: str | None) -> list[str]:
        """Sorted by kind and name."""
        return [self._texts[of][name] for of in self._kinds(kind) for name in sorted(self._texts[of])]

    def _kinds(self, kind: str | None) -> list[str]:
        return [one for one in sorted(self._texts) if kind in (None, one)]
