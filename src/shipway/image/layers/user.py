"""The user that containers run as, in the base's own list of users. Pure."""

from __future__ import annotations

from shipway.image.bases import Base
from shipway.image.layer import Entry

NAME = "shipway"
_ROOT = "root:x:0:0:root:/root:/sbin/nologin\n"
_ROOT_GROUP = "root:x:0:\n"


def entries(base: Base, uid: int) -> tuple[Entry, ...]:
    """``/etc/passwd`` and ``/etc/group`` of the base with a line more for the user and its group, both of that number.
    A list that knows the number stays; where both do, there is nothing to add: ``()``.

    Programs look themselves up there: Python's ``getpass.getuser`` raises an error for a number without a name.
    """
    passwd = _with(base.passwd or _ROOT, uid, f"{{name}}:x:{uid}:{uid}:{NAME}:/app:/sbin/nologin")
    group = _with(base.group or _ROOT_GROUP, uid, f"{{name}}:x:{uid}:")
    lists = (("etc/group", group), ("etc/passwd", passwd))
    return tuple(Entry(name, content=text.encode()) for name, text in lists if text is not None)


def _with(text: str, number: int, line: str) -> str | None:
    rows = [row.split(":") for row in text.splitlines()]
    if any(len(row) > 2 and row[2] == str(number) for row in rows):
        return None
    taken = any(row[0] == NAME for row in rows)
    return f"{text.rstrip()}\n{line.format(name=f'{NAME}-{number}' if taken else NAME)}\n"
