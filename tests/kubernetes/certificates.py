"""Certificates of a control plane that lives as long as a test run: its authority, the server's, the users'."""

from __future__ import annotations

import base64
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAYS = 30


def _name(common: str, groups: tuple[str, ...] = ()) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, common)])


class Authority:
    """Files in ``folder``: ca, server, one pair per user, and the key that signs tokens of ServiceAccounts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self) -> None:
        """The authority's own files and the server's; what is there stays."""
        if self._path("ca", "crt").exists():
            return
        self._folder.mkdir(parents=True, mode=0o700)
        key = self._new_key("ca")
        authority = self._builder(_name("shipway test authority"), key.public_key(), _name("shipway test authority"))
        authority = authority.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self._write("ca", authority.sign(key, hashes.SHA256()))
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        names_of_server = x509.SubjectAlternativeName(names)
        self._issue("server", _name("kube-apiserver"), ExtendedKeyUsageOID.SERVER_AUTH, names_of_server)
        self._new_key("service-account")

    def kubeconfig(self, url: str, user: str, groups: tuple[str, ...]) -> dict[str, Any]:
        """With everything inside of it; makes the user's certificate."""
        self._issue(user, _name(user, groups), ExtendedKeyUsageOID.CLIENT_AUTH)
        identity = {
            "client-certificate-data": self._data(user, "crt"),
            "client-key-data": self._data(user, "key"),
        }
        cluster = {"server": url, "certificate-authority-data": self._data("ca", "crt")}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": identity}],
            "contexts": [{"name": user, "context": {"cluster": "test", "user": user}}],
            "current-context": user,
        }

    def tls(self, user: str) -> ssl.SSLContext:
        """A client's context with the user's certificate."""
        context = ssl.create_default_context(cafile=str(self._path("ca", "crt")))
        context.load_cert_chain(self._path(user, "crt"), self._path(user, "key"))
        return context

    def _issue(
        self, stem: str, subject: x509.Name, usage: x509.ObjectIdentifier, *extensions: x509.ExtensionType
    ) -> None:
        authority = x509.load_pem_x509_certificate(self._path("ca", "crt").read_bytes())
        signer = serialization.load_pem_private_key(self._path("ca", "key").read_bytes(), None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        builder = self._builder(subject, self._new_key(stem).public_key(), authority.subject)
        for extension in (x509.ExtendedKeyUsage([usage]), *extensions):
            builder = builder.add_extension(extension, critical=False)
        self._write(stem, builder.sign(signer, hashes.SHA256()))

    @staticmethod
    def _builder(subject: x509.Name, key: ec.EllipticCurvePublicKey, issuer: x509.Name) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - timedelta(minutes=5)).not_valid_after(now + timedelta(days=_DAYS))

    def _new_key(self, stem: str) -> ec.EllipticCurvePrivateKey:
        key = ec.generate_private_key(ec.SECP256R1())
        form = serialization.PrivateFormat.TraditionalOpenSSL  # the one that the API server takes for tokens' keys
        path = self._path(stem, "key")
        path.touch(mode=0o600)
        path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
        return key

    def _write(self, stem: str, certificate: x509.Certificate) -> None:
        self._path(stem, "crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _path(self, stem: str, suffix: str) -> Path:
        return self._folder / f"{stem}.{suffix}"

    def _data(self, stem: str, suffix: str) -> str:
        return base64.b64encode(self._path(stem, suffix).read_bytes()).decode()
