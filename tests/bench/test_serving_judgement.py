"""From samples to verdicts and to a page."""

from __future__ import annotations

import math
import re
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from bench.home import ROOT
from bench.machine import Machine
from bench.serving import report
from bench.serving.cases import batching, digits, floor, grpc, image, start
from bench.serving.environments import PINS, Environment
from bench.serving.profile import parse, table
from bench.serving.samples import Sample, percentile, spread, summary
from bench.serving.verdicts import Findings, Table, Verdict

MACHINE = Machine("AMD EPYC", 2, 24 * 10**9, "Linux 6.1 x86_64", "CPython 3.11.7", {}, 0.5)
DAY = date(2026, 1, 2)


def sample(rate: float, p50: float = 1.0, p99: float = 2.0, wrong: int = 0) -> Sample:
    return Sample(round(rate), 1.0, p50, p99, wrong)


def test_percentiles_are_values_that_were_seen() -> None:
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile(range(1, 101), 0.99) == 99
    assert percentile([5], 0.99) == 5
    assert math.isnan(percentile([], 0.5))


def test_rounds_are_summed_up_by_their_median_and_mistakes_are_not_lost() -> None:
    found = summary([sample(100), sample(300, wrong=1), sample(200, wrong=2)])
    assert (found.rate, found.wrong) == (200, 3)
    assert spread([90, 100, 120]) == pytest.approx(0.3)


def values(findings: Findings) -> list[tuple[float, bool]]:
    return [(one.value, one.met) for one in findings.verdicts]


def test_digits_are_held_against_the_rival_with_the_most_throughput() -> None:
    records = {
        "Shipway": digits.Record(closed=[sample(8000, p99=10)], memory=[8e7], ready=[0.5]),
        "MLServer": digits.Record("worker", [sample(1000, p99=90)], [2e8], [3.0]),
        "KServe": digits.Record("", [sample(900, p99=9)], [2e8], [3.0]),
    }
    found = digits.judge(records, "ONNX")
    assert values(found) == [(8.0, True), (10 / 90, False)]
    assert found.tables[0].rows[1][:3] == ("MLServer (worker)", "1000", "8.0")


def test_the_floor_is_a_share_and_a_difference() -> None:
    found = {
        "Shipway": floor.Record([sample(8000)], [sample(7000, wrong=1)], [sample(1, p50=0.3)]),
        "bare granian handler": floor.Record([sample(24000)], [sample(20000)], [sample(1, p50=0.1)]),
    }
    findings = floor.judge(found, [0.06])
    assert findings.tables[0].rows[0][-1] == "1"
    share, added = findings.verdicts
    assert share.value == pytest.approx(100 / 3)
    assert added.value == pytest.approx(0.14)
    assert share.met and added.met


def test_grpc_is_held_against_the_better_rival() -> None:
    samples = {"Shipway": [sample(3000)], "MLServer": [sample(500)], "KServe": [sample(1000)]}
    assert values(grpc.judge(samples)) == [(3.0, True)]


def test_an_image_counts_by_the_cpu_of_a_request() -> None:
    found = image.judge({"Shipway": [sample(900)], "KServe": [sample(9)]}, {"Shipway": [4.0], "KServe": [80.0]}, [0.02])
    assert values(found) == [(0.02, True), (0.05, True)]


def test_a_gain_is_held_against_what_was_possible() -> None:
    """Codec 1 ms, a row 9 ms alone and 1 ms in a full batch: (1 + 9) / (1 + 1) = 5 is possible."""
    gain = batching.Gain("m", on=[sample(400, p99=5)], off=[sample(100, p99=10)], alone=9, full=1, codec=1)
    found = batching.judge([gain])
    assert values(found) == [(0.8, True), (0.5, True)]
    assert all(len(row) == len(found.tables[0].columns) for row in found.tables[0].rows)


def test_a_start_is_held_against_a_bare_import() -> None:
    found = start.judge({"onnx": [(0.9, 100)], "sklearn": [(2.4, 150)], "import sklearn": [(2.0, 105)]})
    assert [met for _, met in values(found)] == [True, True, True, False]


def test_a_page_has_bars_tables_and_versions(tmp_path: Path) -> None:
    findings = [
        Findings(
            [Verdict("p99", 0.2, "at most", 0.1, "x")], [Table("Title", ("a", "b"), [("1", "2")], "Note.")], {"k": 1}
        )
    ]
    page = report.to_markdown(findings, MACHINE, DAY, {"ours": {"granian": "2"}}, "How.")
    assert "| p99 | 0.2 x | at most 0.1 x | MISSED |" in page
    assert "## Title\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\nNote." in page
    assert "- ours: granian 2" in page
    assert "**Title**" in report.for_readme(findings, MACHINE, DAY)
    path = report.write(page, findings, MACHINE, DAY, {}, tmp_path)
    assert path.name == "2026-01-02-serving-amd-epyc-2c.md"
    assert '"met": false' in path.with_suffix(".json").read_text()


def test_stacks_become_shares() -> None:
    stacks = parse(["main;decode 3", "main;encode 1", ""])
    assert stacks == Counter({("main", "decode"): 3, ("main", "encode"): 1})
    assert "|  75.0% |  75.0% | decode |" in table(stacks, 5)
    assert "main" not in table(stacks, 5)


def test_every_package_is_pinned() -> None:
    assert all("==" in pin for pins in PINS.values() for pin in pins)


def test_an_environment_tells_its_versions(tmp_path: Path) -> None:
    info = tmp_path / "ray" / "lib" / "python3.11" / "site-packages" / "ray-2.60.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ray\nVersion: 2.60.0\n")
    assert Environment("ray", tmp_path / "ray").versions() == {"ray": "2.60.0"}


def test_ours_has_what_the_model_server_needs() -> None:
    needed = {
        re.split(r"[><=~!\[ ]", line)[0]
        for name in ("requirements.txt", "requirements-grpc.txt")
        for line in (ROOT / "src" / "shipway" / "runtime" / name).read_text().splitlines()
        if line and not line.startswith("#")
    }
    assert needed <= {pin.partition("==")[0] for pin in PINS["ours"]}
