"""Quantities as in Kubernetes, durations as in the Gateway API."""

from __future__ import annotations

import pytest

from shipway.kinds import Resources
from shipway.kinds.quantity import cpu_cores, duration_seconds, memory_bytes


@pytest.mark.parametrize(("text", "cores"), [("2", 2.0), ("0.5", 0.5), ("500m", 0.5), ("1500m", 1.5)])
def test_cpu(text: str, cores: float) -> None:
    assert cpu_cores(text) == cores


@pytest.mark.parametrize("text", ["", "0", "-1", "2Gi", "1 ", "m", "one", "1e3"])
def test_not_a_cpu(text: str) -> None:
    with pytest.raises(ValueError, match="is not a CPU quantity: write cores like"):
        cpu_cores(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("1024", 1024), ("1k", 1000), ("1Ki", 1024), ("512Mi", 512 * 2**20), ("2Gi", 2 * 2**30), ("1.5G", 1_500_000_000)],
)
def test_memory(text: str, count: int) -> None:
    assert memory_bytes(text) == count


@pytest.mark.parametrize("text", ["", "0", "500m", "2gi", "2 Gi", "-1Gi", "Gi"])
def test_not_a_memory(text: str) -> None:
    with pytest.raises(ValueError, match="is not a memory quantity: write bytes like"):
        memory_bytes(text)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(30, 30.0), (0.5, 0.5), (0, 0.0), ("30s", 30.0), ("1m30s", 90.0), ("250ms", 0.25), ("2h", 7200.0), ("1.5s", 1.5)],
)
def test_duration(value: object, seconds: float) -> None:
    assert duration_seconds(value) == seconds


@pytest.mark.parametrize("value", ["", "30", "soon", "5 s", "1m 30s", -1, True, None, "s"])
def test_not_a_duration(value: object) -> None:
    with pytest.raises(ValueError, match="is not a duration: write seconds like"):
        duration_seconds(value)


def test_quantities_are_kept_as_written() -> None:
    resources = Resources.model_validate({"cpu": 2, "memory": "2Gi"})
    assert (resources.cpu, resources.memory) == ("2", "2Gi")
