"""How to trust an API server, and be known to it."""

from __future__ import annotations

import os
import ssl
import tempfile
from dataclasses import dataclass, field

from shipway.cluster.kubernetes.api.login import Certificate
from shipway.cluster.kubernetes.api.server import Server
from shipway.errors import UserError


@dataclass(frozen=True, slots=True)
class Tls:
    """``authorities``: PEM; empty: those that this machine trusts. ``server_name``: for whom the certificate must be,
    when that is not the URL's host."""

    authorities: bytes = field(default=b"", repr=False)
    insecure: bool = False
    server_name: str = ""


def context(wanted: Tls, certificate: Certificate | None, server: Server) -> ssl.SSLContext:
    """Raises UserError when the kubeconfig holds something else than certificates."""
    try:
        made = ssl.create_default_context(cadata=wanted.authorities.decode("ascii") or None)
    except (ssl.SSLError, ValueError) as error:
        raise UserError(
            f"{server}: the kubeconfig's certificate-authority is no PEM certificate: {error}",
            next_step="Get the kubeconfig anew.",
        ) from None
    if hasattr(ssl, "VERIFY_X509_STRICT"):
        # On by default since Python 3.13; authorities of many clusters lack the extensions that it insists on.
        made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if wanted.insecure:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if certificate:
        _load(made, certificate, server)
    return made


def _load(context: ssl.SSLContext, certificate: Certificate, server: Server) -> None:
    """OpenSSL takes them from files only: 0600, and gone before this returns."""
    descriptor, path = tempfile.mkstemp(prefix="shipway-")
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(certificate.chain + b"\n" + certificate.key)
        context.load_cert_chain(path)
    except ssl.SSLError as error:
        raise UserError(
            f"{server}: {server.identity} cannot be used: {error.reason or 'it is no PEM certificate with its key'}",
            next_step="Get the kubeconfig anew.",
        ) from None
    finally:
        os.unlink(path)  # noqa: PTH108
