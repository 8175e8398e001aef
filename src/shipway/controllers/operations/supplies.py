"""Being written by JOBS: see ports.Supplies. app.py makes it with these arguments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shipway.oci import Layout
from shipway.oci.registry.client import Registry


class HomeSupplies:
    """See :class:`shipway.ports.Supplies`."""

    def __init__(self, layout: Layout, registry: Callable[[bool], Registry], cache: Path) -> None: ...

    async def send(self, digest: str, repository: str) -> str:
        raise NotImplementedError

    async def fetch(self, reference: str) -> Path:
        raise NotImplementedError
