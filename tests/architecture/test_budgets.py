"""The budgets of the house, measured on the source tree, and proof that each of them can be broken.

A check is a function from a folder of Python files to a list of violations, one line each; empty is good.
"""

from __future__ import annotations

import ast
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "shipway"

FILE_LINES = 600
FUNCTION_LINES = 80
FUNCTION_LINES_P95 = 50
PROTOCOL_METHODS = 12
COMMAND_LINES = 30
BANNED_MODULES = {"base", "common", "helper", "helpers", "misc", "util", "utils"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Check = Callable[[Path], list[str]]


@dataclass(frozen=True, slots=True)
class Module:
    """One parsed file; ``where(node)`` is how a violation names its place."""

    path: Path
    tree: ast.Module
    lines: int
    functions: tuple[Function, ...]

    def where(self, node: ast.AST) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


def modules(root: Path) -> Iterator[Module]:
    return (parsed(path, root, path.read_text()) for path in sorted(root.rglob("*.py")))


@cache
def parsed(path: Path, root: Path, text: str) -> Module:
    tree = ast.parse(text)
    functions = tuple(node for node in ast.walk(tree) if isinstance(node, Function))
    return Module(path.relative_to(root), tree, len(text.splitlines()), functions)


def length(function: Function) -> int:
    """Lines from ``def`` to the end, without decorators."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def name_of(node: ast.expr) -> str:
    """``click.command`` of ``@click.command(...)``, ``Protocol`` of ``Protocol[T]``; empty for other expressions."""
    match node:
        case ast.Call(func=inner) | ast.Subscript(value=inner):
            return name_of(inner)
        case ast.Attribute(value=owner, attr=attr):
            return f"{name_of(owner)}.{attr}"
        case ast.Name(id=name):
            return name
    return ""


def long_files(root: Path) -> list[str]:
    return [f"{one.path}: {one.lines} lines" for one in modules(root) if one.lines > FILE_LINES]


def long_functions(root: Path) -> list[str]:
    return [
        f"{module.where(one)} {one.name}: {length(one)} lines"
        for module in modules(root)
        for one in module.functions
        if length(one) > FUNCTION_LINES
    ]


def long_function_tail(root: Path) -> list[str]:
    lengths = [length(one) for module in modules(root) for one in module.functions]
    if len(lengths) < 2:
        return []
    p95 = statistics.quantiles(lengths, n=20, method="inclusive")[-1]
    return [f"the 95th percentile of function lengths is {p95:.0f}"] if p95 > FUNCTION_LINES_P95 else []


def wide_protocols(root: Path) -> list[str]:
    found = []
    for module in modules(root):
        for one in ast.walk(module.tree):
            if isinstance(one, ast.ClassDef) and any(name_of(base).endswith("Protocol") for base in one.bases):
                methods = sum(isinstance(part, Function) for part in one.body)
                if methods > PROTOCOL_METHODS:
                    found.append(f"{module.where(one)} {one.name}: {methods} methods")
    return found


def long_commands(root: Path) -> list[str]:
    return [
        f"{module.where(one)} {one.name}: {length(one)} lines"
        for module in modules(root)
        for one in module.functions
        if any(name_of(decorator).endswith((".command", ".group")) for decorator in one.decorator_list)
        and length(one) > COMMAND_LINES
    ]


def inner_imports(root: Path) -> list[str]:
    found = []
    for module in modules(root):
        for function in module.functions:
            for node in ast.walk(function):
                names: list[str] = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names = ["shipway"] if node.level else [node.module or ""]
                found += [module.where(node) for name in names if name.split(".")[0] == "shipway"]
    return sorted(set(found))


def banned_names(root: Path) -> list[str]:
    return [
        str(one.path)
        for one in modules(root)
        if BANNED_MODULES & {part.removesuffix(".py").strip("_") for part in one.path.parts}
    ]


def mocks(root: Path) -> list[str]:
    found = []
    for module in modules(root):
        for node in ast.walk(module.tree):
            imported = isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unittest")
            imported |= isinstance(node, ast.Import) and any(one.name.startswith("unittest.mock") for one in node.names)
            if imported:
                found.append(module.where(node))
    return found


CHECKS: list[Check] = [
    long_files,
    long_functions,
    long_function_tail,
    wide_protocols,
    long_commands,
    inner_imports,
    banned_names,
]


def test_the_source_keeps_the_budgets() -> None:
    assert {check.__name__: found for check in CHECKS if (found := check(SOURCE))} == {}


def test_the_tests_use_fakes_and_not_mocks() -> None:
    assert mocks(ROOT / "tests") == []


def body(lines: int) -> str:
    return "\n".join(["    pass"] * lines)


BAD: dict[Check, tuple[str, str]] = {
    long_files: ("big.py", "x = 1\n" * (FILE_LINES + 1)),
    long_functions: ("deep.py", f"async def f():\n{body(FUNCTION_LINES)}"),
    long_function_tail: ("tail.py", "\n".join(f"def f{n}():\n{body(FUNCTION_LINES_P95)}" for n in range(3))),
    wide_protocols: (
        "wide.py",
        "class P(typing.Protocol[T]):\n" + "\n".join(f"    def m{n}(self): ..." for n in range(PROTOCOL_METHODS + 1)),
    ),
    long_commands: ("cli.py", f"@main.command('up')\ndef up():\n{body(COMMAND_LINES)}"),
    inner_imports: ("cycle.py", "class C:\n    def f(self):\n        from shipway.cli import main"),
    banned_names: ("store/_utils.py", ""),
    mocks: ("test_it.py", "from unittest.mock import Mock"),
}


@pytest.mark.parametrize("check", [*CHECKS, mocks])
def test_every_check_can_fail(check: Check, tmp_path: Path) -> None:
    name, text = BAD[check]
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    assert check(tmp_path) == ([str(name)] if check is banned_names else [])
    path.write_text(text)
    assert len(check(tmp_path)) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"def f():\n{body(FUNCTION_LINES - 1)}",
        "def f():\n    import rich",
        "from shipway.cli import main",
        "import unittest_extra",
    ],
)
def test_what_is_allowed_passes(text: str, tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(text)
    assert [check(tmp_path) for check in [*CHECKS, mocks] if check is not long_function_tail] == [[]] * len(CHECKS)
