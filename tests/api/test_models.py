"""Models over HTTP: lists and pages, one version, what differs, names and removals with who asked and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from shipway.client import who
from shipway.errors import InvalidObject, NotFound, Refused, UserError
from shipway.kinds import Model, ObjectMeta
from shipway.models import Lineage
from tests.api.served_hub import NOW, Hub

DIGITS = "/v1/models/digits"


@pytest.fixture
def digits(hub: Hub, tmp_path: Path) -> Hub:
    """A hub with two versions of digits, the first of them champion."""
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "model.onnx").write_text(f"weights {number}")
        lineage = Lineage(run=f"r-{number}", fingerprint=f"f-{number}", metrics={"accuracy": 0.9}, params={"C": number})
        hub.versions.pack("digits", folder, lineage)
    model = Model(metadata=ObjectMeta(name="digits")).mark_alias("champion", 1)
    hub.store.put(model.mark_versions(hub.versions.list("digits"), NOW))
    return hub


def ledger(hub: Hub) -> list[tuple[str, Any, Any]]:
    entries = hub.journal.entries(subject="Model/digits", type="ledger")
    return [(one.reason, one.data["by"], one.data["why"]) for one in entries]


def test_lists_and_pages(digits: Hub) -> None:
    [line] = digits.client.get("/v1/models")["models"]
    assert (line["name"], line["versions"], line["champion"], line["latest"], line["live"]) == ("digits", 2, 1, 2, {})
    page = digits.client.get(f"{DIGITS}/versions?limit=1")
    assert ([one["number"] for one in page["versions"]], page["older"], page["count"]) == ([2], 1, 2)
    older = digits.client.get(f"{DIGITS}/versions?limit=1&before=2")
    assert ([one["number"] for one in older["versions"]], older["older"]) == ([1], 0)
    with pytest.raises(UserError, match="limit"):
        digits.client.get(f"{DIGITS}/versions?limit=-1")
    with pytest.raises(NotFound, match="did you mean digits"):
        digits.client.get("/v1/models/digit/versions")


def test_one_version_and_what_differs(digits: Hub) -> None:
    detail = digits.client.get(f"{DIGITS}/versions/champion")
    assert (detail["version"]["number"], detail["aliases"], detail["referrers"]) == (1, ["champion"], [])
    assert [one["name"] for one in detail["contents"]["files"]] == ["model.onnx"]
    with pytest.raises(NotFound, match="versions: 1, 2"):
        digits.client.get(f"{DIGITS}/versions/9")
    for to in ("2", "digits:latest"):
        found = digits.client.get(f"{DIGITS}/versions/1/diff?to={to}")
        assert (found["before"], found["after"], found["sameFiles"]) == ("digits:1", "digits:2", False)
        assert found["params"] == [{"name": "C", "before": 1, "after": 2}]
    with pytest.raises(NotFound, match="there is no model 'other'"):
        digits.client.get(f"{DIGITS}/versions/1/diff?to=other:1")
    with pytest.raises(UserError, match="to"):
        digits.client.get(f"{DIGITS}/versions/1/diff")


def test_names_with_who_and_why(digits: Hub) -> None:
    moved = digits.client.put(f"{DIGITS}/aliases/champion", {"version": "latest", "why": "it is\x1b[31m\nbetter"})
    assert moved == {"model": "digits", "alias": "champion", "version": 2, "before": 1}
    digits.client.put(f"{DIGITS}/aliases/prod", {"version": "1"})
    digits.client.delete(f"{DIGITS}/aliases/prod?why={quote('not any more')}")
    assert ledger(digits) == [
        ("ChampionMoved", who(), "it is [31m better"),
        ("AliasMoved", who(), ""),
        ("AliasMoved", who(), "not any more"),
    ]
    told = digits.client.get(f"{DIGITS}/history")["tenures"]
    assert {(one["role"], one["version"]) for one in told} == {("champion", 2), ("prod", 1)}
    assert digits.client.get(f"{DIGITS}/history?at=2020-01-01T00:00:00Z") == {"tenures": [], "happenings": []}


@pytest.mark.parametrize(
    "alias, body, error",
    [
        ("latest", {"version": "1"}, Refused),
        ("Prod", {"version": "1"}, UserError),
        ("3", {"version": "1"}, UserError),
        ("prod", {"version": "3"}, NotFound),
        ("prod", {"version": ""}, InvalidObject),
        ("prod", {"version": "1", "why": "x" * 1001}, InvalidObject),
        ("prod", {"version": "1", "because": "x"}, InvalidObject),
    ],
)
def test_names_that_cannot_be_given(digits: Hub, alias: str, body: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        digits.client.put(f"{DIGITS}/aliases/{alias}", body)
    assert ledger(digits) == []


def test_removals(digits: Hub) -> None:
    with pytest.raises(Refused, match="digits:1 is champion"):
        digits.client.delete(f"{DIGITS}/versions/1")
    gone = digits.client.delete(f"{DIGITS}/versions/latest?why=wrong")
    assert (gone["version"], gone["aliases"]) == (2, [])
    assert ledger(digits) == [("VersionRemoved", who(), "wrong")]
    assert digits.client.get("/v1/models")["models"][0]["versions"] == 1
    assert digits.client.delete(DIGITS) == {"model": "digits", "versions": 1}
    with pytest.raises(NotFound):
        digits.client.delete(DIGITS)
