"""Signatures go where their version goes, and a pull may ask for one. The real client; a registry of this process."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shipway.controllers.operations.requests import PullRequest, PushRequest
from shipway.controllers.operations.signatures import Signatures
from shipway.errors import Refused, UserError
from shipway.oci.encrypted import Encrypted
from shipway.signing import PrivateKey, judge, sign
from shipway.testing.registry import FakeRegistry
from tests.controllers.operations.conftest import Home

KEY, OTHER = PrivateKey.generate(), PrivateKey.generate()
WEIGHTS = b"weights" * 1000


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as made:
        yield made


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def other(tmp_path: Path) -> Home:
    return Home(tmp_path / "other")


async def signed(home: Home, *keys: PrivateKey) -> str:
    """A version of digits with these signatures; its digest."""
    await home.trained(model_onnx=WEIGHTS)
    signatures = Signatures(home.parts)
    digest = str((await signatures.listed("digits", "1"))["digest"])
    for key in keys:
        await signatures.attach("digits", "1", sign(digest, key, home.clock.now()), "ada")
    return digest


async def push(home: Home, registry: FakeRegistry) -> None:
    asked = PushRequest(reference=f"{registry.host}/team/digits")
    await home.transfers.push("digits", "1", asked, "ada", home.report)


async def pull(home: Home, registry: FakeRegistry, **options: Any) -> None:
    asked = PullRequest(reference=f"{registry.host}/team/digits:1", **options)
    await home.transfers.pull("digits", asked, "bob", home.report)


async def bundles(home: Home) -> list[bytes]:
    found = await Signatures(home.parts).listed("digits", "1")
    return [base64.b64decode(one) for one in found["signatures"]]


def test_signatures_come_along(home: Home, other: Home, registry: FakeRegistry) -> None:
    async def run() -> None:
        digest = await signed(home, KEY, OTHER)
        await push(home, registry)
        await pull(other, registry)
        assert sorted(await bundles(other)) == sorted(await bundles(home))
        for key in (KEY, OTHER):
            assert judge(digest, await bundles(other), key.public).trusted

    asyncio.run(run())


def test_a_pull_that_asks_for_a_signature_takes_no_other(home: Home, other: Home, registry: FakeRegistry) -> None:
    async def run() -> None:
        await signed(home, OTHER)
        await push(home, registry)
        with pytest.raises(Refused, match="is not signed with the key"):
            await pull(other, registry, key=KEY.public.to_pem().decode())
        assert other.versions.numbers("digits") == {}
        assert [reason for reason, _ in other.ledger()] == []
        await pull(other, registry, key=OTHER.public.to_pem().decode(), referrers=False)
        assert list(other.versions.numbers("digits")) == [1]

    asyncio.run(run())


def test_a_pull_refuses_what_nobody_signed(home: Home, other: Home, registry: FakeRegistry) -> None:
    async def run() -> None:
        await signed(home)
        await push(home, registry)
        with pytest.raises(Refused, match="has no signature"):
            await pull(other, registry, key=KEY.public.to_pem().decode())
        with pytest.raises(UserError, match="the public key cannot be read"):
            await pull(other, registry, key="nonsense")

    asyncio.run(run())


def test_encrypted_homes_push_and_pull_the_same_bytes(tmp_path: Path, registry: FakeRegistry) -> None:
    """Each under its own key; the registry between them has plain blobs."""
    home, other = (Home(tmp_path / str(byte), Encrypted(bytes([byte]) * 32)) for byte in (1, 2))

    async def run() -> None:
        digest = await signed(home, KEY)
        await push(home, registry)
        await pull(other, registry, key=KEY.public.to_pem().decode())
        assert other.versions.numbers("digits")[1].digest == digest
        for one in (home, other):
            verified = await one.transfers.verify("digits", "1", one.report)
            assert verified["damage"] == []
            assert not [path for path in one.layout.root.rglob("*") if path.is_file() and WEIGHTS in path.read_bytes()]

    asyncio.run(run())
