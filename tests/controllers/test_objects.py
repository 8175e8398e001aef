"""Objects: the store's contract, the owners, and that no read is behind a write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shipway.controllers import Objects
from shipway.controllers.updates import find, update
from shipway.errors import Conflict, NotFound
from shipway.kinds import Model, ModelService, ModelServiceSpec, ObjectMeta, Revision, RevisionSpec
from shipway.ports import Change
from shipway.store.notifying import NotifyingStore
from shipway.store.sqlite import SqliteStore
from shipway.testing.clock import FakeClock
from shipway.testing.store import STORE_CHECKS, FakeStore


@pytest.mark.parametrize("check", STORE_CHECKS)
def test_it_is_a_store(check: Callable[[Objects], None]) -> None:
    with closing(Objects(NotifyingStore(FakeStore(FakeClock().now)))) as objects:
        check(objects)


@pytest.fixture
def store() -> NotifyingStore:
    return NotifyingStore(FakeStore(FakeClock().now, retention=20))


@pytest.fixture
def objects(store: NotifyingStore) -> Iterator[Objects]:
    with closing(Objects(store)) as made:
        yield made


def test_objects_are_found_by_their_owner(objects: Objects) -> None:
    for name, model in (("b", "digits:2"), ("a", "digits"), ("c", "iris")):
        objects.put(_service(name, model))
    assert [one.name for one in objects.of(ModelService, "digits")] == ["a", "b"]
    objects.put(_revision("a", 1))
    assert [one.name for one in objects.of(Revision, "a")] == ["a-00001"]
    assert objects.of(Revision, "b") == ()


def test_a_service_that_changes_its_model_changes_its_owner(objects: Objects) -> None:
    objects.put(_service("a", "digits"))
    spec = ModelServiceSpec(model="iris")
    update(objects, ModelService, "a", lambda one: one.model_copy(update={"spec": spec}))
    assert objects.of(ModelService, "digits") == ()
    assert [one.name for one in objects.of(ModelService, "iris")] == ["a"]
    objects.delete("ModelService", "a")
    assert objects.of(ModelService, "iris") == ()


def test_what_another_process_deleted_is_seen_after_our_own_try(store: NotifyingStore, objects: Objects) -> None:
    objects.put(_service("a", "digits"))
    assert objects.of(ModelService, "digits")
    store._inner.delete("ModelService", "a")
    with pytest.raises(NotFound):
        objects.delete("ModelService", "a")
    assert objects.of(ModelService, "digits") == ()


def test_what_the_api_writes_is_seen_by_the_next_read(store: NotifyingStore, objects: Objects) -> None:
    stored = store.put(_service("a", "digits"))
    assert objects.get("ModelService", "a") == stored
    assert objects.list("ModelService") == ([stored], stored.metadata.resource_version)
    store.delete("ModelService", "a")
    assert find(objects, ModelService, "a") is None


def test_after_more_writes_than_the_store_remembers(store: NotifyingStore, objects: Objects) -> None:
    for number in range(30):
        store.put(_service(f"s{number:02d}", "digits"))
    assert len(objects.of(ModelService, "digits")) == 30


def test_another_process_is_seen_with_the_conflict_that_it_causes(tmp_path: Path) -> None:
    with (
        closing(SqliteStore(tmp_path / "store.db", FakeClock().now)) as ours,
        closing(SqliteStore(tmp_path / "store.db", FakeClock().now)) as theirs,
        closing(Objects(NotifyingStore(ours))) as objects,
    ):
        objects.put(Model(metadata=ObjectMeta(name="m")))
        old = objects.get("Model", "m")
        theirs.put(_labelled(theirs.get("Model", "m"), "theirs"))
        with pytest.raises(Conflict):
            objects.put(_labelled(old, "ours"))
        assert objects.get("Model", "m").metadata.labels == {"by": "theirs"}


def test_a_read_that_failed_does_not_count_as_read() -> None:
    store = _Fails(FakeClock().now)
    with closing(Objects(NotifyingStore(store))) as objects:
        store.broken = True
        objects.put(_service("a", "digits"))
        with pytest.raises(OSError, match="disk"):
            objects.get("ModelService", "a")
        store.broken = False
        assert objects.of(ModelService, "digits")


class _Fails(FakeStore):
    broken = False

    def watch(self, since: int, *, kind: str | None = None, wait: float = 0.0) -> Iterator[Change]:
        if self.broken:
            raise OSError("the disk does not answer")
        return super().watch(since, kind=kind, wait=wait)


def _labelled(obj: object, by: str) -> Model:
    assert isinstance(obj, Model)
    return obj.model_copy(update={"metadata": obj.metadata.model_copy(update={"labels": {"by": by}})})


def _service(name: str, model: str) -> ModelService:
    return ModelService(metadata=ObjectMeta(name=name), spec=ModelServiceSpec(model=model))


def _revision(service: str, number: int) -> Revision:
    template = ModelServiceSpec(model="digits").template()
    spec = RevisionSpec(service=service, number=number, template=template, hash=f"sha256:{'0' * 64}")
    return Revision(metadata=ObjectMeta(name=f"{service}-{number:05d}"), spec=spec)
