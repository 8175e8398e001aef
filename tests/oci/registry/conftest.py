"""What holds for all tests of the client: it speaks HTTP with this machine, and loads no certificates for that."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def _no_certificates() -> Iterator[None]:
    """Reading the machine's hundreds of certificates would take longer than most of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", os.devnull)
        yield
