"""The words by which users name kinds. No pydantic here: ``status`` must answer in 250 ms."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from shipway.errors import UserError


@dataclass(frozen=True, slots=True)
class Noun:
    """One kind: its name, its plural in URLs, and further words for it."""

    kind: str
    plural: str
    words: tuple[str, ...] = ()


NOUNS = (
    Noun("ModelJob", "modeljobs", ("job", "jobs", "mjob")),
    Noun("Model", "models"),
    Noun("ModelService", "modelservices", ("service", "services", "msvc", "svc")),
    Noun("Revision", "revisions", ("rev", "revs")),
    Noun("Route", "routes"),
    Noun("Cluster", "clusters"),
)
_BY_WORD = {word: noun for noun in NOUNS for word in (noun.kind.lower(), noun.plural, *noun.words)}
BY_KIND = {noun.kind: noun for noun in NOUNS}


def noun(word: str) -> Noun:
    """The kind that a word stands for, in any case. Raises UserError that names the nearest."""
    found = _BY_WORD.get(word.lower())
    if found is not None:
        return found
    close = difflib.get_close_matches(word.lower(), _BY_WORD, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    plurals = ", ".join(one.plural for one in NOUNS)
    raise UserError(f"{word!r} is not a kind", next_step=f"{hint}there are {plurals}")


def target(text: str, default: str = "") -> tuple[str, str]:
    """``modeljobs/digits`` or ``job/digits`` as (plural, name); a bare name has ``default`` as its plural.

    Raises UserError where no name is left.
    """
    word, slash, name = text.rpartition("/")
    if not name:
        raise UserError(f"{text!r} names nothing", next_step="write NAME or KIND/NAME, as job/digits")
    return (noun(word).plural, name) if slash else (default, name)
