"""Bytecode for packages, so that a container that cannot write any starts faster: the same bytes on every machine.

``unchecked-hash`` files (PEP 552): Python takes them without looking at the source, whose time is the same for all
files of an image.
"""

from __future__ import annotations

import importlib.util
import marshal
import struct
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from threading import Lock

from shipway.errors import UserError
from shipway.image.layer import Entry
from shipway.image.platform import Python

_UNCHECKED_HASH = 0b01  # PEP 552: the hash of the source follows, and is not compared
# Marshal's version. From the third on, the bytes depend on what this process has loaded (CPython issue 78274).
_PLAIN = 2
_FILTERS = Lock()  # the filters of warnings are the process's: two threads would restore each other's


def check(python: Python) -> None:
    """Raises UserError when this Python cannot compile for that one."""
    ours = ".".join(map(str, sys.version_info[:2]))
    if python.minor != ours or sys.implementation.name != "cpython":
        raise UserError(
            f"bytecode for Python {python.minor} cannot be made by {sys.implementation.name} {ours}",
            next_step=f"Run Shipway with Python {python.minor}, or build without bytecode.",
        )


def method() -> str:
    """What the bytes depend on beside the source: for keys of caches."""
    return f"{sys.implementation.cache_tag} {sys.version_info[:3]} {importlib.util.MAGIC_NUMBER.hex()}"


def compiled(entries: Iterable[Entry], room: Path) -> Iterator[Entry]:
    """The entries, and the bytecode of those that are Python's modules; it is written below ``room`` on the way.

    What does not compile (a template, a test of an older Python's syntax) has none: Python says so if it is imported.
    """
    room.mkdir()
    for number, entry in enumerate(entries):
        yield entry
        if entry.kind == "file" and entry.name.endswith(".py") and "/site-packages/" in entry.name:
            source = entry.content if isinstance(entry.content, bytes) else entry.content.read_bytes()
            code = _compiled(source, f"/{entry.name}")
            if code is not None:
                kept = room / str(number)
                kept.write_bytes(code)
                yield replace(entry, name=_cached(entry.name), content=kept, executable=False)


def _compiled(source: bytes, name: str) -> bytes | None:
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of invalid escapes in strings, which are none of our user's
        try:
            code = compile(source, name, "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError, RecursionError):
            return None
    head = importlib.util.MAGIC_NUMBER + struct.pack("<I", _UNCHECKED_HASH) + importlib.util.source_hash(source)
    return head + marshal.dumps(code, _PLAIN)


def _cached(name: str) -> str:
    """PEP 3147."""
    path = PurePosixPath(name)
    return f"{path.parent}/__pycache__/{path.stem}.{sys.implementation.cache_tag}.pyc"
