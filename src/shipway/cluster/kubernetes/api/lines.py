"""Lines of a stream that is cut into pieces anywhere."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import aiohttp


async def lines(content: aiohttp.StreamReader, longest: int) -> AsyncGenerator[bytes, None]:
    """Each line without its newline; what stands after the last newline comes when the stream ends as it should.

    Of a line that is longer than ``longest`` the rest is dropped: whoever writes it must not fill our memory.
    Not ``StreamReader.readline``, which raises for lines above its buffer's size and loses them.
    """
    rest = bytearray()
    async for piece in content.iter_any():
        if b"\n" not in piece:
            rest += piece[: longest - len(rest)]
            continue
        head, *whole, tail = piece.split(b"\n")
        yield bytes(rest + head[: longest - len(rest)])
        for line in whole:
            yield line[:longest]
        rest = bytearray(tail[:longest])
    if rest:
        yield bytes(rest)


async def start(content: aiohttp.StreamReader, most: int) -> bytes:
    """The first bytes of an answer, and all of a short one."""
    got = bytearray()
    async for piece in content.iter_any():
        got += piece[: most - len(got)]
        if len(got) == most:
            break
    return bytes(got)
