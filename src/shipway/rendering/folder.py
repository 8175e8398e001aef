"""Files into a folder that is somebody's repository: what is ours is written again, what is not stays."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from shipway.errors import Refused, UserError
from shipway.rendering.manifests import HEAD


def write(
    folder: Path, files: Mapping[str, str], *, once: Collection[str] = (), prune: bool = True
) -> tuple[Path, ...]:
    """Write path to text below ``folder``; with ``prune`` remove what an earlier call wrote and this one does not.
    Files of ``once`` are written where they are missing. The files that were written, sorted.

    Raises Refused, before anything is written, where a file is in the way that is not ours; UserError when the folder
    cannot be written.
    """
    try:
        for path in files.keys() - set(once):
            if (folder / path).exists() and not _is_ours(folder / path):
                raise Refused(
                    f"{folder / path} is not of `shipway render`, and is not overwritten",
                    next_step="Remove it, or name another folder.",
                )
        due = {path: text for path, text in files.items() if path not in once or not (folder / path).exists()}
        for stale in _ours(folder, {Path(path).parent for path in files}) if prune else ():
            if stale.relative_to(folder).as_posix() not in files:
                stale.unlink()
        for path, text in due.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            making = (folder / path).with_name(f".{Path(path).name}.{os.getpid()}")
            making.write_text(text, encoding="utf-8")
            making.replace(folder / path)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}") from None
    return tuple(folder / path for path in sorted(due))


def _ours(folder: Path, parents: Collection[Path]) -> list[Path]:
    return [one for parent in parents for one in sorted((folder / parent).glob("*.yaml")) if _is_ours(one)]


def _is_ours(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(HEAD)) == HEAD.encode()
