"""``shipway gc``: what would go and why, what to type next, and that it goes."""

from __future__ import annotations

from typing import Any

from tests.cli.conftest import Shipway
from tests.cli.fake_hub import Events, FakeHub

PATH = "POST /v1/gc"
ITEMS = [
    {"what": "blobs", "reason": "no tag leads to them", "count": 9, "bytes": 171_900, "names": []},
    {"what": "downloads", "reason": "they were cut short", "count": 1, "bytes": 2_000_000, "names": []},
]


def answer(
    hub: FakeHub, *, dry_run: bool, items: list[dict[str, Any]] | None = None, kept: list[str] | None = None
) -> None:
    found = ITEMS if items is None else items
    result = {"dryRun": dry_run, "bytes": 2_171_900, "items": found, "keptForNow": kept or []}
    hub.routes[PATH] = Events(
        [("progress", {"what": "look", "done": 0, "total": None, "note": ""}), ("result", result)]
    )


def test_first_it_says_what_would_go_and_what_to_type(shipway: Shipway, hub: FakeHub) -> None:
    answer(hub, dry_run=True, kept=["blobs: held by pull r.example/x:1"])
    assert shipway("gc").out == (
        "WHAT       COUNT  SIZE    WHY\n"
        "blobs      9      172 kB  no tag leads to them\n"
        "downloads  1      2 MB    they were cut short\n"
        "kept for now: blobs: held by pull r.example/x:1\n"
        "2.17 MB would be free again: shipway gc --yes\n"
    )
    assert hub.sent(PATH) == [{"dryRun": True}]


def test_yes_deletes(shipway: Shipway, hub: FakeHub) -> None:
    answer(hub, dry_run=False)
    assert shipway("gc", "--yes").out == "deleted 9 blobs, 1 downloads; 2.17 MB are free again\n"
    assert hub.sent(PATH) == [{"dryRun": False}]


def test_nothing_to_delete_is_said_with_what_is_kept_for_now(shipway: Shipway, hub: FakeHub) -> None:
    answer(hub, dry_run=True, items=[], kept=["2 snapshots: young"])
    assert shipway("gc").out == "nothing to delete: all that is kept is needed\nkept for now: 2 snapshots: young\n"


def test_json_is_what_the_hub_said(shipway: Shipway, hub: FakeHub) -> None:
    answer(hub, dry_run=True)
    ended = shipway("gc", "-o", "json")
    assert ended.json["items"] == ITEMS
    assert ended.err == ""
