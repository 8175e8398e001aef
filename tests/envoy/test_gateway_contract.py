from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shipway.ports import Gateway
from shipway.testing.gateway import FakeGateway, check_gateway
from tests.envoy.stage import envoy


@asynccontextmanager
async def fake_gateway() -> AsyncIterator[Gateway]:
    yield FakeGateway()


@asynccontextmanager
async def envoy_gateway() -> AsyncIterator[Gateway]:
    async with envoy() as one:
        yield one.gateway


def test_the_fake_keeps_the_contract() -> None:
    check_gateway(fake_gateway)


@pytest.mark.slow
def test_envoy_keeps_the_contract() -> None:
    check_gateway(envoy_gateway)
