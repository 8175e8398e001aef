"""``why``, ``events`` and ``models history``: what is asked of the hub, and how the answer reads."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shipway.cli.moments import local, moment
from shipway.errors import UserError
from tests.cli.conftest import Shipway
from tests.cli.fake_hub import Events, FakeHub

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
LINE: dict[str, Any] = {
    "at": "2026-01-02T11:00:00Z",
    "subject": "ModelJob/digits",
    "type": "decision",
    "reason": "CacheMiss",
    "text": "trained because params changed: lr 0.1 -> 0.2",
    "since": None,
    "count": 1,
    "data": {},
}
STORY: dict[str, Any] = {
    "subject": "ModelJob/digits",
    "exists": True,
    "lines": [
        LINE,
        {**LINE, "subject": "Model/digits", "text": "digits:2 became champion"},
        {**LINE, "text": "restarted 14 times", "count": 14, "since": "2026-01-02T10:00:00Z"},
    ],
    "now": [
        {
            "subject": "ModelJob/digits",
            "type": "Complete",
            "status": "False",
            "reason": "BackOff",
            "text": "waits",
            "since": "2026-01-02T11:00:00Z",
        },
        {
            "subject": "Model/digits",
            "type": "Ready",
            "status": "False",
            "reason": "NoVersions",
            "text": "x",
            "since": None,
        },
    ],
    "next": [
        {"text": "attempt 2 of 3 starts by itself", "command": "", "at": "2026-01-02T12:00:04Z"},
        {"text": "read the log", "command": "shipway logs job/digits", "at": None},
    ],
}
ENTRY: dict[str, Any] = {
    "id": 7,
    "type": "decision",
    "subject": "ModelJob/digits",
    "reason": "CacheMiss",
    "message": "no run\nsecond line",
    "at": "2026-01-02T11:00:00Z",
    "data": {"run": "d-1"},
}
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


def obj(kind: str, name: str) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name}, "spec": {}, "status": {}}


def test_a_story_is_told(hub: FakeHub, shipway: Shipway) -> None:
    hub.routes["GET /v1/why/modeljobs/digits"] = STORY
    told = shipway("why", "job/digits")
    assert told.code == 0
    expected = [
        "ModelJob/digits",
        f"  {TIME}  trained because params changed: lr 0.1 -> 0.2",
        f"  {TIME}  Model/digits: digits:2 became champion",
        f"  {TIME} - {TIME}  restarted 14 times",
        "now",
        rf"  Complete is False since {TIME}: waits \(BackOff\)",
        r"  Model/digits Ready is False: x \(NoVersions\)",
        "next",
        f"  attempt 2 of 3 starts by itself at {TIME}",
        "  read the log: shipway logs job/digits",
    ]
    for line, wanted in zip(told.out.splitlines(), expected, strict=True):
        assert re.fullmatch(wanted, line), line


def test_of_a_deleted_object_the_lines_are_told(hub: FakeHub, shipway: Shipway) -> None:
    hub.routes["GET /v1/why/modelservices/web"] = {**STORY, "exists": False, "now": [], "next": []}
    told = shipway("why", "svc/web").out
    assert told.startswith("ModelJob/digits  (it does not exist any more)\n")
    assert "now\n" not in told and "next" not in told


def test_nothing_to_do_and_nothing_happened(hub: FakeHub, shipway: Shipway) -> None:
    hub.routes["GET /v1/why/modeljobs/digits"] = {**STORY, "lines": [], "now": [], "next": []}
    out = shipway("why", "job/digits", "--since", "1h").out
    assert "the journal has no line about it" in out and "nothing needs to be done" in out


def test_values_are_there_as_json(hub: FakeHub, shipway: Shipway) -> None:
    hub.routes["GET /v1/why/modeljobs/digits"] = STORY
    assert shipway("why", "job/digits", "-o", "json").json == STORY


def test_a_name_alone_is_enough_where_it_is_the_only_one(hub: FakeHub, shipway: Shipway) -> None:
    hub.objects(obj("ModelJob", "train"), obj("ModelService", "web"), obj("Route", "web"))
    hub.routes["GET /v1/why/modelservices/web"] = STORY
    assert shipway("why", "web").code == 0


def test_a_name_of_several_says_which_there_are(hub: FakeHub, shipway: Shipway) -> None:
    hub.objects(obj("ModelJob", "digits"), obj("ModelService", "digits"))
    told = shipway("why", "digits")
    assert told.code == 2
    assert "shipway why job/digits, shipway why service/digits" in told.err


def test_a_name_that_nothing_has(hub: FakeHub, shipway: Shipway) -> None:
    hub.objects()
    told = shipway("why", "nobody")
    assert (told.code, "shipway why KIND/nobody" in told.err) == (3, True)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("1.5h", timedelta(hours=1.5)),
        ("7d", timedelta(7)),
    ],
)
def test_moments_ago(text: str, ago: timedelta) -> None:
    assert moment(text, NOW) == NOW - ago


def test_moments_in_iso() -> None:
    assert moment("2026-01-01T12:00:00+00:00", NOW) == NOW - timedelta(days=1)
    assert moment("2026-01-01T12:00", NOW).tzinfo is not None


@pytest.mark.parametrize("text", ["yesterday", "", "1", "1y", "99999999999d", "h"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(UserError, match="is no point in time"):
        moment(text, NOW)


def test_a_bad_since_is_the_users_error(hub: FakeHub, shipway: Shipway) -> None:
    assert shipway("why", "job/digits", "--since", "soon").code == 2


def test_times_of_today_have_no_date() -> None:
    at = NOW.isoformat()
    assert re.fullmatch(r"\d\d:\d\d:\d\d", local(at, NOW))
    assert re.fullmatch(TIME, local(at, NOW + timedelta(days=3)))


def test_nothing_since_then_is_not_nothing_at_all(hub: FakeHub, shipway: Shipway) -> None:
    hub.routes["GET /v1/why/modeljobs/digits"] = {**STORY, "lines": []}
    assert "  the journal has no line about it\n" in shipway("why", "job/digits").out
    told = shipway("why", "job/digits", "--since", "2020-01-01")
    assert "  the journal has no line about it since 2020-01-01 " in told.out


@pytest.mark.parametrize("name", ["", "job/"])
def test_a_kind_without_a_name(hub: FakeHub, shipway: Shipway, name: str) -> None:
    told = shipway("why", name)
    assert (told.code, "KIND/NAME" in told.err) == (2, True)


def test_events(hub: FakeHub, shipway: Shipway) -> None:
    hub.routes["GET /v1/journal"] = {"entries": [ENTRY]}
    told = shipway("events", "--for", "job/digits", "--type", "decision", "--since", "1h", "-n", "5")
    assert re.fullmatch(rf"{TIME}  decision  ModelJob/digits  CacheMiss  no run\n", told.out)
    assert shipway("events", "-o", "json").json == [ENTRY]


def test_no_events(hub: FakeHub, shipway: Shipway) -> None:
    hub.routes["GET /v1/journal"] = {"entries": []}
    assert shipway("events").out == "nothing is in the journal\n"
    assert shipway("events", "--for", "job/x").out == "nothing of that is in the journal\n"
    assert shipway("events", "-o", "json").json == []


def test_events_followed(hub: FakeHub, shipway: Shipway) -> None:
    hub.routes["GET /v1/journal"] = Events([("entry", ENTRY), ("entry", {**ENTRY, "reason": "CacheHit"})])
    assert [line.split("  ")[3] for line in shipway("events", "-f").out.splitlines()] == ["CacheMiss", "CacheHit"]
    assert shipway("events", "-f", "-o", "json").out.count('"reason"') == 2
    assert shipway("events", "-f", "-o", "yaml").out.count("---\n") == 2, "one document each"


def test_events_of_a_data_set_which_is_no_kind(hub: FakeHub, shipway: Shipway) -> None:
    hub.routes["GET /v1/journal"] = {"entries": [{**ENTRY, "type": "ledger", "subject": "Data/raw"}]}
    assert "  Data/raw  " in shipway("events", "--for", "data/raw").out


def test_events_of_no_kind(hub: FakeHub, shipway: Shipway) -> None:
    told = shipway("events", "--for", "digits")
    assert (told.code, "--for job/digits" in told.err) == (2, True)


def test_history(hub: FakeHub, shipway: Shipway) -> None:
    tenure = {
        "model": "m",
        "version": 1,
        "role": "live",
        "since": "2026-01-01T10:00:00Z",
        "until": "2026-01-01T11:00:00Z",
        "cluster": "local",
        "service": "web",
        "revision": "web-00001",
        "by": "ada (shipway up)",
        "why": "the first revision with traffic",
        "endedBy": "",
        "endedWhy": "",
    }
    pushed = {"at": "2026-01-01T12:00:00Z", "reason": "Pushed", "by": "ada", "message": "m:1 was pushed", "version": 1}
    told = {"tenures": [tenure, {**tenure, "version": 2, "until": None}], "happenings": [pushed]}
    hub.routes["GET /v1/models/m/history"] = told
    header, newest, oldest, _, _, push = shipway("models", "history", "m").out.splitlines()
    assert push.endswith("Pushed  ada  m:1 was pushed")
    assert header.split("  ")[0] == "VERSION"
    assert newest.startswith("m:2") and "  now  " in newest and "local/web/web-00001" in newest
    assert oldest.startswith("m:1") and oldest.endswith("ada (shipway up)  the first revision with traffic")
    assert shipway("models", "history", "m", "-o", "json").json == told
    assert shipway("models", "history", "m", "--at", "1h").code == 0
    assert shipway("models", "history", "m", "--at", "never").code == 2


def test_no_history(hub: FakeHub, shipway: Shipway) -> None:
    hub.routes["GET /v1/models/m/history"] = {"tenures": [], "happenings": []}
    assert shipway("models", "history", "m").out == "no version of m was live or had a name yet\n"
    at = shipway("models", "history", "m", "--at", "2020-01-01T12:00").out
    assert at == "no version of m was live or had a name at 2020-01-01 12:00:00\n"
