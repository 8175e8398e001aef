"""FakeStore, and the contract that every store keeps: ``check_store``."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from typing import TypeVar

from shipway.errors import Conflict, NotFound, ShipwayError
from shipway.kinds import Model, ModelJob, Object
from shipway.ports import Change, Store
from shipway.store import semantics
from shipway.store.semantics import RETENTION, Outcome

E = TypeVar("E", bound=ShipwayError)


class FakeStore:
    """:class:`shipway.ports.Store` in memory, for tests of whatever needs one."""

    def __init__(self, clock: Callable[[], datetime], *, retention: int = RETENTION) -> None:
        self._clock = clock
        self._retention = retention
        self._objects: dict[tuple[str, str], Object] = {}
        self._changes: list[Change] = []
        self._written = threading.Condition()

    def get(self, kind: str, name: str) -> Object:
        semantics.check_kind(kind)
        with self._written:
            return self._existing(kind, name)

    def list(self, kind: str | None = None) -> tuple[list[Object], int]:
        if kind is not None:
            semantics.check_kind(kind)
        with self._written:
            found = [obj for key, obj in sorted(self._objects.items()) if kind in (None, key[0])]
            return found, self._version()

    def texts(self, kind: str | None = None) -> tuple[Sequence[str], int]:
        found, version = self.list(kind)
        return [semantics.text(one) for one in found], version

    def put(self, obj: Object) -> Object:
        semantics.check_kind(obj.kind)
        with self._written:
            stored = self._objects.get(obj.key)
            return self._write(
                semantics.put(stored, obj, version=self._version() + 1, uid=str(uuid.uuid4()), now=self._clock())
            )

    def delete(self, kind: str, name: str) -> Object:
        semantics.check_kind(kind)
        with self._written:
            stored = self._existing(kind, name)
            return self._write(semantics.delete(stored, version=self._version() + 1, now=self._clock()))

    def watch(self, since: int, *, kind: str | None = None, wait: float = 0.0) -> Iterator[Change]:
        if kind is not None:
            semantics.check_kind(kind)
        return semantics.follow(
            partial(self._since, kind=kind), since, wait=wait, pause=self._pause, monotonic=time.monotonic
        )

    def close(self) -> None:
        """Nothing is held."""

    def _write(self, outcome: Outcome) -> Object:
        change = outcome.change
        if change is None:
            return outcome.result
        if change.type == "DELETED":
            del self._objects[change.object.key]
        else:
            self._objects[change.object.key] = change.object
        self._changes = [*self._changes, change][-self._retention :]
        self._written.notify_all()
        return outcome.result

    def _since(self, since: int, *, kind: str | None) -> tuple[Sequence[Change], int]:
        with self._written:
            oldest = self._changes[0].version if self._changes else 1
            semantics.check_since(since, oldest=oldest, newest=self._version())
            found = [one for one in self._changes if one.version > since and kind in (None, one.object.kind)]
            return found, self._version()

    def _pause(self, seconds: float) -> None:
        with self._written:
            self._written.wait(seconds)

    def _version(self) -> int:
        return self._changes[-1].version if self._changes else 0

    def _existing(self, kind: str, name: str) -> Object:
        if (kind, name) not in self._objects:
            raise semantics.no_such(kind, name)
        return self._objects[kind, name]


MakeStore = Callable[[], AbstractContextManager[Store]]


def check_store(make: MakeStore) -> None:
    """The whole contract of :class:`shipway.ports.Store`; ``make()`` gives an empty store for each check.

    A class of its own needs no context manager: ``check_store(lambda: closing(FakeStore(clock)))``.
    """
    for check in STORE_CHECKS:
        with make() as store:
            check(store)


def check_creation_sets_what_the_store_owns(store: Store) -> None:
    created = store.put(_model("a", description="first"))
    meta = created.metadata
    assert meta.generation == 1
    assert meta.resource_version > 0
    assert meta.uid
    assert meta.creation_timestamp is not None
    assert meta.creation_timestamp.tzinfo is not None
    assert meta.deletion_timestamp is None
    assert store.get("Model", "a") == created
    assert store.put(_model("b")).metadata.uid != meta.uid


def check_creation_ignores_what_the_store_owns(store: Store) -> None:
    moment = datetime.fromisoformat("2001-01-01T00:00:00+00:00")
    claimed = _with_meta(_model("a"), uid="mine", generation=9, creation_timestamp=moment, deletion_timestamp=moment)
    meta = store.put(claimed).metadata
    assert meta.uid != "mine"
    assert meta.generation == 1
    assert meta.creation_timestamp != moment
    assert meta.deletion_timestamp is None


def check_every_part_comes_back(store: Store) -> None:
    job = ModelJob.model_validate(
        {
            "metadata": {"name": "j", "labels": {"l": "1"}, "annotations": {"ä": "ü\u2028"}, "finalizers": ["f"]},
            "spec": {
                "command": ["python", "t.py"],
                "params": {"b": True, "i": 1, "f": 0.5, "s": "x"},
                "timeout": "90s",
            },
            "status": {"phase": "Failed", "metrics": {"loss": 1e308}, "tail": "line\nline"},
        }
    )
    store.put(job)
    found = store.get("ModelJob", "j")
    assert found.spec == job.spec
    assert found.status == job.status
    assert found.metadata.labels == {"l": "1"}
    assert found.metadata.annotations == {"ä": "ü\u2028"}
    assert found.metadata.finalizers == ("f",)


def check_changed_spec_raises_the_generation(store: Store) -> None:
    first = store.put(_model("a", description="first"))
    second = store.put(_described(first, "second"))
    assert second.metadata.generation == 2
    assert second.metadata.resource_version > first.metadata.resource_version
    assert second.metadata.uid == first.metadata.uid
    assert second.metadata.creation_timestamp == first.metadata.creation_timestamp
    assert store.get("Model", "a") == second


def check_changed_status_or_metadata_keeps_the_generation(store: Store) -> None:
    first = store.put(_model("a"))
    second = store.put(first.with_condition("Ready", "False", "NoVersions", "", _moment(first)))
    third = store.put(_with_meta(second, labels={"team": "vision"}))
    assert (second.metadata.generation, third.metadata.generation) == (1, 1)
    assert first.metadata.resource_version < second.metadata.resource_version < third.metadata.resource_version
    assert store.get("Model", "a") == third


def check_identical_object_is_not_written(store: Store) -> None:
    first = store.put(_model("a", description="same"))
    again = store.put(first)
    assert again == first
    assert store.list()[1] == first.metadata.resource_version
    assert list(store.watch(first.metadata.resource_version)) == []


def check_not_a_number_is_identical_to_itself(store: Store) -> None:
    job = ModelJob.model_validate({"metadata": {"name": "j"}, "spec": {"command": ["x"]}})
    diverged = job.model_copy(update={"status": job.status.model_copy(update={"metrics": {"loss": float("nan")}})})
    first = store.put(diverged)
    again = store.put(store.get("ModelJob", "j"))
    assert again.metadata.resource_version == first.metadata.resource_version


def check_replacing_needs_the_stored_version(store: Store) -> None:
    first = store.put(_model("a"))
    second = store.put(_described(first, "second"))
    error = _error(Conflict, lambda: store.put(_described(first, "late")))
    assert str(first.metadata.resource_version) in error.message
    assert str(second.metadata.resource_version) in error.message
    assert "Model" in error.message
    assert store.get("Model", "a") == second


def check_creating_twice_is_a_conflict(store: Store) -> None:
    first = store.put(_model("a"))
    error = _error(Conflict, lambda: store.put(_model("a")))
    assert "exists" in error.message
    assert str(first.metadata.resource_version) in error.message


def check_replacing_what_is_gone_is_not_found(store: Store) -> None:
    first = store.put(_model("a"))
    store.delete("Model", "a")
    _error(NotFound, lambda: store.put(first))
    assert store.put(_model("a")).metadata.uid != first.metadata.uid


def check_missing_things_are_not_found(store: Store) -> None:
    assert "absent" in _error(NotFound, lambda: store.get("Model", "absent")).message
    _error(NotFound, lambda: store.delete("Model", "absent"))
    _error(NotFound, lambda: store.get("Gizmo", "a"))
    assert "ModelJob" in _error(NotFound, lambda: store.list("Gizmo")).message
    _error(NotFound, lambda: store.delete("Gizmo", "a"))


def check_list_is_sorted_and_filtered(store: Store) -> None:
    assert store.list() == ([], 0)
    for obj in (_job("b"), _model("b"), _job("a"), _model("a")):
        last = store.put(obj)
    found, version = store.list()
    assert [obj.key for obj in found] == [("Model", "a"), ("Model", "b"), ("ModelJob", "a"), ("ModelJob", "b")]
    assert version == last.metadata.resource_version
    assert [obj.key for obj in store.list("ModelJob")[0]] == [("ModelJob", "a"), ("ModelJob", "b")]
    assert store.list("Model")[1] == version
    assert store.list("Route") == ([], version)


def check_texts_are_the_list_as_json(store: Store) -> None:
    assert store.texts() == ([], 0)
    store.put(_model("b", description="ü\u2028\n"))
    store.put(_job("a"))
    objects, version = store.list()
    texts, same = store.texts()
    assert same == version
    assert [json.loads(one) for one in texts] == [one.to_json() for one in objects]
    assert not any("\n" in one for one in texts), "a line each: they go into event streams"
    assert [json.loads(one)["kind"] for one in store.texts("ModelJob")[0]] == ["ModelJob"]
    store.delete("Model", "b")
    assert len(store.texts()[0]) == 1
    _error(NotFound, lambda: store.texts("Gizmo"))


def check_a_change_carries_its_text(store: Store) -> None:
    stored = store.put(_model("a", description="ü"))
    store.delete("Model", "a")
    assert [json.loads(one.text) for one in store.watch(0)] == [stored.to_json()] * 2


def check_delete_without_finalizers_removes(store: Store) -> None:
    created = store.put(_model("a"))
    removed = store.delete("Model", "a")
    assert removed.metadata.uid == created.metadata.uid
    assert removed.metadata.resource_version > created.metadata.resource_version
    assert store.list()[0] == []
    _error(NotFound, lambda: store.delete("Model", "a"))


def check_delete_waits_for_finalizers(store: Store) -> None:
    created = store.put(_with_meta(_model("a"), finalizers=("one", "two")))
    marked = store.delete("Model", "a")
    assert marked.metadata.deletion_timestamp is not None
    assert marked.metadata.generation == 1
    assert marked.metadata.resource_version > created.metadata.resource_version
    assert store.delete("Model", "a") == marked, "a second delete changes nothing"
    forged = _with_meta(marked, finalizers=("two",), deletion_timestamp=None)
    fewer = store.put(forged)
    assert fewer.metadata.deletion_timestamp == marked.metadata.deletion_timestamp, "nobody takes a deletion back"
    removed = store.put(_with_meta(fewer, finalizers=()))
    assert removed.metadata.resource_version > fewer.metadata.resource_version
    _error(NotFound, lambda: store.get("Model", "a"))


def check_losing_finalizers_while_alive_removes_nothing(store: Store) -> None:
    created = store.put(_with_meta(_model("a"), finalizers=("one",)))
    store.put(_with_meta(created, finalizers=()))
    assert store.get("Model", "a").metadata.finalizers == ()


def check_watch_tells_every_change_in_order(store: Store) -> None:
    first = store.put(_with_meta(_model("a"), finalizers=("f",)))
    second = store.put(_described(first, "second"))
    marked = store.delete("Model", "a")
    store.put(_with_meta(marked, finalizers=()))
    changes = list(store.watch(0))
    assert [one.type for one in changes] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
    assert [one.object for one in changes] == [first, second, marked, marked]
    versions = [one.version for one in changes]
    assert versions == sorted(set(versions))
    assert versions[:3] == [one.object.metadata.resource_version for one in changes[:3]]
    assert versions[-1] == store.list()[1]


def check_watch_starts_after_the_version(store: Store) -> None:
    store.put(_model("a"))
    _, version = store.list()
    store.put(_model("b"))
    assert [one.object.name for one in store.watch(version)] == ["b"]
    assert list(store.watch(store.list()[1])) == []


def check_watch_of_one_kind(store: Store) -> None:
    store.put(_model("a"))
    store.put(_job("b"))
    assert [one.object.kind for one in store.watch(0, kind="ModelJob")] == ["ModelJob"]
    _error(NotFound, lambda: list(store.watch(0, kind="Gizmo")))


def check_watch_waits_for_the_next_change(store: Store) -> None:
    store.put(_model("a"))
    _, version = store.list()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: next(store.watch(version, wait=10.0)))
        store.put(_model("b"))
        assert waiting.result(timeout=10).object.name == "b"


def check_watch_from_an_unknown_version_is_not_found(store: Store) -> None:
    store.put(_model("a"))
    error = _error(NotFound, lambda: list(store.watch(store.list()[1] + 1000)))
    assert "list again" in str(error).lower()


def check_threads_lose_no_update(store: Store) -> None:
    store.put(_model("a", description="0"))

    def count(times: int) -> None:
        while times:
            found = store.get("Model", "a")
            assert isinstance(found, Model)
            try:
                store.put(_described(found, str(int(found.spec.description) + 1)))
            except Conflict:
                continue
            times -= 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, [5] * 4))
    final = store.get("Model", "a")
    assert isinstance(final, Model)
    assert final.spec.description == "20"
    assert final.metadata.generation == 21


STORE_CHECKS: tuple[Callable[[Store], None], ...] = (
    check_creation_sets_what_the_store_owns,
    check_creation_ignores_what_the_store_owns,
    check_every_part_comes_back,
    check_changed_spec_raises_the_generation,
    check_changed_status_or_metadata_keeps_the_generation,
    check_identical_object_is_not_written,
    check_not_a_number_is_identical_to_itself,
    check_replacing_needs_the_stored_version,
    check_creating_twice_is_a_conflict,
    check_replacing_what_is_gone_is_not_found,
    check_missing_things_are_not_found,
    check_list_is_sorted_and_filtered,
    check_texts_are_the_list_as_json,
    check_a_change_carries_its_text,
    check_delete_without_finalizers_removes,
    check_delete_waits_for_finalizers,
    check_losing_finalizers_while_alive_removes_nothing,
    check_watch_tells_every_change_in_order,
    check_watch_starts_after_the_version,
    check_watch_of_one_kind,
    check_watch_waits_for_the_next_change,
    check_watch_from_an_unknown_version_is_not_found,
    check_threads_lose_no_update,
)


def _model(name: str, description: str = "") -> Model:
    return Model.model_validate({"metadata": {"name": name}, "spec": {"description": description}})


def _job(name: str) -> ModelJob:
    return ModelJob.model_validate({"metadata": {"name": name}, "spec": {"command": ["true"]}})


def _described(obj: Object, description: str) -> Object:
    return obj.model_copy(update={"spec": obj.spec.model_copy(update={"description": description})})


def _with_meta(obj: Object, **fields: object) -> Object:
    return obj.model_copy(update={"metadata": obj.metadata.model_copy(update=fields)})


def _moment(obj: Object) -> datetime:
    assert obj.metadata.creation_timestamp is not None
    return obj.metadata.creation_timestamp


def _error(cls: type[E], call: Callable[[], object]) -> E:
    try:
        call()
    except cls as error:
        return error
    raise AssertionError(f"{cls.__name__} was expected")
