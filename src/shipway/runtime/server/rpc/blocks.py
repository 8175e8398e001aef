"""Header blocks of one connection: HEADERS and CONTINUATION put together, and decoded.

Source: RFC 9113 sections 4.3, 6.10, 8.2 and 8.3 (which fields a request may have), RFC 7541 (HPACK).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hpack import Decoder, HPACKError

from shipway.runtime.server.rpc import frames
from shipway.runtime.server.rpc.frames import Broken, Fault

LONGEST = 32768  # bytes, packed and unpacked: twice what gRPC's own servers take
_PSEUDO = frozenset((b":method", b":scheme", b":path", b":authority"))
_NEEDED = (":method", ":scheme", ":path")
_OF_HTTP_1 = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))
_MOST_KNOWN, _LONGEST_KNOWN = 16, 512  # blocks of a connection that are kept, and bytes of one
_MOST_FRAMES = 32  # of one block, however little is in them (CVE-2024-27316)


@dataclass(slots=True)
class Head:
    """The fields of one block, which are not to be changed. ``last``: no message follows."""

    stream: int
    last: bool
    fields: dict[str, str]


class Blocks:
    """One at a time; their order is what the decoder's table hangs on."""

    def __init__(self) -> None:
        self._decoder = Decoder(max_header_list_size=LONGEST)
        self._stream = 0  # of the block that is not whole
        self._flags = 0
        self._parts: list[bytes] = []
        self._known: dict[bytes, dict[str, str]] = {}  # as long as the decoder's table stays as it is

    @property
    def unfinished(self) -> bool:
        """Whether nothing but a continuation may come now."""
        return self._stream > 0

    def begin(self, flags: int, stream: int, payload: bytes) -> Head | None:
        """A HEADERS frame. Raises Broken."""
        if not stream % 2:
            raise Broken(Fault.PROTOCOL, f"stream {stream} is not a client's")
        self._stream, self._flags, self._parts = stream, flags, []
        return self.go_on(flags, stream, frames.unpadded(payload, flags))

    def go_on(self, flags: int, stream: int, block: bytes) -> Head | None:
        """A CONTINUATION frame. Raises Broken."""
        if not stream or stream != self._stream:
            raise Broken(Fault.PROTOCOL, "a continuation of nothing")
        parts = self._parts
        parts.append(block)
        if len(parts) > _MOST_FRAMES or sum(map(len, parts)) > LONGEST:
            raise Broken(Fault.ENHANCE_YOUR_CALM, f"headers of more than {LONGEST} bytes or {_MOST_FRAMES} frames")
        if not flags & frames.END_HEADERS:
            return None
        self._stream = 0
        whole = parts[0] if len(parts) == 1 else b"".join(parts)
        fields = self._known.get(whole)
        if fields is None:
            fields = self._decode(whole)
        return Head(stream, bool(self._flags & frames.END_STREAM), fields)

    def _decode(self, block: bytes) -> dict[str, str]:
        """Once for each block: a client sends the same one for call after call, and this is a quarter of what a brief
        call costs. What a block says hangs on the decoder's table, which some blocks change (RFC 7541 section 2.2)."""
        newest, size = _state(self._decoder)
        try:
            decoded = self._decoder.decode(block, raw=True)
        except (HPACKError, ValueError, IndexError) as error:  # ValueError: a number too large to be printed
            raise Broken(Fault.COMPRESSION, f"{type(error).__name__}: the headers cannot be read") from error
        fields = _fields(decoded)
        newest_now, size_now = _state(self._decoder)
        if newest_now is not newest or size_now != size or len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        elif len(block) <= _LONGEST_KNOWN:
            self._known[block] = fields
        return fields


def _state(decoder: Decoder) -> tuple[object, tuple[int, int]]:
    """What is another one after each change of the table: its newest entry (each has an object of its own), and how
    many entries and bytes it has room for."""
    table = decoder.header_table
    entries = table.dynamic_entries
    return entries[0] if entries else None, (len(entries), table.maxsize)


def check_request(fields: Mapping[str, str]) -> None:
    """Raises Broken where a block that begins a request lacks what every request has."""
    for name in _NEEDED:
        if not fields.get(name):
            raise Broken(Fault.PROTOCOL, f"a request without {name}")


def _fields(decoded: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    fields: dict[str, str] = {}
    pseudo = True  # they come first
    for raw, value in decoded:
        name = str(raw, "latin-1")
        if raw[:1] == b":":
            if not pseudo or raw not in _PSEUDO or name in fields:
                raise Broken(Fault.PROTOCOL, f"{name} is no field of a request, comes late, or comes twice")
        else:
            pseudo = False
            if raw in _OF_HTTP_1 or raw != raw.lower() or (raw == b"te" and value != b"trailers"):
                raise Broken(Fault.PROTOCOL, f"{name} may not stand in HTTP/2, or not so")
        fields[name] = str(value, "latin-1")
    return fields
