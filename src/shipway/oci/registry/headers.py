"""What headers of a registry's answers say. Pure: none of these raises, whatever a server sends."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

_LONGEST = 8 * 1024
_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_NEXT = re.compile(r';\s*rel\s*=\s*(?:"\s*next\s*"|next)\s*(?=[;,]|$)', re.IGNORECASE)
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_WARNING = re.compile(r'299 - "((?:[^"\\]|\\.)*)"')


def next_page(link: str, url: str) -> str | None:
    """The URL of the next page (RFC 8288, ``rel="next"``); None at the end, and where it leads to another server."""
    for target, parameters in _LINK.findall(link[:_LONGEST]):
        if _NEXT.search(parameters):
            try:
                joined = urljoin(url, target)
                same = urlsplit(joined)[:2] == urlsplit(url)[:2]
            except ValueError:
                return None
            return joined if same else None
    return None


def received(value: str) -> int | None:
    """Bytes that an upload has (distribution-spec: ``Range: 0-<end>``, the end inclusive); None when it does not say.

    docker-registry says ``0-0`` of an upload that has nothing: who takes that for one byte sends a hole.
    """
    match = _RANGE.fullmatch(value.strip())
    if match is None:
        return None
    end = int(match[1])
    return end + 1 if end else 0


def content_range(value: str) -> tuple[int, int, int | None] | None:
    """``bytes START-END/TOTAL`` (RFC 9110, 14.4) as start, the byte after the end, and the total where it is known."""
    match = _CONTENT_RANGE.fullmatch(value.strip())
    if match is None or int(match[1]) > int(match[2]):
        return None
    return int(match[1]), int(match[2]) + 1, None if match[3] == "*" else int(match[3])


def count(value: str) -> int | None:
    """A number of bytes; None when it is none."""
    text = value.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def retry_after(value: str, now: datetime) -> float | None:
    """Seconds to wait (RFC 9110, 10.2.3: a number of seconds, or a date); None when it does not say."""
    seconds = count(value)
    if seconds is not None:
        return float(seconds)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


def warnings(values: Iterable[str]) -> tuple[str, ...]:
    """The texts of ``Warning: 299 - "..."`` headers (distribution-spec, "Warnings"): for people, capped."""
    texts = (text for value in values for text in _WARNING.findall(value[:_LONGEST]))
    return tuple(printable(re.sub(r"\\(.)", r"\1", text)) for text in texts)


def printable(text: str, most: int = 500) -> str:
    """A server's words for a terminal: in one line, without control characters, not too long."""
    plain = " ".join("".join(one if one.isprintable() else " " for one in text[: 4 * most]).split())
    return plain if len(plain) <= most else plain[: most - 3] + "..."
