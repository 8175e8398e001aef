"""Verdict: what the bundles that lie beside an artifact are worth to somebody with a public key. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shipway.errors import Refused, UserError
from shipway.signing.bundle import PREDICATE, Bundle
from shipway.signing.keys import PublicKey


class Standing(StrEnum):
    """What one bundle is."""

    GOOD = "good"
    OTHER_KEY = "otherKey"  # it names another key: who holds that may have signed
    TAMPERED = "tampered"  # it names this key, which did not sign it
    OTHER_DIGEST = "otherDigest"  # signed by this key, for another artifact
    OTHER_STATEMENT = "otherStatement"  # signed by this key, and says something else
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One bundle, judged. ``signed_at`` (RFC 3339) is what the signer says, and only told when the signature holds."""

    standing: Standing
    said: str
    key: str = ""  # the hint of the key that it names
    signed_at: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"standing": str(self.standing), "said": self.said, "key": self.key, "signedAt": self.signed_at}


@dataclass(frozen=True, slots=True)
class Verdict:
    """All signatures of one artifact, judged with one key."""

    digest: str
    key: str  # the hint of the key
    findings: tuple[Finding, ...]

    @property
    def trusted(self) -> bool:
        """One good signature is enough: anybody can put others beside it."""
        return any(one.standing is Standing.GOOD for one in self.findings)

    @property
    def lines(self) -> tuple[str, ...]:
        """For people: each signature, or that there is none."""
        return tuple(one.said for one in self.findings) or (f"not signed: {self.digest} has no signature",)

    def require(self, what: str) -> None:
        """Raises Refused, with the reasons, unless ``what`` (a version, a reference) is signed with the key."""
        if self.trusted:
            return
        raise Refused(
            f"{what} is not signed with the key {self.key}: {'; '.join(self.lines)}",
            next_step="Use the public key of whoever signed it, or have it signed: shipway models sign.",
        )

    def to_json(self) -> Mapping[str, Any]:
        """``{digest, key, trusted, signatures: [{standing, said, key, signedAt}]}``."""
        signatures = [one.to_json() for one in self.findings]
        return {"digest": self.digest, "key": self.key, "trusted": self.trusted, "signatures": signatures}


def judge(digest: str, bundles: Iterable[bytes], key: PublicKey) -> Verdict:
    """What each bundle that was found beside the artifact of that digest is worth; good ones first."""
    findings = [_judged(digest, data, key) for data in bundles]
    return Verdict(digest, key.hint, tuple(sorted(findings, key=lambda one: one.standing is not Standing.GOOD)))


def _judged(digest: str, data: bytes, key: PublicKey) -> Finding:
    try:
        bundle = Bundle.from_bytes(data)
        if not bundle.signed_by(key):
            return _not_by(bundle, key)
        return _signed(bundle, digest, key)
    except UserError as error:
        return Finding(Standing.UNREADABLE, f"a signature cannot be read: {error.message}")


def _not_by(bundle: Bundle, key: PublicKey) -> Finding:
    if bundle.keyless:
        return Finding(Standing.OTHER_KEY, "signed with a certificate, which only cosign can check, not with this key")
    if bundle.hint == key.hint:
        return Finding(
            Standing.TAMPERED, f"tampered with: it names the key {key.hint}, which did not sign it", key.hint
        )
    named = f"the key {bundle.hint}" if bundle.hint else "another key"
    return Finding(Standing.OTHER_KEY, f"signed with {named}, not with the key {key.hint}", bundle.hint)


def _signed(bundle: Bundle, digest: str, key: PublicKey) -> Finding:
    if bundle.predicate_type != PREDICATE:  # by the same key, but it may say the contrary of trust
        said = f"the key {key.hint} signed something else about it ({bundle.predicate_type})"
        return Finding(Standing.OTHER_STATEMENT, said, key.hint)
    if digest not in bundle.digests:
        said = f"the key {key.hint} signed another artifact: {', '.join(bundle.digests)}"
        return Finding(Standing.OTHER_DIGEST, said, key.hint)
    at = bundle.signed_at
    when = f" at {at} (by the signer's clock)" if at else ""
    return Finding(Standing.GOOD, f"signed with the key {key.hint}{when}", key.hint, at)
