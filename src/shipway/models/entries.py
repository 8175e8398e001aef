"""What an entry of ``index.json`` says of a version beside its digest. Pure.

The manifest is the truth of a version; what a list needs of it is repeated here, so that a new hub reads one file and
not two blobs for each of 10,000 versions. What only this home knows stands here alone: whether the version was made
here or who answers for it, what the gate said later, and where it was pushed. None of it changes the version's digest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from shipway.kinds import ModelSignature, ModelVersion
from shipway.models import signatures
from shipway.models.modelpack import Packed
from shipway.oci import Descriptor
from shipway.oci.manifest import canonical
from shipway.oci.pushed import PUSHED, pushed

Origin = Literal["job", "import", "pulled"]
Gate = Literal["passed", "failed", "none"]

SUMMARY = "dev.shipway.version+json"
ORIGIN = "dev.shipway.origin"
GATE = "dev.shipway.gate"
TRUSTED = "dev.shipway.trusted"
ALL = (SUMMARY, ORIGIN, PUSHED, GATE, TRUSTED)

LARGEST = 4096  # bytes of a summary; of a version that has more to say the manifest is read


@dataclass(frozen=True, slots=True)
class Summary:
    """What a list says of a version, as its manifest had it."""

    format: str
    size: int
    content: str
    created_at: datetime
    run: str = ""
    fingerprint: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict, hash=False)
    gate: Gate = "none"
    gate_reason: str = ""
    signature: ModelSignature | None = None

    @classmethod
    def of(cls, packed: Packed) -> Summary:
        """The summary of a version."""
        made = packed.lineage
        return cls(
            format=packed.format,
            size=packed.size,
            content=packed.content,
            created_at=packed.created_at,
            run=made.run,
            fingerprint=made.fingerprint,
            metrics=made.metrics,
            gate=made.gate,
            gate_reason=made.gate_reason,
            signature=packed.signature,
        )

    def annotations(self, origin: Origin) -> dict[str, str]:
        """The annotations of the version's entry."""
        signature = self.signature.model_dump(mode="json") if self.signature is not None else None
        said = {
            "format": self.format,
            "size": self.size,
            "content": self.content,
            "createdAt": self.created_at.isoformat(),
            "run": self.run,
            "fingerprint": self.fingerprint,
            "metrics": dict(self.metrics),
            "gate": self.gate,
            "gateReason": self.gate_reason,
            "signature": signature,
        }
        text = canonical({name: value for name, value in said.items() if value}).decode()
        return {ORIGIN: origin, **({SUMMARY: text} if len(text) <= LARGEST else {})}


def summary(entry: Descriptor) -> Summary | None:
    """What the entry repeats of its manifest; None when it says nothing, or nothing that can be understood."""
    try:
        said: dict[str, Any] = json.loads(entry.annotations.get(SUMMARY, ""))
        signature = said.get("signature")
        return Summary(
            format=said["format"],
            size=said.get("size", 0),
            content=said.get("content", ""),
            created_at=datetime.fromisoformat(said["createdAt"]),
            run=said.get("run", ""),
            fingerprint=said.get("fingerprint", ""),
            metrics=said.get("metrics", {}),
            gate=said.get("gate", "none"),
            gate_reason=said.get("gateReason", ""),
            signature=signatures.parse(json.dumps(signature)) if signature else None,
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def origin(entry: Descriptor) -> Origin:
    """How the version came to this home. What nothing is known of (another tool wrote the entry) was not made here:
    a pickle in it is not trusted, whatever its manifest says."""
    said = entry.annotations.get(ORIGIN)
    return next((one for one in get_args(Origin) if one == said), "pulled")


def with_gate(entry: Descriptor, gate: Gate, reason: str) -> Descriptor:
    """The entry that says what the gate says now; until then the lineage says what it said first."""
    return entry.annotated({GATE: canonical({"gate": gate, "reason": reason}).decode()})


def with_trust(entry: Descriptor, by: str) -> Descriptor:
    """The entry of a version that was not made here, and for which somebody answers."""
    return entry.annotated({TRUSTED: by})


def version(number: int, entry: Descriptor, said: Summary) -> ModelVersion:
    """The version as a Model's status has it. A pulled one claims no run of this home and no fingerprint: a job must
    not take for its own result what somebody else says that it is."""
    came, judged = origin(entry), json.loads(entry.annotations.get(GATE, "{}"))
    made_here = came == "job"
    return ModelVersion(
        number=number,
        digest=entry.digest,
        format=said.format,
        size=said.size,
        created_at=said.created_at,
        fingerprint=said.fingerprint if made_here else "",
        run=said.run if made_here else "",
        metrics=dict(said.metrics),
        gate=judged.get("gate", said.gate),
        gate_reason=judged.get("reason", said.gate_reason),
        origin=came,
        trusted=TRUSTED in entry.annotations,
        signature=said.signature,
        pushed=pushed(entry),
    )
