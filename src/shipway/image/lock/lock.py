"""The lock of an image: ``pylock.NAME.toml``, one file for all of its platforms. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from shipway.image.lock.reading import read
from shipway.image.lock.resolution import Resolution
from shipway.image.lock.writing import written
from shipway.image.platform import Platform


@dataclass(frozen=True, slots=True)
class Lock:
    """What was chosen, for each platform."""

    resolutions: Mapping[Platform, Resolution]

    @classmethod
    def read(cls, text: str) -> Self:
        """From the file's text. Raises UserError for one that is not a lock of ours, or is damaged."""
        return cls(read(text))

    def to_text(self) -> str:
        """The file's text: equal locks give equal texts."""
        return written(self.resolutions.values())


def file_name(workload: str) -> str:
    """``pylock.NAME.toml``: PEP 751 allows no dot in NAME."""
    return f"pylock.{re.sub(r'[^A-Za-z0-9_-]+', '-', workload)}.toml"
