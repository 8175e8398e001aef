"""Where this machine's apt gets a release of Debian from. Pure.

Sources: sources.list(5), "one-line-style format" and "deb822-style format".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)")
_SIGNED_BY = re.compile(r"(?:^|\s)signed-by=(\S+)")


def lines(files: Mapping[str, str], suite: str) -> tuple[str, ...]:
    """The lines of a sources.list for the release with its updates, from the texts of apt's files by their names.

    Empty where apt knows nothing of that release.
    """
    wanted = (suite, f"{suite}-updates", f"{suite}-security", f"{suite}/updates")
    found = [
        one
        for name in sorted(files)
        for one in (_stanzas(files[name]) if name.endswith(".sources") else _one_line(files[name]))
    ]
    fitting = dict.fromkeys(line for named, line in found if named in wanted)
    return tuple(fitting) if any(named == suite for named, _ in found) else ()


def _one_line(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if match := _LINE.fullmatch(line.partition("#")[0].strip()):
            signed = _SIGNED_BY.search(match["options"] or "")
            yield match["suite"], _line(match["uri"], match["suite"], signed[1] if signed else "")


def _stanzas(text: str) -> Iterator[tuple[str, str]]:
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict(_fields(stanza.splitlines()))
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        signed = fields.get("signed-by", "")
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                # A key can stand there itself, of many lines; mmdebstrap then takes Debian's keyring.
                yield suite, _line(uri, suite, signed if signed.startswith("/") and " " not in signed else "")


def _fields(rows: Iterable[str]) -> Iterator[tuple[str, str]]:
    name, value = "", ""
    for row in rows:
        if row.startswith("#"):
            continue
        if row[:1].isspace():
            value = f"{value} {row.strip()}"
            continue
        yield name, value.strip()
        name, _, value = row.partition(":")
        name = name.lower()
    yield name, value.strip()


def _line(uri: str, suite: str, signed_by: str) -> str:
    return f"deb {f'[signed-by={signed_by}] ' if signed_by else ''}{uri} {suite} main"
