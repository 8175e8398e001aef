"""How much at once, how large, how long: one value that a program may change as a whole."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    blobs: int = 4  # blobs that travel at once
    parts: int = 4  # ranges of one blob that travel at once
    streams: int = 6  # bodies that are read at once, of all blobs together
    part: int = 64 * MIB  # size of a range; a smaller blob is fetched in one
    chunk: int = 0  # size of a PATCH of an upload; 0: the whole blob in one, until a proxy says 413
    small: int = MIB  # a blob of this size or less is sent with its PUT, in memory; aiohttp warns of more
    manifest: int = 4 * MIB  # larger manifests are refused (distribution-spec: 4 MiB should work everywhere)
    blob: int = 1 << 40  # larger ones are refused: only a lie is so large, and what was announced is reserved
    manifests: int = 1000  # manifests under one reference
    depth: int = 4  # indexes within indexes
    pages: int = 1000  # pages of one list
    attempts: int = 6  # tries without progress
    patience: float = 120.0  # seconds that are waited between tries, all together, without progress
    stall: float = 30.0  # seconds without a byte, of one try
    finish: float = 300.0  # seconds for the end of an upload: the registry may copy and verify all of it
    connect: float = 10.0  # seconds for a connection, TLS included


DEFAULT = Limits()
