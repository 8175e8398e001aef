"""What images are called in the layout: ``image/digits:latest`` is a tag, ``base/...`` that of a base. Pure."""

from __future__ import annotations

import re

from shipway.errors import UserError

IMAGES = "image/"
BASES = "base/"
LATEST = "latest"

_NAME = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def tag_of(name: str) -> str:
    """The layout's tag for ``NAME[:TAG]``; that of a base is its name. Raises UserError for what is no name."""
    if name.startswith(BASES):
        return name
    plain, colon, tag = name.partition(":")
    if not _NAME.fullmatch(plain) or (colon and not _TAG.fullmatch(tag)):
        raise UserError(
            f"{name!r} is no name of an image",
            next_step="Write NAME[:TAG], a digest (sha256:...), or HOST/REPOSITORY[:TAG] for one in a registry.",
        )
    return f"{IMAGES}{plain}:{tag or LATEST}"


def name_of(tag: str) -> str | None:
    """``digits:latest`` for its tag, the whole for a base's, None for another tag."""
    if tag.startswith(IMAGES):
        return tag.removeprefix(IMAGES)
    return tag if tag.startswith(BASES) else None
