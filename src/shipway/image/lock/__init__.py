"""Which packages an image gets, to the very file: the lock, its form, and what may be asked for. Pure.

The wheels are named by name, version and sha256 and are looked for at the indexes of whoever builds: a lock that was
made with a mirror, or with wheels in a folder, works wherever the same files can be had. The URL beside each says where
it was found, for other tools; no user name, password or query of an index is in it.
"""

from __future__ import annotations

from shipway.image.lock.lock import Lock, file_name
from shipway.image.lock.resolution import File, LockedBase, Package, Resolution

__all__ = ["File", "Lock", "LockedBase", "Package", "Resolution", "file_name"]
