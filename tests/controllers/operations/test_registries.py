"""Versions go to a registry and come from one: the real client, and a registry in this process that fails as told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from shipway.controllers import ModelController
from shipway.controllers.operations.requests import PullRequest, PushRequest, RemoteVerifyRequest
from shipway.errors import Conflict, NotFound, Refused, RegistryBroken, RegistryRefused, UserError
from shipway.models import Materials
from shipway.oci import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Manifest
from shipway.testing.registry import Basic, ChangedBytes, Drop, FakeRegistry, Hang, ServerError
from tests.controllers.operations.conftest import Home

pytestmark = pytest.mark.slow  # each some 0.2 s: a registry begins and ends, and blobs are flushed to the disk

FILES = {"model_onnx": b"weights" * 1000, "labels_txt": b"a\nb\n"}
PICKLE = {"model_pkl": b"\x80\x04\x95" + bytes(10)}


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as made:
        yield made


async def push(home: Home, registry: FakeRegistry, ref: str = "champion", to: str = "", **options: Any) -> Any:
    asked = PushRequest(reference=to or f"{registry.host}/team/digits", **options)
    return await home.transfers.push("digits", ref, asked, "ada", home.report)


async def pull(home: Home, registry: FakeRegistry, name: str = "digits", what: str = "", **options: Any) -> Any:
    asked = PullRequest(reference=what or f"{registry.host}/team/digits:1", **options)
    return await home.transfers.pull(name, asked, "bob", home.report)


async def moved(home: Home, other: Home, registry: FakeRegistry, **files: bytes) -> Any:
    """Trained here, pushed, pulled there."""
    await home.trained(**(files or FILES))
    await push(home, registry)
    return await pull(other, registry)


def test_a_push_is_tagged_pinned_and_written_down(home: Home, registry: FakeRegistry) -> None:
    async def run() -> None:
        await home.trained(**FILES)
        pushed = await push(home, registry, also_tag=("prod",))
        digest = home.versions.numbers("digits")[1].digest
        assert pushed["reference"] == f"{registry.host}/team/digits:1@{digest}"
        assert registry.tags("team/digits") == {"1": digest, "prod": digest}
        version = home.model().version("1")
        assert version is not None and version.pushed == (pushed["reference"],)
        [data] = [data for reason, data in home.ledger() if reason == "Pushed"]
        assert (data["reference"], data["by"]) == (pushed["reference"], "ada")

    asyncio.run(run())


def test_pushed_again_nothing_travels(home: Home, registry: FakeRegistry) -> None:
    async def run() -> None:
        await home.trained(**FILES)
        await push(home, registry)
        registry.forget()
        home.reports.clear()
        await push(home, registry)
        assert registry.requests("PATCH").received + registry.requests("POST").received == 0
        assert registry.requests("PUT", "*/blobs/*").received == 0
        assert home.notes() and set(home.notes()) == {"there already"}

    asyncio.run(run())


def test_only_the_file_that_changed_travels(home: Home, registry: FakeRegistry) -> None:
    async def run() -> None:
        await home.trained(model_onnx=bytes(1 << 20), labels_txt=b"a\n")
        await push(home, registry)
        await home.trained(model_onnx=bytes(1 << 20), labels_txt=b"b\n")
        registry.forget()
        await push(home, registry, ref="latest")
        assert registry.requests().received < 64 * 1024

    asyncio.run(run())


def test_pulled_it_is_the_same_version_with_the_lineage_of_its_maker(
    home: Home, other: Home, registry: FakeRegistry
) -> None:
    async def run() -> None:
        await other.trained("scale", model_onnx=b"another model")
        made = await moved(home, other, registry)
        assert (made["version"], made["there"], made["champion"], made["format"]) == (1, False, True, "onnx")
        assert made["digest"] == home.versions.numbers("digits")[1].digest
        version = other.model().version("1")
        assert version is not None and (version.origin, version.trusted) == ("pulled", False)
        assert other.versions.lineage("digits", 1) == home.versions.lineage("digits", 1)
        data = dict(other.ledger())["Pulled"]
        assert (data["reference"], data["by"]) == (f"{registry.host}/team/digits:1@{made['digest']}", "bob")
        assert (await other.transfers.verify("digits", "1", other.report))["damage"] == []

    asyncio.run(run())


def test_pulled_again_it_is_the_version_that_it_was(home: Home, other: Home, registry: FakeRegistry) -> None:
    async def run() -> None:
        first = await moved(home, other, registry)
        registry.forget()
        assert await pull(other, registry) == {**first, "there": True}
        assert registry.requests("GET", "*/blobs/*").sent == 0
        assert [reason for reason, _ in other.ledger()].count("Pulled") == 1

    asyncio.run(run())


def test_under_another_name_it_is_a_version_of_that(home: Home, registry: FakeRegistry) -> None:
    async def run() -> None:
        await home.trained(**FILES)
        await push(home, registry)
        assert (await pull(home, registry))["there"]
        made = await pull(home, registry, "copy")
        assert (made["name"], made["version"], made["there"]) == ("copy", 1, False)
        copied = home.model("copy").version("1")
        assert copied is not None and copied.origin == "pulled"

    asyncio.run(run())


def test_a_model_keeps_its_champion_unless_it_is_told(home: Home, other: Home, registry: FakeRegistry) -> None:
    async def run() -> None:
        await other.trained(model_onnx=b"its own")
        made = await moved(home, other, registry)
        assert (made["version"], made["champion"]) == (2, False)
        assert other.model().status.aliases == {"latest": 2, "champion": 1}
        made = await pull(other, registry, tags=("champion", "prod"))
        assert (made["there"], made["champion"]) == (True, True)
        assert other.model().status.aliases == {"latest": 2, "champion": 2, "prod": 2}

    asyncio.run(run())


def test_a_pickle_is_adopted_and_trusted_only_when_somebody_says_so(
    home: Home, other: Home, registry: FakeRegistry
) -> None:
    async def run() -> None:
        await moved(home, other, registry, **PICKLE)
        version = other.model().version("1")
        assert version is not None and (version.format, version.trusted) == ("sklearn-joblib", False)
        await pull(other, registry, trust=True)
        await pull(other, registry, trust=True)
        version = other.model().version("1")
        assert version is not None and version.trusted
        assert [data["by"] for reason, data in other.ledger() if reason == "Trusted"] == ["bob"]

    asyncio.run(run())


def test_what_is_no_model_is_refused_and_leaves_no_trace(home: Home, registry: FakeRegistry) -> None:
    registry.add_blob("team/digits", EMPTY_CONFIG_BYTES)
    registry.add_manifest("team/digits", Manifest(EMPTY_CONFIG, (), "text/x-poem").to_bytes(), tag="1")
    with pytest.raises(Refused):
        asyncio.run(pull(home, registry))
    assert (home.ledger(), home.layout.tags()) == ([], {})


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("digits", "is not a registry"),
        ("r.example/Digits", "not a repository"),
        ("r.example/digits@sha256:" + "0" * 64, "names a digest"),
        ("r.example/digits:-", "not a tag"),
    ],
)
def test_a_wrong_reference_is_told_before_anything_travels(home: Home, to: str, said: str) -> None:
    async def run() -> None:
        await home.trained(**FILES)
        with FakeRegistry() as registry, pytest.raises(UserError, match=said):
            await push(home, registry, to=to)

    asyncio.run(run())


def test_a_wrong_further_tag_is_told_before_anything_travels(home: Home, registry: FakeRegistry) -> None:
    async def run() -> None:
        await home.trained(**FILES)
        with pytest.raises(UserError, match="not a tag"):
            await push(home, registry, also_tag=("a b",))
        assert len(registry.requests()) == 0

    asyncio.run(run())


def test_what_is_not_there_is_told(home: Home, registry: FakeRegistry) -> None:
    with pytest.raises(NotFound, match="there is no model"):
        asyncio.run(push(home, registry))
    with pytest.raises(NotFound, match=r"there is no .*/team/digits:1"):
        asyncio.run(pull(home, registry))
    with pytest.raises(Refused, match="latest"):
        asyncio.run(pull(home, registry, tags=("latest",)))


def test_who_may_not_is_told_and_nothing_is_written_down(home: Home) -> None:
    async def run() -> None:
        await home.trained(**FILES)
        with FakeRegistry(auth=Basic("ada", "secret")) as registry, pytest.raises(RegistryRefused) as error:
            await push(home, registry)
        assert "secret" not in str(error.value)
        assert [reason for reason, _ in home.ledger()] == ["ChampionMoved"]

    asyncio.run(run())


def test_a_pull_that_breaks_resumes_and_is_never_half_a_version(
    home: Home, other: Home, registry: FakeRegistry
) -> None:
    async def run() -> None:
        await home.trained(model_onnx=bytes(4 << 20))
        await push(home, registry)
        trap = registry.fail(Hang(after=1 << 20), method="GET", path="*/blobs/*", times=None)
        task = asyncio.create_task(pull(other, registry))
        await asyncio.to_thread(registry.wait, lambda: registry.requests("GET", "*/blobs/*").sent >= 1 << 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert other.versions.numbers("digits") == {}
        trap.lift()
        made = await pull(other, registry)
        assert (made["version"], made["there"]) == (1, False)
        assert (await other.transfers.verify("digits", "1", other.report))["damage"] == []

    asyncio.run(run())


def test_a_push_that_is_cancelled_has_no_tag_and_the_next_one_is_whole(home: Home, registry: FakeRegistry) -> None:
    async def run() -> None:
        await home.trained(model_onnx=bytes(8 << 20))
        trap = registry.fail(Hang(after=1 << 20, of="request"), path="*/blobs/uploads/*")
        task = asyncio.create_task(push(home, registry))
        await asyncio.to_thread(registry.wait, lambda: registry.requests().received >= 1 << 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert registry.tags("team/digits") == {}
        assert "Pushed" not in dict(home.ledger())
        trap.lift()
        await push(home, registry)
        assert set(registry.tags("team/digits")) == {"1"}

    asyncio.run(run())


def test_a_push_goes_on_through_a_break(home: Home, registry: FakeRegistry) -> None:
    async def run() -> None:
        await home.trained(**FILES)
        registry.fail(ServerError(), method="POST", times=1)
        registry.fail(Drop(), method="HEAD", times=1)
        await push(home, registry)
        assert set(registry.tags("team/digits")) == {"1"}

    asyncio.run(run())


def test_a_registry_that_lies_gives_no_version(home: Home, other: Home, registry: FakeRegistry) -> None:
    async def run() -> None:
        await home.trained(**FILES)
        await push(home, registry)
        registry.fail(ChangedBytes(), method="GET", path="*/blobs/*")
        with pytest.raises(RegistryBroken):
            await pull(other, registry)
        assert other.versions.numbers("digits") == {}

    asyncio.run(run())


def test_a_model_that_is_being_deleted_gets_nothing(home: Home, other: Home, registry: FakeRegistry) -> None:
    async def run() -> None:
        await moved(home, other, registry)
        model = other.model()
        finalized = model.metadata.model_copy(update={"finalizers": ("shipway.dev/workloads",)})
        other.store.put(model.model_copy(update={"metadata": finalized}))
        other.store.delete("Model", "digits")
        with pytest.raises(Conflict):
            await pull(other, registry)

    asyncio.run(run())


def test_what_a_registry_holds_is_verified_without_keeping_it(home: Home, other: Home, registry: FakeRegistry) -> None:
    async def run() -> None:
        await home.trained(**FILES)
        pushed = await push(home, registry)
        asked = RemoteVerifyRequest(reference=f"{registry.host}/team/digits:1")
        found = await other.transfers.verify_remote(asked, other.report)
        assert (found["digest"], found["damage"]) == (pushed["digest"], [])
        assert list((other.layout.root / "blobs" / "sha256").iterdir()) == []
        assert not [one for one in other.layout.root.iterdir() if one.name.startswith("scratch-")]
        registry.fail(ChangedBytes(), method="GET", path="*/blobs/*")
        with pytest.raises(RegistryBroken):
            await other.transfers.verify_remote(asked, other.report)

    asyncio.run(run())


def test_beside_the_models_controller_the_champion_moves_once_and_by_who_asked(
    home: Home, other: Home, registry: FakeRegistry
) -> None:
    async def run() -> None:
        materials = Materials(other.layout, other.folder / "cache")
        controller = ModelController(other.store, other.clock, other.versions, materials, other.recorder)
        await home.trained(**FILES)
        await push(home, registry)
        pulling = asyncio.create_task(pull(other, registry))
        while not pulling.done():
            await controller.reconcile("digits")
            await asyncio.sleep(0)
        await controller.reconcile("digits")
        assert [data["by"] for reason, data in other.ledger() if reason == "ChampionMoved"] == ["bob"]

    asyncio.run(run())
