"""Take secrets out of texts and documents before they leave the machine. Pure.

Two nets, because each has holes. Values that we know (stored secrets, the token, passwords of URLs) are searched for
as they are and as programs like to print them. What we do not know is found by its place: the value of a variable,
the password of a URL, what follows ``Authorization:`` or a word such as ``password=``.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

REDACTED = "***"

_SHORT = 4  # characters; a shorter value is searched for as a whole word, or "1" would take every digit
_WORDS = r"passw(?:or)?d|passphrase|[-_]pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credential"
_SECRET_NAME = re.compile(_WORDS, re.IGNORECASE)
_IS = r"\\*[\"']?\s*[:=]\s*\\*[\"']?"  # between a name and its value: YAML, JSON, JSON in a string, a shell
_WORD = r"[^\s\"',;&{}()\[\]\\]+"
_BY_PLACE = (
    (re.compile(r"(?<=://)[^/\s\"']+@"), f"{REDACTED}@"),
    (re.compile(rf"(?i)(\bauthorization{_IS})[^\r\n\"'\\]+"), rf"\g<1>{REDACTED}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[-\w.~+/]{6,}=*"), rf"\g<1> {REDACTED}"),
    (re.compile(rf"(?i)([-\w]*(?:{_WORDS})[-\w]*{_IS}){_WORD}"), rf"\g<1>{REDACTED}"),
    # Tokens that say what they are: AWS, GitHub, GitLab, Hugging Face, Slack, OpenAI and their like, JSON Web Tokens.
    (re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"), REDACTED),
    (re.compile(r"\b(gh[pousr]_|github_pat_|glpat-|hf_|xox[abprs]-|sk-|pypi-)[-\w]{16,}"), REDACTED),
    (re.compile(r"\beyJ[-\w]{8,}\.[-\w]{8,}\.[-\w]*"), REDACTED),
)


def is_secret_name(name: str) -> bool:
    """Whether a variable, parameter or option of this name holds a secret, as people name them."""
    return bool(_SECRET_NAME.search(name))


def url_passwords(texts: Iterable[str]) -> Iterator[str]:
    """The passwords of the URLs, and the user names that stand alone (tokens), as written and decoded."""
    for text in texts:
        for word in text.split():
            try:
                parts = urlsplit(word)
            except ValueError:
                continue
            secret = parts.password or (parts.username if "@" in parts.netloc else None)
            if secret:
                yield secret
                yield unquote(secret)


class Redactor:
    """Knows ``values``, and takes them and whatever looks like a secret out of what it is given."""

    def __init__(self, values: Iterable[str]) -> None:
        found = {form for value in values for part in _parts(value) for form in _forms(part)}
        long = sorted((one for one in found if len(one) >= _SHORT), key=len, reverse=True)
        short = sorted((one for one in found if 0 < len(one) < _SHORT), key=len, reverse=True)
        words = [re.escape(one) for one in long] + [rf"(?<!\w){re.escape(one)}(?!\w)" for one in short]
        self._known = re.compile("|".join(words)) if words else None

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        for pattern, instead in _BY_PLACE:
            text = pattern.sub(instead, text)
        return text

    def document(self, value: Any, key: str = "") -> Any:
        """A JSON value without secrets: of every ``env`` only the names and the references to secrets are left."""
        match value:
            case Mapping() if key == "env":
                return {self.text(str(name)): _reference(one) for name, one in value.items()}
            case Mapping():
                return {self.text(str(name)): self.document(one, str(name)) for name, one in value.items()}
            case list() | tuple():
                return [
                    REDACTED if _is_flag(before) and isinstance(one, str) else self.document(one)
                    for before, one in zip(["", *value], value, strict=False)
                ]
            case str() if key and is_secret_name(key):
                return REDACTED
            case str():
                return self.text(value)
            case int() | float() if self._known is not None and self._known.fullmatch(str(value)):
                return REDACTED  # a secret that is a number
        return value


def _reference(value: Any) -> Any:
    """Which secret a variable is taken from may be told, a value never."""
    named = value.get("secret") if isinstance(value, Mapping) else None
    return {"secret": {"name": named.get("name"), "key": named.get("key")}} if isinstance(named, Mapping) else REDACTED


def _is_flag(word: Any) -> bool:
    return isinstance(word, str) and word.startswith("-") and "=" not in word and is_secret_name(word)


def _parts(value: str) -> Iterator[str]:
    """The value, and its lines: a log has a time before each of them."""
    whole = value.strip()
    yield whole
    lines = [line.strip() for line in whole.splitlines()]
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= 2 * _SHORT)


def _forms(part: str) -> Iterator[str]:
    """As programs print it: plain, in JSON, as a Python literal, in a URL, in base64."""
    yield part
    yield json.dumps(part)[1:-1]
    yield json.dumps(part, ensure_ascii=False)[1:-1]
    yield repr(part)[1:-1]
    yield quote(part, safe="")
    yield quote(part)
    if len(part) >= 2 * _SHORT:
        yield base64.b64encode(part.encode("utf-8", "surrogateescape")).decode().rstrip("=")
