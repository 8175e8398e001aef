"""Every condition type and reason of the code stands in docs/errors/reasons.md, and nothing else does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import shipway
from shipway.kinds import KINDS

SOURCE = Path(shipway.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "errors" / "reasons.md"
CODE = re.compile(r"[A-Z][A-Za-z]*[a-z][A-Za-z]*")
# Two words joined: nothing but a reason is written so, apart from kinds and the names in ELSE.
JOINED = re.compile(r"(?:[A-Z]+[a-z]+){2,}")
ELSE = {*KINDS, "CSafeLoader", "NotReady"}
# Where reasons are made; the faces only show them.
ROOMS = ("cluster", "controllers", "envoy", "jobs", "kinds", "models", "rollout")

# There words that are joined are mostly Kubernetes' own: kinds, and reasons that we translate. Ours stand in a Why.
KUBERNETES = SOURCE / "cluster" / "kubernetes"
OURS = {"Why": 0}
# Fields of kinds that have Kubernetes' names have its values too, and no reasons.
DECLARED = {SOURCE / "kinds" / f"{name}.py" for name in ("exposure", "placement", "scaling", "volumes")}

# Which positional argument of these calls is a reason (0-based, ``self`` not counted).
REASON_AT = {
    "Decision": 1,
    "GatewayState": 1,
    "Outcome": 1,
    "PreparingFailed": 0,
    "_Waiting": 0,
    "_ended": 0,
    "_fail": 0,
    "_record": 1,
    "asked": 1,
    "decision": 1,
    "event": 1,
    "ledger": 1,
    "mark_failed": 1,
    "mark_not_live": 0,
    "mark_rollout_failed": 2,
    "mark_under_way": 0,
    "mark_waiting": 0,
    "with_condition": 2,
}
TYPE_AT = {"with_condition": 0}


def strings(node: ast.expr | None) -> Iterator[str]:
    """The codes that an expression can be: ``a if b else c``, ``a or b``, ``reason, message``; not in calls."""
    match node:
        case ast.Constant(value=str(text)) if CODE.fullmatch(text):
            yield text
        case ast.IfExp(body=yes, orelse=no):
            yield from strings(yes)
            yield from strings(no)
        case ast.Tuple(elts=[first, *_]):
            yield from strings(first)
        case ast.BoolOp(values=values):
            for value in values:
                yield from strings(value)


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def assigned(target: ast.expr, value: ast.expr | None) -> Iterator[str]:
    if isinstance(target, ast.Name) and target.id == "reason":
        yield from strings(value)
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for left, right in zip(target.elts, value.elts, strict=False):
            yield from assigned(left, right)


def reasons(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg == "reason":
                    yield from strings(keyword.value)
            yield from argument(node, REASON_AT)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                yield from assigned(target, node.value)
        elif isinstance(node, ast.Return):  # ``return "Retrain", "one more run was asked for"``
            value = node.value
            for one in (value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,):
                yield from strings(one) if isinstance(one, ast.Tuple) else ()


def argument(node: ast.Call, places: dict[str, int]) -> Iterator[str]:
    place = places.get(called(node))
    if place is not None and place < len(node.args):
        yield from strings(node.args[place])


def types(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from argument(node, TYPE_AT)


def joined(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and JOINED.fullmatch(node.value):
            yield node.value


def in_kubernetes() -> set[str]:
    trees = [ast.parse(path.read_text()) for path in KUBERNETES.rglob("*.py")]
    calls = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call))
    tables = (code for tree in trees for code in table(tree))
    return {*(code for call in calls for code in argument(call, OURS)), *tables}


def table(tree: ast.AST) -> Iterator[str]:
    """The codes that a Why gets from a mapping."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("_DISRUPTIONS", "_DOOM"):
            assert isinstance(node.value, ast.Dict)
            for value in node.value.values:
                yield from strings(value)


def in_code() -> set[str]:
    # An __init__ holds the names that a room exports.
    paths = [
        path
        for room in ROOMS
        for path in (SOURCE / room).rglob("*.py")
        if path.name != "__init__.py" and KUBERNETES not in path.parents and path not in DECLARED
    ]
    trees = [ast.parse(path.read_text()) for path in paths]
    # The API says who asked; its other words are names of schemas.
    asked = reasons(ast.parse((SOURCE / "api" / "callers.py").read_text()))
    return {
        *asked,
        *in_kubernetes(),
        *(code for tree in trees for code in [*reasons(tree), *types(tree), *joined(tree)]),
    } - ELSE


def on_page() -> set[str]:
    return set(re.findall(r"^\| `(\w+)`", PAGE.read_text(), re.MULTILINE))


def test_every_code_is_documented_and_no_other() -> None:
    assert in_code() - on_page() == set(), "in the code, not on the page"
    assert on_page() - in_code() == set(), "on the page, not in the code"


def test_the_search_finds_what_it_should() -> None:
    text = """
obj.with_condition("Ready", "True", "Serving" if n else "ScaledToZero", "", now)
Decision("start", "CacheMiss", "no run")
state, reason = "True", "NoReplica"
Replica(reason=seen.reason or "Error")
"""
    tree = ast.parse(text)
    assert set(reasons(tree)) == {"Serving", "ScaledToZero", "CacheMiss", "NoReplica", "Error"}
    assert set(types(tree)) == {"Ready"}
