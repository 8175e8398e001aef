"""Artifacts with random damage, pulled: an error of ours or a whole artifact, and never a wrong blob."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.errors import Corrupt, Refused
from shipway.oci import Index, Layout, Manifest
from shipway.oci.manifest import INDEX_TYPE, MANIFEST_TYPE
from shipway.oci.registry.client import Registry
from shipway.oci.registry.credentials import Anonymous
from shipway.testing.registry import FakeRegistry
from tests.oci.registry.faulty import (
    HASTY,
    LIMITS,
    OURS,
    REPOSITORY,
    Artifact,
    artifact,
    is_clear,
    nothing_is_wrong,
    reference,
)
from tests.oci.registry.mutations import documents, pieces


@dataclass(frozen=True, slots=True)
class Stage:
    """One registry and one client for all examples: a loop that is run now and then."""

    registry: FakeRegistry
    asking: Registry
    runner: asyncio.Runner
    made: Artifact

    def pulled(self) -> None:
        """Pull whatever the tag names now, and look at what is left."""
        folder = Path(tempfile.mkdtemp())
        try:
            layout = Layout(folder)
            try:
                self.runner.run(self._pull(layout))
            except OURS as error:
                is_clear(error)
            nothing_is_wrong(layout)
        finally:
            shutil.rmtree(folder)

    async def _pull(self, layout: Layout) -> None:
        with layout.lease("test") as lease:
            descriptor = await self.asking.pull(reference(self.registry), layout, lease, referrers=True)
            layout.tag(descriptor, "1")
            with suppress(Corrupt, Refused):  # of a kind that we only keep
                assert isinstance(layout.read_artifact(layout.resolve("1")), Manifest | Index)
            layout.untag("1")
            for tag in list(layout.tags()):
                layout.untag(tag)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = artifact(tmp_path_factory.mktemp("made"), (100, 3_000))
    with FakeRegistry() as registry, asyncio.Runner() as runner:
        asking = Registry(Anonymous(), limits=LIMITS, pace=HASTY)
        runner.run(asking.__aenter__())
        made.into(registry)
        yield Stage(registry, asking, runner, made)
        runner.run(asking.__aexit__())


def few(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, derandomize=True, database=None)


TYPES = st.sampled_from((MANIFEST_TYPE, INDEX_TYPE, "text/plain", ""))


@pytest.mark.slow
@few(15)
@given(st.data())
def test_damaged_manifests(stage: Stage, data: st.DataObject) -> None:
    _damaged_manifest(stage, data)


@pytest.mark.thorough
@few(250)
@given(st.data())
def test_many_damaged_manifests(stage: Stage, data: st.DataObject) -> None:
    _damaged_manifest(stage, data)


def _damaged_manifest(stage: Stage, data: st.DataObject) -> None:
    index = stage.made.layout.read_index(stage.made.root)
    good = stage.made.layout.read_blob(index.manifests[0] if data.draw(st.booleans()) else stage.made.root)
    bad = data.draw(documents(json.loads(good)))
    own = MANIFEST_TYPE if b'"layers"' in good else INDEX_TYPE
    stage.registry.add_manifest(REPOSITORY, bad, tag="1", media_type=data.draw(st.just(own) | TYPES))
    stage.pulled()


@pytest.mark.slow
@few(10)
@given(st.data())
def test_damaged_content_under_a_good_name(stage: Stage, data: st.DataObject) -> None:
    _damaged_content(stage, data)


@pytest.mark.thorough
@few(120)
@given(st.data())
def test_much_damaged_content_under_a_good_name(stage: Stage, data: st.DataObject) -> None:
    _damaged_content(stage, data)


def _damaged_content(stage: Stage, data: st.DataObject) -> None:
    made, registry = stage.made, stage.registry
    made.into(registry)
    what = data.draw(st.sampled_from((*made.layers, *made.layout.read_index(made.root).manifests)))
    bad = data.draw(pieces(made.layout.read_blob(what)))
    if what in made.layers:
        registry.add_blob(REPOSITORY, bad, digest=what.digest)
    else:
        registry.add_manifest(REPOSITORY, bad, media_type=what.media_type, digest=what.digest)
    stage.pulled()


@pytest.mark.slow
@few(10)
@given(st.data())
def test_damaged_lists_of_referrers(stage: Stage, data: st.DataObject) -> None:
    made, registry = stage.made, stage.registry
    made.into(registry)
    list_ = json.loads(Index(made.layout.read_index(made.root).manifests).to_bytes())
    bad = data.draw(documents(list_))
    registry.add_manifest(REPOSITORY, bad, tag=f"sha256-{made.root.digest.hex}", media_type=INDEX_TYPE)
    stage.pulled()
