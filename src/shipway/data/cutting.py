"""Where a data set is cut: content-defined chunks, so that what was inserted moves no cut but those beside it.

The files of a data set are one stream, one after the other in the order of their names: small files share a chunk,
large ones have many. Source: Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based
Storage Systems" (FastCDC, 2020), as fastcdc-rs and pyfastcdc have it; tests/data holds where it cuts, because another
place would store everything anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pyfastcdc import FastCDC

# Bytes. A version with a few changed rows stores two or three chunks more; a registry is asked once for each chunk.
SMALLEST, AVERAGE, LARGEST = 1 << 18, 1 << 20, 1 << 22


def cut(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in chunks, each of SMALLEST to LARGEST bytes but for the last one."""
    cutter = FastCDC(AVERAGE, min_size=SMALLEST, max_size=LARGEST)
    for chunk in cutter.cut_stream(_Stream(blocks)):
        yield bytes(chunk.data)  # a copy: the view is valid until the next chunk only


class _Stream:
    """Blocks as a stream that fills what it is asked to fill: only its end is short."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._rest = memoryview(b"")

    def readinto(self, target: memoryview) -> int:
        filled = 0
        while filled < len(target):
            if not self._rest:
                block = next(self._blocks, None)
                if block is None:
                    break
                self._rest = memoryview(block)
            part = self._rest[: len(target) - filled]
            target[filled : filled + len(part)] = part
            self._rest = self._rest[len(part) :]
            filled += len(part)
        return filled
