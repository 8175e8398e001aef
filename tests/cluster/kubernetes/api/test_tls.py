"""Certificates of both sides, over real connections."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shipway.cluster.kubernetes.api.login import Certificate, Certified, Fixed
from shipway.cluster.kubernetes.api.tls import Tls
from shipway.errors import ClusterUnreachable, UserError
from tests.cluster.kubernetes.api.scripted import says, served

VERSION = {"gitVersion": "v1.36.2"}


def certificate(host: str = "127.0.0.1", days: float = 1) -> Certificate:
    """Signed by itself; one that ended when ``days`` is negative."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    alternative: x509.GeneralName = x509.DNSName(host) if host[0].isalpha() else x509.IPAddress(ip_address(host))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Certificate(made.public_bytes(serialization.Encoding.PEM), pem)


def server(folder: Path, own: Certificate, clients: Certificate | None = None) -> ssl.SSLContext:
    path = folder / "server.pem"
    path.write_bytes(own.chain + own.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    if clients and b"BEGIN" in clients.chain:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients.chain.decode())
    return context


def asked(folder: Path, own: Certificate, tls: Tls, client: Certificate | None = None) -> str:
    login = Certified(Fixed(), lambda: client.chain, lambda: client.key) if client else Fixed()

    async def go() -> str:
        async with served(says(VERSION), context=server(folder, own, client)) as script, script.api(login, tls) as api:
            return await api.version()

    return asyncio.run(go())


def test_a_trusted_server_and_a_client_certificate(tmp_path: Path) -> None:
    own, client = certificate(), certificate()
    assert asked(tmp_path, own, Tls(own.chain), client) == "v1.36.2"


def test_a_certificate_for_another_name_is_taken_when_the_kubeconfig_says_so(tmp_path: Path) -> None:
    own = certificate("kubernetes")
    assert asked(tmp_path, own, Tls(own.chain, server_name="kubernetes")) == "v1.36.2"


def test_insecure_means_any_certificate(tmp_path: Path) -> None:
    assert asked(tmp_path, certificate("other", days=-1), Tls(insecure=True)) == "v1.36.2"


@pytest.mark.parametrize(
    "own, trusted, said, step",
    [
        (certificate(days=-1), None, "certificate has expired", "renews it"),
        (certificate("other"), None, "IP address mismatch", "tls-server-name"),
        (certificate(), certificate(), "self-signed certificate", "certificate-authority is of another cluster"),
    ],
    ids=["expired", "another host", "another authority"],
)
def test_a_server_that_cannot_be_trusted(
    tmp_path: Path, own: Certificate, trusted: Certificate | None, said: str, step: str
) -> None:
    with pytest.raises(ClusterUnreachable, match=rf"shows a certificate that is not trusted: .*{said}") as caught:
        asked(tmp_path, own, Tls((trusted or own).chain))
    assert step in caught.value.next_step


def test_what_is_no_certificate(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="certificate-authority is no PEM certificate"):
        asked(tmp_path, certificate(), Tls(b"nonsense"))
    with pytest.raises(UserError, match="the token of anna cannot be used"):
        asked(tmp_path, own := certificate(), Tls(own.chain), Certificate(b"nonsense", b"secret"))


def test_plain_http_where_tls_is_spoken(tmp_path: Path) -> None:
    async def go() -> None:
        async with served(says(VERSION)) as script:
            script.url = script.url.replace("http:", "https:")
            async with script.api() as api:
                with pytest.raises(ClusterUnreachable, match="no TLS connection"):
                    await api.version()

    asyncio.run(go())
