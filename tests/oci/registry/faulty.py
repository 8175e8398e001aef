"""What the fault tests share: an artifact with everything in it, a client that does not wait, and what must hold."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from shipway.errors import RegistryBroken, RegistryRefused, RegistryUnreachable
from shipway.oci import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Descriptor, Index, Layout, Manifest
from shipway.oci.reference import Reference
from shipway.oci.registry.client import Registry
from shipway.oci.registry.credentials import Anonymous, Credentials
from shipway.oci.registry.limits import Limits
from shipway.oci.registry.transport import Pace
from shipway.testing.registry import FakeRegistry

REPOSITORY = "team/digits"
LAYERS = (100, 5_000, 60_000)  # bytes: one with its PUT, one in a single range, one in several
LIMITS = Limits(part=10_000, small=1_000, attempts=4)
OURS = (RegistryBroken, RegistryRefused, RegistryUnreachable)


async def _at_once(seconds: float) -> None:
    """Waits for nobody."""


HASTY = Pace(sleep=_at_once, chance=lambda: 0.5)


@dataclass(frozen=True, slots=True)
class Artifact:
    """An index of two manifests over the same layers, in a layout of its own."""

    layout: Layout
    root: Descriptor
    layers: tuple[Descriptor, ...]

    def into(self, registry: FakeRegistry, tag: str = "1") -> None:
        """Put all of it into a registry, without a request."""
        for blob in self.layers:
            registry.add_blob(REPOSITORY, self.layout.read_blob(blob))
        registry.add_blob(REPOSITORY, EMPTY_CONFIG_BYTES)
        index = self.layout.read_index(self.root)
        for one in index.manifests:
            registry.add_manifest(REPOSITORY, self.layout.read_blob(one), media_type=one.media_type)
        registry.add_manifest(REPOSITORY, self.layout.read_blob(self.root), media_type=self.root.media_type, tag=tag)

    def is_in(self, layout: Layout) -> bool:
        """Whether all of it is there, byte for byte."""
        needed = [self.root, *self.layout.read_index(self.root).manifests, *self.layers]
        return all(layout.has_blob(one) and layout.read_blob(one) == self.layout.read_blob(one) for one in needed)

    def is_at(self, registry: FakeRegistry, tag: str = "1") -> bool:
        """Whether the registry has all of it under that tag, byte for byte."""
        manifests = self.layout.read_index(self.root).manifests
        return (
            registry.manifest(REPOSITORY, tag) == self.layout.read_blob(self.root)
            and all(registry.manifest(REPOSITORY, one.digest) == self.layout.read_blob(one) for one in manifests)
            and all(registry.blob(REPOSITORY, one.digest) == self.layout.read_blob(one) for one in self.layers)
        )


def artifact(folder: Path, sizes: tuple[int, ...] = LAYERS, seed: int = 5) -> Artifact:
    """A new one; its layers are noise."""
    layout, noise = Layout(folder), random.Random(seed)
    layout.put_blob(EMPTY_CONFIG_BYTES)
    layers = tuple(layout.put_blob(noise.randbytes(size)) for size in sizes)
    manifests = tuple(
        layout.put_manifest(Manifest(EMPTY_CONFIG, layers, f"application/vnd.test.{one}")) for one in "ab"
    )
    return Artifact(layout, layout.put_index(Index(manifests)), layers)


def reference(registry: FakeRegistry | str, tag: str = "1") -> Reference:
    host = registry if isinstance(registry, str) else registry.host
    return Reference.parse(f"{host}/{REPOSITORY}:{tag}")


@asynccontextmanager
async def client(limits: Limits = LIMITS, credentials: Credentials | None = None) -> AsyncIterator[Registry]:
    async with Registry(credentials or Anonymous(), limits=limits, pace=HASTY) as registry:
        yield registry


async def pull(
    registry: FakeRegistry | str, layout: Layout, limits: Limits = LIMITS, credentials: Credentials | None = None
) -> Descriptor:
    async with client(limits, credentials) as asking:
        with layout.lease("test") as lease:
            return await asking.pull(reference(registry), layout, lease)


async def push(
    registry: FakeRegistry | str, what: Artifact, limits: Limits = LIMITS, credentials: Credentials | None = None
) -> None:
    async with client(limits, credentials) as asking:
        await asking.push(what.layout, what.root, reference(registry))


def nothing_is_wrong(layout: Layout) -> None:
    """Each blob that can be seen is what its name says, and nothing was tagged."""
    for blob in (layout.root / "blobs" / "sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    assert not layout.tags()


def is_clear(error: Exception) -> None:
    """One error of ours, that says what and what to do."""
    assert isinstance(error, OURS), repr(error)
    assert error.message and error.next_step and "Traceback" not in str(error)
