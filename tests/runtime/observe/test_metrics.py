"""What is counted, and how it reads."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import pytest

from shipway.runtime.server.observe import process
from shipway.runtime.server.observe.exposition import Family, Page
from shipway.runtime.server.observe.histogram import SECONDS, Histogram
from shipway.runtime.server.observe.metrics import Metrics, ModelMetrics
from shipway.runtime.server.refusals import Reason

_LINE = re.compile(r"[a-z_]+(?:\{[^\n]*\})? [0-9.e+-]+")


@dataclass
class Work:
    """A scheduler's load that a test sets."""

    rows: int = 0
    seconds: float = 0.0
    capacity: int = 1
    offered: float = 0.0


class Clock:
    """A clock that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def _value(text: str, start: str) -> float:
    (line,) = [line for line in text.splitlines() if line.startswith(start + " ")]
    return float(line.rsplit(" ", 1)[1])


def test_a_value_on_a_bound_counts_below_it_and_the_last_bucket_has_all() -> None:
    histogram = Histogram((1, 2))
    for value in (0, 1, 1.5, 2, 3):
        histogram.add(value)
    assert list(histogram.samples()) == [
        ("_bucket", {"le": "1"}, 2),
        ("_bucket", {"le": "2"}, 4),
        ("_bucket", {"le": "+Inf"}, 5),
        ("_sum", {}, 7.5),
        ("_count", {}, 5),
    ]


def test_samples_of_a_family_stand_together_below_one_head() -> None:
    page, one, other = Page(), Family("a", "gauge", "A."), Family("b", "counter", "B.")
    page.add(one, 1, {"x": "1"})
    page.add(other, 2)
    page.add(one, 0.1, {"x": "2"})
    assert page.text() == '# HELP a A.\n# TYPE a gauge\na{x="1"} 1\na{x="2"} 0.10000000000000001\n' + (
        "# HELP b B.\n# TYPE b counter\nb 2\n"
    )


def test_labels_are_escaped() -> None:
    page = Page()
    page.add(Family("a", "gauge", "A."), 1, {"x": 'quote " back \\ line\nend'})
    assert page.text().splitlines()[-1] == r'a{x="quote \" back \\ line\nend"} 1'


def test_every_model_has_its_lines_and_keeps_its_counts_when_it_is_gone() -> None:
    metrics, work = Metrics(), Work(rows=7, seconds=0.5)

    def load() -> Work:
        return work

    digits, iris = metrics.of("digits", "1"), metrics.of("iris", "2")
    digits.opened("onnx", load)
    iris.opened("scikit-learn", load)
    digits.ended("http", 200, 0.003)
    digits.ended("grpc", "OK", 0.003)
    iris.ended("http", 503, 0.001)
    text = metrics.render(ready=True)
    assert _value(text, 'shipway_requests_total{model="digits",version="1",protocol="http",code="200"}') == 1
    assert _value(text, 'shipway_requests_total{model="digits",version="1",protocol="grpc",code="OK"}') == 1
    assert _value(text, 'shipway_requests_total{model="iris",version="2",protocol="http",code="503"}') == 1
    assert _value(text, 'shipway_model_info{model="digits",version="1",format="onnx"}') == 1
    assert _value(text, 'shipway_queued_rows{model="digits",version="1"}') == 7
    assert _value(text, 'shipway_ready{model="digits",version="1"}') == 1
    digits.closed(load)
    text = metrics.render(ready=True)
    assert metrics.of("digits", "1") is digits
    assert 'shipway_model_info{model="digits"' not in text
    assert _value(text, 'shipway_ready{model="digits",version="1"}') == 0
    assert _value(text, 'shipway_requests_total{model="digits",version="1",protocol="http",code="200"}') == 1
    assert _value(metrics.render(ready=False), 'shipway_ready{model="iris",version="2"}') == 0


def test_what_ends_late_does_not_close_what_was_opened_after_it() -> None:
    metrics = ModelMetrics("digits", "1")

    def first() -> Work:
        return Work()

    def second() -> Work:
        return Work()

    metrics.opened("onnx", first)
    metrics.opened("onnx", second)
    metrics.closed(first)
    page = Page()
    metrics.render(page, ready=True)
    assert _value(page.text(), 'shipway_ready{model="digits",version="1"}') == 1


def test_requests_for_models_that_are_not_there_make_one_line() -> None:
    metrics = Metrics()
    for _ in range(3):
        metrics.nobodys.ended("http", 404, 0.001)
    text = metrics.render(ready=True)
    assert _value(text, 'shipway_requests_total{model="",version="",protocol="http",code="404"}') == 3


def test_what_was_given_up_is_told_apart() -> None:
    metrics = Metrics()
    digits = metrics.of("digits", "1")
    for reason, count in ((Reason.CANCELLED, 1), (Reason.EXPIRED, 2), (Reason.OVERLOADED, 3)):
        for _ in range(count):
            digits.dropped(reason, 0.1)
    digits.restarted()
    text = metrics.render(ready=True)
    labels = 'model="digits",version="1"'
    assert _value(text, f"shipway_cancelled_total{{{labels}}}") == 1
    assert _value(text, f"shipway_expired_total{{{labels}}}") == 2
    assert _value(text, f'shipway_shed_total{{{labels},reason="overloaded"}}') == 3
    assert _value(text, f"shipway_worker_restarts_total{{{labels}}}") == 1


def test_phases_of_the_start_are_told_once() -> None:
    metrics = Metrics(clock := Clock(), born=999.0)
    digits = metrics.of("digits", "1")
    digits.opened("onnx", Work)
    digits.reached("open", 1003.0)
    clock.now = 1005.0
    digits.computed(1, 0.1)
    clock.now = 1009.0
    digits.computed(1, 0.1)
    digits.reached("open", 1010.0)
    text = metrics.render(ready=True)
    for phase, seconds in (("import", 1), ("open", 4), ("first-answer", 6)):
        assert _value(text, f'shipway_cold_start_seconds{{model="digits",version="1",phase="{phase}"}}') == seconds


@pytest.mark.parametrize("instances", [1, 4])
@pytest.mark.parametrize("busy", [0.1, 1.0, 2.5])
def test_utilisation_is_work_asked_for_over_what_can_be_done(instances: int, busy: float) -> None:
    metrics, work = ModelMetrics("m", "1", clock := Clock()), Work(capacity=instances)
    metrics.opened("onnx", lambda: work)
    for _ in range(300):  # half a minute
        clock.now += 0.1
        work.offered += 0.1 * busy * instances
        metrics.computed(1, 0.1)
    assert math.isclose(metrics.utilisation(), busy, rel_tol=0.05)
    clock.now += 5  # then nothing
    assert math.isclose(metrics.utilisation(), busy / 2, rel_tol=0.15)
    clock.now += 20
    assert metrics.utilisation() == 0


def test_utilisation_after_a_long_pause_is_that_of_the_last_seconds() -> None:
    metrics, work = ModelMetrics("m", "1", clock := Clock()), Work()
    metrics.opened("onnx", lambda: work)
    clock.now += 10_000
    for _ in range(100):
        clock.now += 0.1
        work.offered += 0.05
        metrics.computed(1, 0.05)
    assert math.isclose(metrics.utilisation(), 0.5, rel_tol=0.11)


def test_the_process_has_its_standard_names() -> None:
    page = Page()
    process.render(page)
    text = page.text()
    assert _value(text, "process_resident_memory_bytes") > 2**20
    assert 0 < _value(text, "process_open_fds") <= _value(text, "process_max_fds")
    assert _value(text, "process_cpu_seconds_total") > 0
    assert all(_LINE.fullmatch(line) for line in text.splitlines() if not line.startswith("#"))
    assert len(SECONDS) == len(set(SECONDS))


@pytest.mark.extras
def test_a_strict_parser_reads_it() -> None:
    from prometheus_client.parser import text_string_to_metric_families

    metrics, name = Metrics(), 'we"ird\\name\n'
    weird = metrics.of(name, "1")
    weird.opened("onnx", Work)
    for seconds in (0.0, 0.002, 0.3, 99.0):
        weird.ended("http", 200, seconds)
        weird.waited(seconds)
        weird.computed(3, seconds)
        weird.decoded(10, seconds)
        weird.encoded(10, seconds)
    metrics.include(process.render)
    families = {one.name: one for one in text_string_to_metric_families(metrics.render(ready=True))}
    requests = families["shipway_requests"].samples
    assert [(one.labels["model"], one.value) for one in requests] == [(name, 4.0)]
    duration = families["shipway_request_duration_seconds"]
    buckets = [one.value for one in duration.samples if one.name.endswith("_bucket")]
    assert buckets == sorted(buckets)
    assert (buckets[-1], duration.type) == (4.0, "histogram")
    assert all(one.documentation for one in families.values())
