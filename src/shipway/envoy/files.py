"""Files that another process watches: a reader sees the old text or the new one, never half of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Replace ``path`` by rename, mode 0600; makes its folder (0700) when needed.

    The temporary file is hidden beside it: a rename within one folder is what Envoy's inotify watch reports.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read(path: Path) -> str | None:
    """The text of a file, or None when there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def write_changed(folder: Path, texts: Mapping[str, str], *, again: bool = False) -> bool:
    """Write those of ``texts`` (path below ``folder`` to text, in that order) that differ; whether any did.

    With ``again`` all are written: a watcher then reads anew what it could not use before.
    """
    changed = {name: text for name, text in texts.items() if again or read(folder / name) != text}
    for name, text in changed.items():
        write(folder / name, text)
    return bool(changed)


def keep_only(folder: Path, names: Iterable[str]) -> None:
    """Remove all files of ``folder`` that are not among ``names``."""
    kept = set(names)
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in kept:
            path.unlink(missing_ok=True)
