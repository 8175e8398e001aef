"""Objects in as little memory as they need. Pure but for what it remembers."""

from __future__ import annotations

from typing import Any

# Nobody here reads them, and they are half of an object: who set which field, and all of it once more.
_METADATA = frozenset({"managedFields", "selfLink"})
_ANNOTATIONS = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})

_LONGEST = 128  # characters of a text that others may have too
_MOST = 20_000  # texts that are remembered; names and times are of one object only


class Lean:
    """Makes a copy of an object without what nobody reads, in which equal words are one word: json makes each name of a
    field anew for every object, and 5,000 Pods say 5,000 times "Ready"."""

    def __init__(self) -> None:
        self._words: dict[str, str] = {}

    def __call__(self, one: dict[str, Any]) -> dict[str, Any]:
        metadata = {name: value for name, value in one["metadata"].items() if name not in _METADATA}
        if annotations := metadata.get("annotations"):
            metadata["annotations"] = {name: value for name, value in annotations.items() if name not in _ANNOTATIONS}
        lean: dict[str, Any] = self._copy({**one, "metadata": metadata})
        if len(self._words) > _MOST:
            self._words.clear()
        return lean

    def _copy(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self._word(name): self._copy(part) for name, part in value.items()}
        if isinstance(value, list):
            return [self._copy(part) for part in value]
        if isinstance(value, str) and len(value) <= _LONGEST:
            return self._word(value)
        return value

    def _word(self, text: str) -> str:
        return self._words.setdefault(text, text)
