"""What differs between two versions, as a pure comparison."""

from __future__ import annotations

import pytest

from shipway.explain import FileChanges, Side, StoredFile, compare
from shipway.explain.versions import LARGEST_PATCHED, content_pairs, goals, patch
from shipway.kinds import Evaluate

D1, D2, D3 = (f"sha256:{digit * 64}" for digit in "123")
OLD = Side(
    reference="m:1",
    digest=D1,
    format="onnx",
    size=100,
    metrics={"accuracy": 0.9, "loss": 0.5, "old": 1.0},
    params={"C": 1, "seed": 0},
    inputs={"train": D1, "gone": D2},
    components={"interpreter": "cpython-3.11.7", "params": "p1", "source": D1},
    requirements=("numpy>=2", "pandas"),
    lock=("numpy==2.0", "pandas==2.2"),
    source=D1,
    signature={"takes x": "FP32 [-1, 4]"},
    files={"model.onnx": StoredFile(90, D1), "notes.md": StoredFile(10, D2)},
)
NEW = Side(
    reference="m:2",
    digest=D2,
    format="onnx",
    size=120,
    metrics={"accuracy": 0.95, "loss": 0.5, "new": 2.0},
    params={"C": 2, "seed": 0},
    inputs={"train": D2},
    components={"interpreter": "cpython-3.12.1", "params": "p2", "source": D2},
    requirements=("numpy>=2",),
    lock=("numpy==2.1", "scipy==1.15"),
    source=D2,
    signature={"takes x": "FP32 [-1, 8]"},
    files={"model.onnx": StoredFile(110, D3), "notes.md": StoredFile(10, D2), "extra": StoredFile(1, D1)},
)


def test_metrics_with_change_and_direction() -> None:
    found = compare(OLD, NEW, directions={"accuracy": "maximize", "loss": "minimize"}).metrics
    told = {one.name: (one.change and round(one.change, 6), one.better) for one in found}
    assert told == {"accuracy": (0.05, True), "loss": (0.0, None), "new": (None, None), "old": (None, None)}
    backwards = compare(NEW, OLD, directions={"accuracy": "maximize"}).metrics
    assert {one.name: one.better for one in backwards}["accuracy"] is False
    assert [one.better for one in compare(OLD, NEW).metrics] == [None] * 4, "nobody said what is better"


@pytest.mark.parametrize(
    "evaluate, goal",
    [
        (None, {}),
        (Evaluate(metric="a", min=1), {"a": "maximize"}),
        (Evaluate(metric="a", max=1), {"a": "minimize"}),
        (Evaluate(metric="a", max=1, not_worse_than="champion"), {"a": "maximize"}),
        (Evaluate(metric="a", not_worse_than="champion", goal="minimize"), {"a": "minimize"}),
    ],
)
def test_the_gate_says_what_is_better(evaluate: Evaluate | None, goal: dict[str, str]) -> None:
    assert goals(evaluate) == goal


def test_values_that_differ() -> None:
    found = compare(OLD, NEW)
    assert [(one.name, one.before, one.after) for one in found.params] == [("C", 1, 2)]
    assert [(one.name, one.before, one.after) for one in found.packages] == [
        ("numpy", "2.0", "2.1"),
        ("pandas", "2.2", None),
        ("scipy", None, "1.15"),
    ]
    assert [(one.name, one.before, one.after) for one in found.requirements] == [("pandas", "", None)]
    assert [one.name for one in found.conditions] == ["interpreter"], "params and source are compared by themselves"
    assert [(one.name, one.after) for one in found.signature] == [("takes x", "FP32 [-1, 8]")]
    assert [(one.name, one.before, one.after) for one in found.files] == [("extra", None, 1), ("model.onnx", 90, 110)]
    assert found.format is None and found.size is not None and (found.size.before, found.size.after) == (100, 120)
    assert not found.same_files


def test_files_behind_inputs_and_code() -> None:
    assert content_pairs(OLD, NEW) == {"source": (D1, D2), "train": (D1, D2), "gone": (D2, "")}
    looked = {(D1, D2): FileChanges(changed=("train.py",))}
    found = compare(OLD, NEW, looked, {"source": "--- a\n"})
    assert found.code is not None and (found.code.changed, found.code.patch) == (("train.py",), "--- a\n")
    assert [(one.name, one.known) for one in found.inputs] == [("gone", False), ("train", True)]


def test_a_version_equals_itself() -> None:
    found = compare(OLD, OLD)
    assert found.same_files and found.code is None and found.size is None
    assert not any((found.params, found.inputs, found.packages, found.conditions, found.signature, found.files))
    assert {one.change for one in found.metrics} == {0.0}


def test_patches() -> None:
    assert patch("a.py", b"x\ny\n", b"x\nz\n") == "--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n x\n-y\n+z\n"
    assert patch("a.py", None, b"x\n").startswith("--- /dev/null\n+++ b/a.py\n")
    assert patch("a.bin", b"\0", b"x") == "a/a.bin and b/a.bin differ: no text, or more than 256 kB\n"
    assert "differ" in patch("a.py", b"x" * (LARGEST_PATCHED + 1), b"") and "differ" in patch("a", b"\xff", b"")
