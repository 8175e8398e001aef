"""Model: a name whose versions are immutable OCI artifacts (ModelPack), numbered from 1.

The OCI layout is the truth about versions; the status mirrors it so that one read of the store
answers "what is there". Aliases: ``latest`` is the newest version; ``champion`` the one that services serve:
the version that the job's present code stands for, once its gate let it pass.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import ClassVar, Literal, Self

from shipway.kinds.meta import DigestStr, Name, Object, Status, Value
from shipway.kinds.parts import Source

_NUMBER = re.compile(r"[0-9]{1,9}")

CHAMPION = "champion"
LATEST = "latest"


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
    origin: Literal["job", "import"] = "job"
    signature: ModelSignature | None = None


class ModelStatus(Status):
    """Which versions there are."""

    source: DigestStr | None = None  # the files of spec.source that were judged last: imported or refused
    versions: tuple[ModelVersion, ...] = ()
    aliases: dict[str, int] = {}


class Model(Object):
    """A name with numbered versions."""

    plural: ClassVar[str] = "models"

    kind: Literal["Model"] = "Model"
    spec: ModelSpec = ModelSpec()
    status: ModelStatus = ModelStatus()

    def version(self, ref: str) -> ModelVersion | None:
        """The version by number or alias (``"2"``, ``"champion"``), or None."""
        # Of a path of the API: not every text of digits is an int ("²", or 5,000 of them).
        number = int(ref) if _NUMBER.fullmatch(ref) else self.status.aliases.get(ref)
        return next((one for one in self.status.versions if one.number == number), None)

    def mark_versions(self, versions: tuple[ModelVersion, ...], now: datetime) -> Self:
        """Mirror what the layout holds. A gate judged since the version was packed stays as judged."""
        known = {one.number: one for one in self.status.versions}
        merged = tuple(_with_gate_of(known.get(one.number), one) for one in versions)
        aliases = dict(self.status.aliases)
        passed = [one.number for one in merged if one.gate != "failed"]
        if merged:
            aliases[LATEST] = max(one.number for one in merged)
        if passed:
            aliases.setdefault(CHAMPION, max(passed))
        status = self.status.model_copy(update={"versions": merged, "aliases": aliases})
        reason = "VersionsAvailable" if merged else "NoVersions"
        return self.with_status(status).with_condition(
            "Ready", "True" if merged else "False", reason, f"{len(merged)} version(s)", now
        )

    def mark_judged(self, number: int, gate: Literal["passed", "failed", "none"], reason: str) -> Self:
        """Record what the gate said of a version; unless it failed, the version becomes champion.

        A champion that fails a stricter gate stays: the gate decides who is rolled out, not who is taken down.
        """
        versions = tuple(
            one.model_copy(update={"gate": gate, "gate_reason": reason}) if one.number == number else one
            for one in self.status.versions
        )
        aliases = dict(self.status.aliases)
        if gate != "failed":
            aliases[CHAMPION] = number
        return self.with_status(self.status.model_copy(update={"versions": versions, "aliases": aliases}))

    def mark_imported(self, source: str) -> Self:
        """These files of ``spec.source`` are a version."""
        return self.with_status(self.status.model_copy(update={"source": source}))

    def mark_import_failed(self, source: str, message: str, now: datetime) -> Self:
        """The files of ``spec.source`` could not become a version."""
        return self.mark_imported(source).with_condition("Ready", "False", "ImportFailed", message, now)

    def mark_import_delayed(self, message: str, now: datetime) -> Self:
        """A fault of this machine (a full disk) is in the way; it is tried again."""
        return self.with_condition("Ready", "Unknown", "ImportDelayed", message, now)


def _with_gate_of(known: ModelVersion | None, packed: ModelVersion) -> ModelVersion:
    if known is None:
        return packed
    return packed.model_copy(update={"gate": known.gate, "gate_reason": known.gate_reason})


def split_reference(reference: str) -> tuple[Name, str]:
    """``digits`` is ``("digits", "champion")``; ``digits:2`` is ``("digits", "2")``."""
    name, _, ref = reference.partition(":")
    return name, ref or CHAMPION
