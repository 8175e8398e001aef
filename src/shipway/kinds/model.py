"""Model: a name whose versions are immutable OCI artifacts (ModelPack), numbered from 1.

The OCI layout is the truth about versions; the status mirrors the newest of them and those that aliases name, so that
one read of the store answers "what is there", however many there are. Aliases: ``latest`` is the newest version;
``champion`` the one that services serve: the version that the job's present code stands for, once its gate let it
pass, or the one that somebody made it by hand. Others are given by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar, Literal, Self

from shipway.kinds.meta import DigestStr, Name, Object, Status, Value
from shipway.kinds.parts import Source

_NUMBER = re.compile(r"[0-9]{1,9}")

CHAMPION = "champion"
LATEST = "latest"

# A status stays small: 10,000 versions are 6 MB, which every change would write anew, and etcd takes 1.5 MB.
LISTED = 100
_NAMED = 10  # in a message


class ModelSpec(Value):
    """What a user declares of a model; a job that names a model creates it when it does not exist."""

    description: str = ""
    source: Source | None = None  # files that become a version as they are (bring your own model)


class ModelTensor(Value):
    """One input or output; in ``shape`` -1 is any size, and a leading -1 the number of rows."""

    name: str
    datatype: str  # of the Open Inference Protocol: FP32, INT64, BYTES, ...
    shape: tuple[int, ...]


class ModelSignature(Value):
    """What a version takes and gives, as it was recorded when it was packed."""

    inputs: tuple[ModelTensor, ...] = ()
    outputs: tuple[ModelTensor, ...] = ()


class ModelVersion(Value):
    """One version, as the status lists it. Its full lineage is in the artifact."""

    number: int
    digest: DigestStr  # of the manifest
    format: str  # sklearn-joblib, sklearn-skops, onnx, custom, ...
    size: int  # bytes of all layers
    created_at: datetime
    fingerprint: str = ""
    run: str = ""
    metrics: dict[str, float] = {}
    gate: Literal["passed", "failed", "none"] = "none"
    gate_reason: str = ""
    origin: Literal["job", "import", "pulled"] = "job"
    trusted: bool = False  # somebody answers for it: it is loaded even if it is a pickle that was not trained here
    signature: ModelSignature | None = None
    pushed: tuple[str, ...] = ()  # registries' references, with the digest: where it was pushed to


class ModelStatus(Status):
    """Which versions there are."""

    source: DigestStr | None = None  # the files of spec.source that were judged last: imported or refused
    count: int = 0  # of all versions
    versions: tuple[ModelVersion, ...] = ()  # the newest, and those that aliases name; oldest first
    aliases: dict[str, int] = {}


class Model(Object):
    """A name with numbered versions."""

    plural: ClassVar[str] = "models"

    kind: Literal["Model"] = "Model"
    spec: ModelSpec = ModelSpec()
    status: ModelStatus = ModelStatus()

    def number(self, ref: str) -> int | None:
        """The number that a reference (``"2"``, ``"champion"``) stands for, or None; it may be of no version."""
        # Of a path of the API: not every text of digits is an int ("²", or 5,000 of them).
        return int(ref) if _NUMBER.fullmatch(ref) else self.status.aliases.get(ref)

    def version(self, ref: str) -> ModelVersion | None:
        """The version by number or alias, or None: an old one is not listed, and the layout has it all the same."""
        number = self.number(ref)
        return next((one for one in self.status.versions if one.number == number), None)

    def versions_in_words(self) -> str:
        """``versions: 1, 2``; of many the newest. For messages."""
        newest = [str(one.number) for one in self.status.versions[-_NAMED:]]
        there = f"newest of {self.status.count} versions" if self.status.count > _NAMED else "versions"
        return f"{there}: {', '.join(newest) or 'none'}"

    def listed(self, numbers: Iterable[int]) -> frozenset[int]:
        """Which of these versions the status lists."""
        there = frozenset(numbers)
        newest = sorted(there, reverse=True)[:LISTED]
        return frozenset(newest) | there.intersection(self.status.aliases.values())

    def mark_versions(self, versions: tuple[ModelVersion, ...], now: datetime, *, count: int | None = None) -> Self:
        """Mirror what the layout holds: ``versions`` are those to be listed, of ``count`` (None: these are all)."""
        total = len(versions) if count is None else count
        aliases = {alias: number for alias, number in self.status.aliases.items() if alias != LATEST}
        if versions:
            aliases[LATEST] = max(one.number for one in versions)
        passed = [one.number for one in versions if one.gate != "failed"]
        if passed:
            aliases.setdefault(CHAMPION, max(passed))
        status = self.status.model_copy(update={"count": total, "versions": versions, "aliases": aliases})
        reason = "VersionsAvailable" if total else "NoVersions"
        return self.with_status(status).with_condition(
            "Ready", "True" if total else "False", reason, f"{total} version(s)", now
        )

    def mark_alias(self, alias: str, number: int | None) -> Self:
        """The alias names that version from now on; None: none."""
        others = {name: one for name, one in self.status.aliases.items() if name != alias}
        aliases = others if number is None else {**others, alias: number}
        return self.with_status(self.status.model_copy(update={"aliases": aliases}))

    def mark_imported(self, source: str) -> Self:
        """These files of ``spec.source`` are a version."""
        return self.with_status(self.status.model_copy(update={"source": source}))

    def mark_import_failed(self, source: str, message: str, now: datetime) -> Self:
        """The files of ``spec.source`` could not become a version."""
        return self.mark_imported(source).with_condition("Ready", "False", "ImportFailed", message, now)

    def mark_import_delayed(self, message: str, now: datetime) -> Self:
        """A fault of this machine (a full disk) is in the way; it is tried again."""
        return self.with_condition("Ready", "Unknown", "ImportDelayed", message, now)


def split_reference(reference: str) -> tuple[Name, str]:
    """``digits`` is ``("digits", "champion")``; ``digits:2`` is ``("digits", "2")``."""
    name, _, ref = reference.partition(":")
    return name, ref or CHAMPION
