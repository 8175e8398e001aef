"""The numbers of a model's versions: those that an index has, and those that it lost. Pure.

A number that was given once is never given again while its model exists: the ledger and who pinned ``digits:3`` mean
the bytes that they saw. A tag that has to go (its blob is damaged) leaves an annotation of the index behind.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

from shipway.oci import Descriptor, Index

Numbers = Mapping[int, Descriptor]

_TAG = re.compile(r"([a-z][-a-z0-9]*):([1-9][0-9]*)")
_LOST = "dev.shipway.lost."  # and the model's name: the highest number that it lost


def by_name(index: Index) -> Mapping[str, Numbers]:
    """The versions of every model."""
    found: defaultdict[str, dict[int, Descriptor]] = defaultdict(dict)
    for tag, descriptor in index.tags.items():
        if match := _TAG.fullmatch(tag):
            found[match[1]][int(match[2])] = descriptor
    return dict(found)


def next_number(index: Index, name: str, there: Numbers) -> int:
    """The number of the next version; ``there`` are those that the model has."""
    return max(_lost(index, name), *there, 0) + 1


def without_version(index: Index, tag: str) -> Index:
    """The index without the version ``digits:3``, and with the memory that it was there."""
    match, rest = _TAG.fullmatch(tag), index.without_tag(tag)
    if match is None:  # another tool's tag
        return rest
    name, number = match[1], max(_lost(index, match[1]), int(match[2]))
    return rest.annotated(f"{_LOST}{name}", str(number))


def without_model(index: Index, name: str, there: Numbers) -> Index:
    """The index without that model: one of that name is another, and counts from 1."""
    for number in there:
        index = index.without_tag(f"{name}:{number}")
    return index.annotated(f"{_LOST}{name}", None)


def _lost(index: Index, name: str) -> int:
    return int(index.annotations.get(f"{_LOST}{name}", 0))
