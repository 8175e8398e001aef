"""One version that takes any bundle, ``digits:1``; others are not there."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from shipway.errors import NotFound
from tests.api.fake_transfers import DIGEST


class FakeSignatures:
    def __init__(self) -> None:
        self.bundles: list[bytes] = []

    async def listed(self, name: str, ref: str) -> Mapping[str, Any]:
        return {**_version(name), "signatures": [base64.b64encode(one).decode() for one in self.bundles]}

    async def attach(self, name: str, ref: str, data: bytes, by: str) -> Mapping[str, Any]:
        self.bundles.append(data)
        return {**_version(name), "referrer": DIGEST}


def _version(name: str) -> dict[str, Any]:
    if name != "digits":
        raise NotFound(f"there is no model {name!r}")
    return {"name": name, "version": 1, "digest": DIGEST}
