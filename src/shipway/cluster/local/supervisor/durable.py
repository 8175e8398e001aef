"""Small files that survive a crash: whole and old, or whole and new."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def write_json(path: str, document: dict[str, Any], *, sync: bool = True) -> None:
    """Write ``document`` beside ``path`` (0600), then rename. With ``sync`` it is on the disk on return."""
    temporary = f"{path}.{os.getpid()}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(json.dumps(document).encode())
        if sync:
            file.flush()
            os.fsync(descriptor)
    os.rename(temporary, path)
    if sync:
        sync_folder(os.path.dirname(path))


def read_json(path: str) -> dict[str, Any] | None:
    """The document, or None when there is none or when it is not JSON (a disk that lost its blocks)."""
    try:
        with open(path, "rb") as file:
            document = json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def sync_folder(path: str) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
