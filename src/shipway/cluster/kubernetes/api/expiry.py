"""Until when a credential says that it holds. Pure; nothing is verified here."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

from shipway.cluster.kubernetes.api.login import Credential


def of_token(token: str) -> datetime | None:
    """When a JWT ends (RFC 7519, exp); None for what is no JWT, or has no end."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


def of(credential: Credential) -> datetime | None:
    """When the token or the client certificate ends, whichever comes first."""
    ends = [of_token(credential.header.removeprefix("Bearer "))]
    if credential.certificate:
        ends.append(_of_certificate(credential.certificate.chain))
    return min((one for one in ends if one), default=None)


def _of_certificate(chain: bytes) -> datetime | None:
    # Here, for it takes 30 ms, and only who is refused needs it.
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(chain).not_valid_after_utc
    except ValueError:
        return None
