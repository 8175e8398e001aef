"""Users and groups by name: looked up in an image's own /etc/passwd and /etc/group. Pure.

Source: https://docs.docker.com/reference/dockerfile/#copy---chown---chmod; passwd(5), group(5).
"""

from __future__ import annotations

from collections.abc import Callable

_LARGEST = 2**32 - 2
Files = Callable[[str], str]  # "etc/passwd" to its text; empty where there is none


def numbers(text: str, files: Files) -> tuple[int, int]:
    """The numbers of ``USER[:GROUP]``, root's when it is empty; without a group that of the user in ``/etc/passwd``, or
    of a number the same number, as BuildKit does. Raises ValueError for a name that the image does not have."""
    user, _, group = text.partition(":")
    uid = _number(user or "0", "etc/passwd", files)
    if group:
        return uid, _number(group, "etc/group", files)
    own = (row[3] for row in _rows(files("etc/passwd")) if row[0] == user)
    return uid, uid if (user or "0").isdecimal() else _number(next(own), "etc/passwd", files)


def _number(name: str, path: str, files: Files) -> int:
    found = name if name.isdecimal() else next((row[2] for row in _rows(files(path)) if row[0] == name), None)
    if found is None:
        raise ValueError(f"{name!r} is not in the image's /{path}: write a number, like 10001:10001")
    if len(found) > 10 or not found.isdecimal() or int(found) > _LARGEST:
        raise ValueError(f"{found[:20]!r} is no number of a user or a group")
    return int(found)


def _rows(text: str) -> list[list[str]]:
    return [row for line in text.splitlines() if len(row := line.split(":")) > 3]
