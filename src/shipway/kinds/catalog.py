"""What is told of models besides the objects: a line of a list, and what differs between two versions. No kinds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from shipway.kinds.meta import Value


class ModelLine(Value):
    """A model in a list. ``versions`` counts them; format, size and metrics are the champion's (or the newest one's).

    ``live``: service to the number that has its traffic.
    """

    name: str
    versions: int
    aliases: dict[str, int]
    format: str
    size: int
    metrics: dict[str, float]
    live: dict[str, int]
    latest: int | None = None
    champion: int | None = None
    created_at: datetime | None = None
    made_at: datetime | None = None  # the newest version


class MetricChange(Value):
    """One metric; None where a version has no such metric. ``better`` is None where nobody said what is better."""

    name: str
    before: float | None
    after: float | None
    change: float | None = None
    better: bool | None = None


class ValueChange(Value):
    """Something that has a name, from what to what; None where it was not there."""

    name: str
    before: Any
    after: Any


class ContentChange(Value):
    """Files behind a name (``source``, or an input), from which digest to which; "" where there were none.

    ``known`` is False when not both are kept here any more; ``patch`` is the text of what changed in them, where it
    was asked for.
    """

    name: str
    before: str
    after: str
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    known: bool = True
    sizes: dict[str, tuple[int, int]] = Field(default_factory=dict)  # of the changed: bytes before, after
    patch: str = ""


class VersionDiff(Value):
    """From the version ``before`` to ``after``. All metrics are there; of the rest what differs."""

    before: str
    after: str
    same_files: bool  # the models themselves are equal, file by file
    metrics: tuple[MetricChange, ...] = ()
    params: tuple[ValueChange, ...] = ()
    inputs: tuple[ContentChange, ...] = ()
    code: ContentChange | None = None
    requirements: tuple[ValueChange, ...] = ()  # as declared
    packages: tuple[ValueChange, ...] = ()  # what they came to
    conditions: tuple[ValueChange, ...] = ()  # command, interpreter, platform, env: values, or digests of them
    signature: tuple[ValueChange, ...] = ()
    files: tuple[ValueChange, ...] = ()  # of the version: bytes before and after
    format: ValueChange | None = None
    size: ValueChange | None = None
