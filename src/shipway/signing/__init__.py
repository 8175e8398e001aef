"""Signatures of artifacts in the sigstore bundle format, made and checked with a key pair. No network, no files.

A signature is a bundle (v0.3) around a DSSE envelope around an in-toto statement whose subject is the artifact's
digest: what ``cosign sign --key`` writes, and ``cosign verify --key`` reads. It is kept as a referrer of the artifact.
"""

from __future__ import annotations

from shipway.signing.bundle import BUNDLE_TYPE, CONTENT, LARGEST, PREDICATE, Bundle, sign
from shipway.signing.keys import PrivateKey, PublicKey, is_encrypted
from shipway.signing.verdict import Finding, Standing, Verdict, judge

__all__ = [
    "BUNDLE_TYPE",
    "CONTENT",
    "LARGEST",
    "PREDICATE",
    "Bundle",
    "Finding",
    "PrivateKey",
    "PublicKey",
    "Standing",
    "Verdict",
    "is_encrypted",
    "judge",
    "sign",
]
