"""TLS, proxies and redirects, with real certificates on a real socket."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shipway.errors import RegistryBroken, RegistryRefused, RegistryUnreachable
from shipway.oci import Digest
from shipway.oci.reference import Reference
from shipway.oci.registry import Anonymous, Registry
from shipway.oci.registry.transport import Transport
from tests.oci.registry.faulty import HASTY, LIMITS, artifact

MANIFEST = b'{"schemaVersion":2,"layers":[]}'
TYPE = "application/vnd.oci.image.manifest.v1+json"

Answering = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody signed but itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a registry")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.public_bytes(pem) + private)
    return path


@asynccontextmanager
async def serving(answer: Answering, certificate: Path | None = None) -> AsyncIterator[str]:
    """A server for the length of the block; its host and port."""
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def manifest(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=MANIFEST, content_type=TYPE)


def ask(answer: Answering, certificate: Path | None = None, *, plain_http: bool | None = None) -> Digest:
    """The digest of what a registry that answers so has as ``a:1``."""

    async def run() -> Digest:
        async with (
            serving(answer, certificate) as host,
            Registry(Anonymous(), plain_http=plain_http, limits=LIMITS, pace=HASTY) as registry,
        ):
            return (await registry.manifest(Reference.parse(f"{host}/a:1")))[0].digest

    return asyncio.run(run())


def test_an_authority_of_ones_own_is_named_by_the_environment(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert ask(manifest, certificate, plain_http=False) == Digest.of(MANIFEST)


def test_who_nobody_vouches_for_is_refused_at_once(certificate: Path) -> None:
    with pytest.raises(RegistryRefused, match="its certificate is not trusted") as refused:
        ask(manifest, certificate, plain_http=False)
    assert "SSL_CERT_FILE" in refused.value.next_step


def test_tls_is_spoken_with_everybody_but_this_machine() -> None:
    def base(host: str, plain_http: bool | str | None = None) -> str:
        return Transport(Anonymous(), LIMITS, plain_http=plain_http).base(host)

    assert base("ghcr.io") == "https://ghcr.io" and base("10.0.0.1:5000") == "https://10.0.0.1:5000"
    assert base("localhost:5000") == "http://localhost:5000" and base("[::1]:5000") == "http://[::1]:5000"
    assert base("localhost") == "http://localhost" and base("[::1]") == "http://[::1]"
    assert base("10.0.0.1:5000", "10.0.0.1:5000") == "http://10.0.0.1:5000"
    assert base("ghcr.io", "10.0.0.1:5000") == "https://ghcr.io" and base("localhost", "h") == "http://localhost"
    assert base("10.0.0.1:5000", True) == "http://10.0.0.1:5000"
    assert base("localhost:5000", False) == "https://localhost:5000"
    assert base("docker.io") == "https://registry-1.docker.io"


def test_https_is_never_left(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def leave(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": f"http://{request.host}/plain?signature=secret"})

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(RegistryBroken, match="leads from https to http") as broken:
        ask(leave, certificate, plain_http=False)
    assert "secret" not in str(broken.value)


def test_an_upload_is_not_sent_where_tls_ends(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def begin(request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "POST":
            return web.Response(status=202, headers={"Location": f"http://{request.host}/upload"})
        return web.Response(status=404)

    async def run() -> None:
        made = artifact(tmp_path / "made")
        async with (
            serving(begin, certificate) as host,
            Registry(Anonymous(), plain_http=False, limits=LIMITS, pace=HASTY) as registry,
        ):
            await registry.push(made.layout, made.root, Reference.parse(f"{host}/a:1"))

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(RegistryBroken, match="leads from https to http"):
        asyncio.run(run())


def test_nobody_there_is_said_with_the_address() -> None:
    async def run() -> None:
        async with serving(manifest) as host:
            pass
        async with Registry(Anonymous(), limits=LIMITS, pace=HASTY) as registry:
            await registry.resolve(Reference.parse(f"{host}/a:1"))

    with pytest.raises(
        RegistryUnreachable, match=r"HEAD http://127.0.0.1:\d+/v2/a/manifests/1: cannot connect: Connection refused"
    ):
        asyncio.run(run())


def test_what_is_no_http_is_said() -> None:
    async def garble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 smtp.example ESMTP\r\n\r\n")
        await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(garble, "127.0.0.1", 0)
        async with server, Registry(Anonymous(), limits=LIMITS, pace=HASTY) as registry:
            port = server.sockets[0].getsockname()[1]
            await registry.resolve(Reference.parse(f"127.0.0.1:{port}/a:1"))

    with pytest.raises(RegistryUnreachable, match="the connection broke") as failed:
        asyncio.run(run())
    assert len(failed.value.message) < 700


def test_a_proxy_is_asked_for_others_and_not_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def proxy(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(str(request.url))
        return await manifest(request)

    async def run() -> None:
        async with serving(proxy) as there, serving(manifest) as here:
            monkeypatch.setenv("http_proxy", f"http://{there}")
            async with Registry(Anonymous(), plain_http=True, limits=LIMITS, pace=HASTY) as registry:
                await registry.manifest(Reference.parse("registry.corp.example/a:1"))
                await registry.manifest(Reference.parse(f"{here}/a:1"))

    asyncio.run(run())
    assert len(asked) == 1


def test_an_error_holds_no_secret_and_no_more_than_a_limit_of_the_answer() -> None:
    async def refuse(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=403, body=b"x" * 1_000_000, headers={"Set-Cookie": "session=secret"})

    with pytest.raises(RegistryRefused) as refused:
        ask(refuse)
    assert "secret" not in str(refused.value) and len(str(refused.value)) < 500
