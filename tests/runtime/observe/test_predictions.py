"""The prediction log: which requests, when they are dropped, and what the server says of it. Files: test_files.py."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from shipway.runtime.errors import ModelRefused
from shipway.runtime.server.observe.exposition import Page
from shipway.runtime.server.observe.predictions.files import Outcome
from shipway.runtime.server.observe.predictions.log import PredictionLog, make_prediction_log
from shipway.runtime.server.observe.predictions.prediction import Prediction, position
from shipway.runtime.server.observe.request import Observed
from shipway.runtime.server.settings import PredictionLog as Block
from shipway.runtime.server.settings import Server, Settings
from tests.runtime.observe.seen import seen


class Kept:
    """A store in memory, which fails and waits when it is told to."""

    def __init__(self) -> None:
        self.all: list[Prediction] = []
        self.trouble: Exception | None = None
        self.open = threading.Event()
        self.open.set()

    def add(self, predictions: Sequence[Prediction], now: float) -> Outcome:
        assert self.open.wait(20)
        if self.trouble is not None:
            return Outcome(0, self.trouble)
        self.all += predictions
        return Outcome(len(predictions))


def _counts(log: PredictionLog) -> Mapping[str, int]:
    page = Page()
    log.render(page)
    lines = [line.split() for line in page.text().splitlines() if not line.startswith("#")]
    return {name.removeprefix("shipway_predictions_"): int(value) for name, value in lines}


def _logged(*requests: Observed, sample: float = 1.0, redact: Sequence[str] = ()) -> list[Prediction]:
    store = Kept()
    log = PredictionLog(store, sample, redact, wall=lambda: 1_700_000_000.010)
    for one in requests:
        log.take(one)
    log.close()
    return store.all


def test_it_has_what_was_asked_and_answered() -> None:
    (one,) = _logged(seen(id_="a", parameters={"t": 0.5}))
    assert (one.time, one.id, one.model, one.version, one.status) == (1_700_000_000.0, "a", "digits", "1", 200)
    assert one.milliseconds == pytest.approx(10)
    assert one.parameters == {"t": 0.5}
    assert one.inputs["x"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert one.outputs["y"].tolist() == [1, 2]


def test_what_is_logged_is_a_copy() -> None:
    shared = np.zeros((2, 3))
    request = seen({"x": shared}, {"y": shared})
    (one,) = _logged(request)
    shared[:] = 7  # shared memory goes to the next request
    assert not one.inputs["x"].any()
    assert not one.outputs["y"].any()


def test_a_share_is_taken_and_it_is_the_same_in_two_servers() -> None:
    ids = [f"request-{number}" for number in range(2000)]
    few = {one.id for one in _logged(*(seen(id_=id_, version="1") for id_ in ids), sample=0.1)}
    same = {one.id for one in _logged(*(seen(id_=id_, version="2") for id_ in ids), sample=0.1)}
    more = {one.id for one in _logged(*(seen(id_=id_) for id_ in ids), sample=0.3)}
    assert few == same
    assert few < more
    assert 150 < len(few) < 250


def test_the_hash_is_the_documented_one() -> None:
    assert position("abc") == int(hashlib.sha256(b"abc").hexdigest()[:16], 16) / 2**64


def test_the_id_of_the_body_counts_and_else_the_header_and_else_one_is_made() -> None:
    header = {"x-request-id": "head"}
    ids = [one.id for one in _logged(seen(id_="body", headers=header), seen(headers=header), seen(), seen())]
    assert ids[:2] == ["body", "head"]
    assert len(set(ids)) == 4
    assert len(ids[3]) == 32


def test_redacted_names_are_left_out_everywhere() -> None:
    tensors = {"x": np.zeros((1, 1)), "ssn": np.zeros((1, 1))}
    (one,) = _logged(seen(tensors, tensors, parameters={"ssn": 1, "t": 2}), redact=["ssn"])
    assert (list(one.inputs), list(one.outputs), one.parameters) == (["x"], ["x"], {"t": 2})


def test_a_failed_request_is_logged_without_outputs_and_one_that_was_not_understood_is_not() -> None:
    unclear = Observed("http", "POST", "/predict", {}, 0.0, code=400)
    failed = seen(code="INTERNAL", protocol="grpc")
    late = seen(code="DEADLINE_EXCEEDED", protocol="grpc")
    fine = seen(code="OK", protocol="grpc")
    assert [(one.status, list(one.outputs)) for one in _logged(unclear, failed, late, fine)] == [
        (500, []),
        (504, []),
        (200, ["y"]),
    ]


def test_what_the_ring_has_no_room_for_is_dropped_and_counted() -> None:
    store = Kept()
    store.open.clear()
    log = PredictionLog(store, 1.0, ring=10 * seen_size())
    for _ in range(100):
        log.take(seen())
    waiting = 100 - _counts(log)['dropped_total{reason="full"}']
    assert 10 <= waiting <= 20
    store.open.set()
    log.close()
    assert len(store.all) == waiting == _counts(log)["logged_total"]


def seen_size() -> int:
    return _logged(seen())[0].size


def test_a_full_disk_is_said_once_and_counted_and_over_when_it_is_over(capfd: pytest.CaptureFixture[str]) -> None:
    store = Kept()
    store.trouble = OSError(28, "No space left on device")
    log = PredictionLog(store, 1.0)
    for one in ([seen()], [seen(), seen()]):
        log._keep([_logged(request)[0] for request in one])
    store.trouble = None
    log.take(seen(id_="after"))
    log.close()
    assert [one.id for one in store.all] == ["after"]
    assert _counts(log) == {"logged_total": 1, 'dropped_total{reason="full"}': 0, 'dropped_total{reason="disk"}': 3}
    assert capfd.readouterr().err == (
        "shipway: the prediction log drops requests: [Errno 28] No space left on device\n"
    )


def test_it_is_written_while_the_server_runs() -> None:
    store = Kept()
    log = PredictionLog(store, 1.0, every=0.01)

    async def run() -> None:
        log.take(seen())
        while not store.all:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(run(), 20))
    log.close()


def test_without_a_folder_the_server_does_not_start() -> None:
    settings = Settings(server=Server(prediction_log=Block(sample=0.5)))
    with pytest.raises(ModelRefused, match=r"predictionLog.sample is 0.5, and SHIPWAY_DATA_DIR"):
        make_prediction_log(settings)


@pytest.mark.extras
def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(server=Server(prediction_log=Block(sample=0.5)), data_dir=tmp_path / "file")
    with pytest.raises(ModelRefused, match=r"file/predictions: Not a directory"):
        make_prediction_log(settings)
