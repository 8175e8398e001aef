"""Numbered tags: the versions that an index has, and those that it lost. Pure.

``digits:3`` is a model's, ``data/digits:3`` a data set's. A number that was given once is never given again while its
model or data set exists: the ledger and who pinned ``digits:3`` mean the bytes that they saw. A tag that has to go
(its blob is damaged) leaves an annotation of the index behind.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

from shipway.oci.descriptor import Descriptor
from shipway.oci.index import Index

Numbers = Mapping[int, Descriptor]

_TAG = re.compile(r"((?:data/)?)([a-z][-a-z0-9]*):([1-9][0-9]*)")
_LOST = "dev.shipway.lost."  # and the name, with its room: the highest number that it lost


def by_name(index: Index, room: str = "") -> Mapping[str, Numbers]:
    """The versions of every name of a room ("data/"; the models' has no name)."""
    found: defaultdict[str, dict[int, Descriptor]] = defaultdict(dict)
    for tag, descriptor in index.tags.items():
        if (match := _TAG.fullmatch(tag)) and match[1] == room:
            found[match[2]][int(match[3])] = descriptor
    return dict(found)


def next_number(index: Index, name: str, there: Numbers) -> int:
    """The number of the next version of ``name`` (with its room); ``there`` are those that it has."""
    return max(_lost(index, name), *there, 0) + 1


def without_version(index: Index, tag: str) -> Index:
    """The index without the version ``digits:3``, and with the memory that it was there."""
    match, rest = _TAG.fullmatch(tag), index.without_tag(tag)
    if match is None:  # another tool's tag
        return rest
    name = f"{match[1]}{match[2]}"
    number = max(_lost(index, name), int(match[3]))
    return rest.annotated(f"{_LOST}{name}", str(number))


def without_model(index: Index, name: str, there: Numbers) -> Index:
    """The index without that model: one of that name is another, and counts from 1."""
    for number in there:
        index = index.without_tag(f"{name}:{number}")
    return index.annotated(f"{_LOST}{name}", None)


def _lost(index: Index, name: str) -> int:
    return int(index.annotations.get(f"{_LOST}{name}", 0))
