"""The body of a request as it was before it was compressed, never more of it than the limit says.

Source: RFC 9110 section 8.4 (Content-Encoding), RFC 1950 to 1952 (zlib, deflate, gzip), RFC 8878 (zstd).
"""

from __future__ import annotations

import asyncio
import importlib
import zlib
from collections.abc import Callable
from typing import Any

from shipway.runtime.server.http.replies import HttpError, too_large

_ON_THE_LOOP = 64 * 1024  # bytes that are inflated at once; more goes to a thread (some 5 ms a MB)


def brief(body: bytes, coding: str | None) -> bool:
    """Whether it is unpacked at once, by :func:`unpacked`, or takes a thread, by :func:`unpacked_aside`."""
    return coding is None or len(body) <= _ON_THE_LOOP


async def unpacked_aside(body: bytes, coding: str | None, limit: int) -> bytes:
    """As :func:`unpacked`, in a thread."""
    return await asyncio.get_running_loop().run_in_executor(None, unpacked, body, coding, limit)


def unpacked(body: bytes, coding: str | None, limit: int) -> bytes:
    """The body, as it was before it was compressed.

    Raises HttpError: 413 above ``limit`` bytes, 415 for an unknown coding, 400 for what does not unpack.
    """
    coding = coding.strip().lower() if coding is not None else "identity"
    if coding == "identity":
        return body
    unpack = _unpacker(coding)
    try:
        plain = unpack(body, limit + 1)
    except Exception as error:  # zlib.error, and what each zstd library has
        raise HttpError(400, f"the body is not {coding}, as content-encoding says: {error}") from error
    if len(plain) > limit:
        raise too_large(limit)
    return plain


def _unpacker(coding: str) -> Callable[[bytes, int], bytes]:
    """A function of the packed bytes and of how many to give at most."""
    if coding in ("gzip", "x-gzip"):
        return gunzip
    if coding == "deflate":
        return inflate
    if coding == "zstd" and (unpack := _zstd()) is not None:
        return unpack
    hint = ", and zstd where the package zstandard is installed" if coding == "zstd" else ""
    raise HttpError(415, f"content-encoding {coding!r} is not supported: gzip, deflate and identity are{hint}")


def gunzip(data: bytes, most: int) -> bytes:
    """All members of a gzip file, or the first ``most`` bytes of them. Raises ValueError, zlib.error."""
    plain = bytearray()
    while True:
        member = zlib.decompressobj(wbits=31)
        plain += member.decompress(data, most - len(plain))
        if len(plain) >= most:
            return bytes(plain)
        if not member.eof:
            raise ValueError("it breaks off")
        data = member.unused_data
        if not data:
            return bytes(plain)


def inflate(data: bytes, most: int) -> bytes:
    """The zlib format, as the standard says, or raw deflate, as some send. Raises ValueError, zlib.error."""
    is_zlib = len(data) >= 2 and data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
    stream = zlib.decompressobj(wbits=15 if is_zlib else -15)
    plain = stream.decompress(data, most)
    if len(plain) < most and not stream.eof:
        raise ValueError("it breaks off")
    return plain


def _zstd() -> Callable[[bytes, int], bytes] | None:
    """By Python itself (3.14), or by the package zstandard."""
    for name in ("compression.zstd", "zstandard"):
        try:
            library: Any = importlib.import_module(name)
        except ImportError:
            continue
        if name == "zstandard":
            return lambda data, most: bytes(library.ZstdDecompressor().stream_reader(data).read(most))
        return lambda data, most: bytes(library.ZstdDecompressor().decompress(data, max_length=most))
    return None
