"""What a registry wants to be shown: ``WWW-Authenticate``, parsed. Pure.

Source: RFC 9110, 11.6.1 (several challenges may share one header); distribution's token specification for ``Bearer``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LONGEST = 8 * 1024  # characters of a header that are looked at

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))')
_SCHEME = re.compile(rf"\s*({_TOKEN})(?=\s|,|$)")
_TOKEN68 = re.compile(r"\s+[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$))")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge: its scheme and parameter names in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse(header: str) -> tuple[Challenge, ...]:
    """The challenges of a header, in their order; what cannot be read ends it."""
    text, at = header[:LONGEST], 0
    found: list[tuple[str, dict[str, str]]] = []
    while at < len(text):
        if found and (parameter := _PARAMETER.match(text, at)):
            name, quoted, plain = parameter.groups()
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
            found[-1][1].setdefault(name.lower(), value)
            at = parameter.end()
        elif scheme := _SCHEME.match(text, at):
            found.append((scheme[1].lower(), {}))
            at = scheme.end()
            if (opaque := _TOKEN68.match(text, at)) and not _PARAMETER.match(text, at):
                at = opaque.end()
        elif separator := re.compile(r"\s*,\s*|\s+").match(text, at):
            at = separator.end()
        else:
            break
    return tuple(Challenge(scheme, parameters) for scheme, parameters in found)


def best(headers: Sequence[str]) -> Challenge | None:
    """The challenge to answer: a bearer token before a password; None when there is none that we can answer."""
    challenges = [one for header in headers for one in parse(header)]
    for scheme in ("bearer", "basic"):
        for one in challenges:
            if one.scheme == scheme and (scheme == "basic" or one.parameters.get("realm")):
                return one
    return None
