"""Users and groups by name: looked up in an image's own /etc/passwd and /etc/group. Pure.

Source: https://docs.docker.com/reference/dockerfile/#copy---chown---chmod; passwd(5), group(5).
"""

from __future__ import annotations

from collections.abc import Callable

_LARGEST = 2**32 - 2
Files = Callable[[str], str]  # "etc/passwd" to its text; empty where there is none


def of_copy(text: str, files: Files) -> tuple[int, int]:
    """The numbers of ``USER[:GROUP]``; without a group that of the user's number. Raises ValueError for a name that
    the image does not have."""
    if not text:
        return 0, 0
    user, _, group = text.partition(":")
    uid = _number(user or "0", "etc/passwd", files)
    return uid, _number(group, "etc/group", files) if group else uid


def of_user(text: str, files: Files) -> tuple[int, int]:
    """The numbers of a USER; of one that the image does not have, root's: only a container can say so."""
    user, _, group = text.partition(":")
    try:
        uid = _number(user or "0", "etc/passwd", files)
        return uid, _number(group, "etc/group", files) if group else _group_of(uid, files)
    except ValueError:
        return 0, 0


def _number(name: str, path: str, files: Files) -> int:
    found = name if name.isdecimal() else next((row[2] for row in _rows(files(path)) if row[0] == name), None)
    if found is None:
        raise ValueError(f"{name!r} is not in the image's /{path}: write a number, like 10001:10001")
    if len(found) > 10 or not found.isdecimal() or int(found) > _LARGEST:
        raise ValueError(f"{found[:20]!r} is no number of a user or a group")
    return int(found)


def _group_of(uid: int, files: Files) -> int:
    return next((int(row[3]) for row in _rows(files("etc/passwd")) if row[2] == str(uid) and row[3].isdecimal()), 0)


def _rows(text: str) -> list[list[str]]:
    return [row for line in text.splitlines() if len(row := line.split(":")) > 3]
