"""Secrets of a home: one file a key, readable by their owner only. Values never reach YAML, the store or a log."""

from __future__ import annotations

import difflib
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

from shipway.errors import NotFound, UserError

# As kinds.parts.SecretRef has them. A name that holds neither "/" nor a leading "." cannot leave the folder.
NAME = re.compile(r"[a-z]([-a-z0-9]{0,48}[a-z0-9])?")
KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,252}")


class FileSecrets:
    """``ROOT/NAME/KEY`` files, mode 0600 in folders of mode 0700. Safe for several processes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> dict[str, list[str]]:
        """Every secret with its keys, sorted. Values are not read."""
        folders = sorted(self._root.iterdir()) if self._root.is_dir() else []
        keys = {
            folder.name: sorted(file.name for file in folder.iterdir() if KEY.fullmatch(file.name))
            for folder in folders
            if NAME.fullmatch(folder.name)
        }
        return {name: found for name, found in keys.items() if found}

    def set(self, name: str, key: str, value: bytes) -> None:
        """Store a value, or replace it: a reader sees the old or the new one. Raises UserError for an invalid name."""
        path = self._checked(name, key)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._root.chmod(0o700)  # parents=True made it with the umask's mode
        descriptor, making = tempfile.mkstemp(dir=path.parent, prefix=".making-")  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(value)
                file.flush()
                os.fsync(file.fileno())
            Path(making).rename(path)
        except BaseException:
            Path(making).unlink(missing_ok=True)
            raise

    def delete(self, name: str, key: str | None = None) -> None:
        """Remove one key, or the secret with all its keys. Raises NotFound, UserError for an invalid name."""
        keys = [key] if key is not None else self.names().get(_checked_name(name))
        if not keys:
            raise self._not_found(name, "KEY")
        for one in keys:
            self.path(name, one).unlink(missing_ok=True)
        with suppress(OSError):  # other keys are left
            (self._root / name).rmdir()

    def path(self, name: str, key: str) -> Path:
        """The file that holds the value. Raises NotFound with the nearest name, UserError for an invalid name."""
        path = self._checked(name, key)
        if not path.is_file():
            raise self._not_found(name, key)
        return path

    def values(self, name: str) -> dict[str, str]:
        """All keys of a secret with their values. Raises NotFound, UserError for an invalid name or binary values."""
        keys = self.names().get(_checked_name(name))
        if not keys:
            raise self._not_found(name, "KEY")
        try:
            return {key: self.path(name, key).read_text().removesuffix("\n") for key in keys}
        except UnicodeDecodeError:
            raise UserError(f"the secret {name!r} has a value that is not text") from None

    def _checked(self, name: str, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise UserError(
                f"{key!r} is not a valid key of a secret",
                next_step="use letters, digits and _, no digit first, at most 253",
            )
        return self._root / _checked_name(name) / key

    def _not_found(self, name: str, key: str) -> NotFound:
        stored = self.names()
        next_step = f"store it: shipway secret set {name} {key}"
        if name in stored:
            what, choices, word = f"secret {name!r} has no key {key!r}", stored[name], key
        else:
            what, choices, word = f"there is no secret {name!r}", list(stored), name
        nearest = difflib.get_close_matches(word, choices, n=1)
        return NotFound(f"{what}; the nearest is {nearest[0]!r}" if nearest else what, next_step=next_step)


def _checked_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise UserError(
            f"{name!r} is not a valid name of a secret",
            next_step="start with a letter, use a-z, 0-9 and '-', end with a letter or digit, at most 50 characters",
        )
    return name
