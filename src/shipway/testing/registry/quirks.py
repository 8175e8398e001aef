"""How this registry differs from others that keep the specification as well, or almost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class Quirks:
    """All of one registry's habits; the defaults are those of a registry that keeps distribution-spec v1.1.1."""

    ranges: bool = True
    """Answers a ranged GET of a blob with 206; without: 200 and the whole of it."""
    location: Literal["absolute", "relative"] = "absolute"
    """How it names an upload; both forms carry a query that has to come back."""
    patch_status: int = 202
    """What it answers to a chunk; Amazon's ECR says 201."""
    chunk_min_length: int = 0
    """Bytes that every chunk but the last must have, told as OCI-Chunk-Min-Length; 0: any."""
    keeps_broken_chunks: bool = True
    """Keeps what came of a chunk that broke off; without: forgets the upload, as Docker's registry 2.8 does."""
    single_post: bool = True
    """Takes a whole blob with one POST ?digest=; without: 202, an ordinary upload."""
    mounts: bool = True
    """Mounts blobs of other repositories; without: 202, an ordinary upload."""
    referrers: bool = True
    """Has the referrers API; without: 404, and no OCI-Subject."""
    filters: bool = True
    """Filters referrers by artifactType itself, and says so in OCI-Filters-Applied."""
    says_subject: bool = True
    """Answers OCI-Subject when a manifest with a subject was put."""
    deletes: bool = True
    """Deletes manifests, tags and blobs; without: 405."""
    redirects: bool = False
    """Sends whoever wants a blob to another host (with 307), which refuses requests that carry Authorization."""
    warning: str = ""
    """The text of a ``Warning: 299`` on every answer."""
    page: int = 1000
    """Tags or referrers that one answer lists at most."""
    largest_manifest: int = 4 * MEBIBYTE
    """Bytes; a larger one is refused with 413. ``FakeRegistry.add_manifest`` takes any."""


PLAIN = Quirks()
"""Keeps the specification in all."""
