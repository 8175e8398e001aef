"""``shipway models`` with 10,000 versions, of one model and of 1,000: the whole commands, and one version more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from bench.home import Home, home
from bench.quiet_hub import served
from bench.report import Figure
from shipway import home as keep
from shipway.clock import SystemClock, wall
from shipway.controllers import ModelController, Objects, Recorder
from shipway.controllers.model import Cause, judge_version
from shipway.jobs import Verdict
from shipway.journal.sqlite import SqliteJournal
from shipway.models import Lineage, Materials, Versions
from shipway.models.entries import Summary, summary
from shipway.oci import Descriptor, Layout
from shipway.settings import Settings
from shipway.store.notifying import NotifyingStore
from shipway.store.sqlite import SqliteStore

VERSIONS = 10_000
MODELS = 1_000
ONE = "digits"


def models(repeat: int) -> Iterator[Figure]:
    """Both ways to have that many versions, each in a home of its own."""
    with home() as place:
        _fill(place, [ONE], VERSIONS)
        with served(Settings(place.path)):
            yield _command(place, "models ls", f"{VERSIONS:,} versions of one model", repeat, 200)
            yield _command(place, "models ls digits", f"{VERSIONS:,} versions", repeat, 200)
            yield _command(place, "models show digits:7", f"one of {VERSIONS:,} versions", repeat, 200)
        more = tuple(asyncio.run(_one_more(place, repeat)))
        yield Figure(f"one version more beside {VERSIONS:,}: packed, judged, champion", "ms", more, 1000)
    with home() as place:
        _fill(place, [f"model-{number:04d}" for number in range(MODELS)], VERSIONS // MODELS)
        with served(Settings(place.path)):
            yield _command(place, "models ls", f"{VERSIONS:,} versions of {MODELS:,} models", repeat, 200)


def _command(place: Home, words: str, beside: str, repeat: int, bar: float) -> Figure:
    place.run(*words.split())  # warms the page cache, and the hub reads index.json
    samples = tuple(place.timed(*words.split()) * 1e3 for _ in range(repeat))
    return Figure(f"shipway {words}, {beside}", "ms", samples, bar)


def _fill(place: Home, names: list[str], each: int) -> None:
    """As so many jobs would: the versions share their bytes, and the index is written once, for the disk's sake."""
    where = Settings(place.path)
    keep.own(where)
    clock, layout = SystemClock(), Layout(where.oci)
    versions = Versions(layout, clock)
    versions.pack("template", _output(place.path), Lineage(origin="job", run="template-1", metrics={"accuracy": 0.97}))
    template = versions.numbers("template")[1]
    with layout.edit() as edit:
        entries = {
            f"{name}:{number}": _entry(template, name, number) for name in names for number in range(1, each + 1)
        }
        edit.index = replace(edit.index, manifests=tuple(_tagged(one, tag) for tag, one in entries.items()))
    with closing(NotifyingStore(SqliteStore(where.store, clock.now))) as store:
        objects = Objects(store)
        with closing(SqliteJournal(where.journal)) as journal:
            recorder = Recorder(journal, clock)
            controller = ModelController(objects, clock, versions, Materials(layout, where.cache), recorder)
            controller.mirror_all()
            asyncio.run(_mirror(controller, names))


def _entry(template: Descriptor, name: str, number: int) -> Descriptor:
    said = summary(template)
    assert said is not None
    metrics = {"accuracy": 0.5 + number % 1000 / 2000, "loss": 1 / number}
    run = f"{name}-0a1b2c3d-{number}"
    made: Summary = replace(said, run=run, fingerprint=f"sha256:{number:064x}", metrics=metrics)
    made = replace(made, created_at=wall() - timedelta(minutes=VERSIONS - number))
    return template.annotated(made.annotations("job"))


def _tagged(entry: Descriptor, tag: str) -> Descriptor:
    return entry.annotated({"org.opencontainers.image.ref.name": tag})


def _output(folder: Path) -> Path:
    output = folder / "output"
    output.mkdir()
    (output / "model.skops").write_bytes(b"weights")
    return output


async def _mirror(controller: ModelController, names: list[str]) -> None:
    for name in names:
        await controller.reconcile(name)


async def _one_more(place: Home, repeat: int) -> list[float]:
    """What the hub does at the end of a run, in a hub that has read the index."""
    where, clock = Settings(place.path), SystemClock()
    versions, samples = Versions(Layout(where.oci), clock), []
    versions.numbers(ONE)
    store, journal = NotifyingStore(SqliteStore(where.store, clock.now)), SqliteJournal(where.journal)
    with closing(store), closing(journal):
        objects, recorder = Objects(store), Recorder(journal, clock)
        for number in range(repeat):
            lineage = Lineage(
                origin="job", run=f"more-{number}", fingerprint=f"more-{number}", metrics={"accuracy": 1.0}
            )
            start = time.perf_counter()
            packed = await asyncio.to_thread(versions.pack, ONE, place.path / "output", lineage)
            verdict, cause = Verdict("passed", "accuracy 1"), Cause("bench")
            await judge_version(objects, recorder, versions, ONE, packed.number, verdict, cause, clock.now())
            samples.append((time.perf_counter() - start) * 1e3)
    return samples
