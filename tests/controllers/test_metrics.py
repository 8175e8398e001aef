"""Metric lines of the contract, and their way into the journal."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from shipway.bundle import LogLine
from shipway.controllers.metrics import metrics_of_file, parse

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def line(text: str, stream: str = "stdout") -> LogLine:
    return LogLine(NOW, 0, stream, text)


def test_a_metric_line_has_points() -> None:
    points = parse(line('\x1eshipway-metrics {"metrics": {"a": 1, "b": 0.5, "c": null}, "step": 3}'), "J/x", "r")
    assert [(one.name, one.value, one.step, one.run) for one in points] == [("a", 1.0, 3, "r"), ("b", 0.5, 3, "r")]


@pytest.mark.parametrize(
    "text",
    [
        "accuracy 0.9",
        "\x1eshipway-metrics {",
        "\x1eshipway-metrics []",
        '\x1eshipway-metrics {"metrics": 3}',
        '\x1eshipway-metrics {"metrics": {"a": "x"}}',
        '\x1eshipway-metrics {"metrics": {"a": 1}, "step": "x"}',
        '\x1eshipway-metrics {"metrics": {"a": 1}, "step": Infinity}',
        '\x1eshipway-metrics {"metrics": {"a": 1}, "step": 99999999999999999999}',
        '\x1eshipway-metrics {"metrics": {"a": 1' + "0" * 400 + "}}",
    ],
)
def test_anything_else_is_log(text: str) -> None:
    assert parse(line(text), "J/x", "r") == []


def test_text_before_the_frame_does_not_hide_it() -> None:
    assert len(parse(line('half a line\x1eshipway-metrics {"metrics": {"a": 1}}'), "J/x", "r")) == 1


def test_stderr_is_no_metric() -> None:
    assert parse(line('\x1eshipway-metrics {"metrics": {"a": 1}}', "stderr"), "J/x", "r") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1, "b": "x", "c": 0.5}', {"a": 1.0, "c": 0.5}),
        ("[1]", {}),
        ("{", {}),
        ('{"a": NaN}', {}),
        ('{"a": 1' + "0" * 400 + "}", {}),
    ],
)
def test_a_metrics_file_counts(tmp_path: Path, text: str, expected: dict[str, float]) -> None:
    (tmp_path / "metrics.json").write_text(text)
    assert metrics_of_file(tmp_path) == expected


def test_no_metrics_file_is_no_error(tmp_path: Path) -> None:
    assert metrics_of_file(tmp_path) == {}
