"""The record of a build: what went into an image, by digest, and what built it. Pure.

It holds no time, no host and no user: who builds the same again gets the same bytes.
Sources: in-toto/attestation, spec/v1/statement.md and resource_descriptor.md; SLSA v1.0, provenance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shipway import __version__
from shipway.oci import Descriptor, Digest
from shipway.oci.manifest import canonical

MEDIA_TYPE = "application/vnd.in-toto+json"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILDER = "https://github.com/shipway-dev/shipway"
BUILD_TYPE = f"{BUILDER}/blob/main/docs/images-inspect.md#build-record"

_STATEMENT = "https://in-toto.io/Statement/v1"


@dataclass(frozen=True, slots=True)
class Input:
    """Something that decided bytes of the image. ``uri`` names it for others: a package URL, a reference."""

    name: str  # "base", "lock", "source", "model digits:2", "Dockerfile"
    digest: Digest
    uri: str = ""


def provenance(name: str, image: Descriptor, inputs: Sequence[Input], parameters: Mapping[str, Any]) -> bytes:
    """The statement about the image of that name and digest.

    ``parameters`` (JSON-ready) are what the caller asked for: platform, compression, base. Paths of this machine do
    not belong there.
    """
    return canonical(
        {
            "_type": _STATEMENT,
            "subject": [{"name": name, "digest": _digest(image.digest)}],
            "predicateType": PREDICATE,
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": dict(parameters),
                    "resolvedDependencies": [
                        {"name": one.name, "digest": _digest(one.digest), **({"uri": one.uri} if one.uri else {})}
                        for one in inputs
                    ],
                },
                "runDetails": {"builder": {"id": BUILDER, "version": {"shipway": __version__}}},
            },
        }
    )


def _digest(digest: Digest) -> dict[str, str]:
    return {"sha256": digest.hex}
