"""Stories of entries and objects that are written down here: no store, no journal, no clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Literal

import pytest

from shipway.explain import FileChanges, Line, compared, snapshot_pairs, story
from shipway.explain.sentences import sentence
from shipway.explain.words import PHRASES
from shipway.kinds import Model, ModelJob, ModelJobSpec, ObjectMeta, Run
from shipway.ports import Entry

T0 = datetime(2026, 1, 1, 12, tzinfo=UTC)
JOB, SERVICE = "ModelJob/digits", "ModelService/web"
OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
FROM: dict[str, Any] = {"from": 1}
_ids = count(1)


def entry(
    subject: str,
    reason: str,
    message: str = "",
    at: float = 0,
    type_: Literal["decision", "event", "ledger"] = "decision",
    **data: Any,
) -> Entry:
    return Entry(type_, subject, reason, message, T0 + timedelta(seconds=at), data, next(_ids))


def start(message: str, at: float = 0, reason: str = "CacheMiss", **data: Any) -> Entry:
    return entry(JOB, reason, message, at, run="digits-1", attempt=1, model="digits", **data)


def finished(at: float = 0, **data: Any) -> Entry:
    numbers: dict[str, Any] = {"run": "digits-1", "attempt": 1, "seconds": 4.2, "exitCode": 0, **data}
    return entry(JOB, "Finished", at=at, **numbers)


def back_off(attempt: int, at: float = 0) -> Entry:
    data: dict[str, Any] = {
        "run": "digits-1",
        "attempt": attempt,
        "retries": 9,
        "seconds": 0.5,
        "delay": 2.0,
        "cause": "Error",
    }
    return entry(JOB, "BackOff", "Error: exited with code 3", at, **data)


def restart(number: int, at: float, replica: int = 0, **data: Any) -> Entry:
    which: dict[str, Any] = {"revision": "web-00001", "replica": replica, "restarts": number, "since": "s"}
    end: dict[str, Any] = {"exitCode": 3, "signal": None, "cause": "Error", **data}
    return entry(SERVICE, "ReplicaRestarted", at=at, type_="event", **which, **end)


def lines(*entries: Entry, files: Any = None) -> tuple[Line, ...]:
    return story(JOB, entries, [], T0, files).lines


def texts(*entries: Entry, files: Any = None) -> list[str]:
    return [one.text for one in lines(*entries, files=files)]


def job(**status: Any) -> ModelJob:
    made = ModelJob(metadata=ObjectMeta(name="digits", generation=1), spec=ModelJobSpec(command=("x",), model="digits"))
    return made.model_copy(update={"status": made.status.model_copy(update=status)})


def test_a_run_that_ended_well_is_one_sentence_at_its_end() -> None:
    [line] = lines(start("params changed: lr 0.1 -> 0.2"), finished(at=5))
    assert line.text == "trained because params changed: lr 0.1 -> 0.2 (run digits-1, 4.2 s)"
    assert (line.at, line.since, line.reason) == (T0 + timedelta(seconds=5), T0, "CacheMiss")


def test_a_run_under_way_says_that_it_began() -> None:
    assert texts(start("one more run was asked for", reason="Retrain")) == [
        "started run digits-1 because one more run was asked for"
    ]


def test_a_job_without_a_model_ran() -> None:
    begin = entry(JOB, "CacheMiss", "no run", run="digits-1", attempt=1, model=None)
    assert texts(begin, finished())[0].startswith("ran because no run")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (FileChanges(changed=("train.py",), added=("b.py",)), "train.py changed, b.py is new"),
        (FileChanges(known=False), "the earlier files are not kept any more"),
        (FileChanges(changed=tuple("abcdef")), "a changed, b changed, c changed, d changed and 2 more files"),
        (FileChanges(), "only modes of files differ"),
        (FileChanges(changed=("a",), sizes={"a": (12_000_000, 12_100_000)}), "a changed from 12 MB to 12.1 MB"),
        (
            FileChanges(changed=("a",), sizes={"a": (12_000_000, 12_000_009)}),
            "a changed from 12,000,000 B to 12,000,009 B",
        ),
        (FileChanges(changed=("a",), sizes={"a": (7, 7)}), "a changed"),
    ],
)
def test_files_are_named_when_they_were_looked_up(found: FileChanges, words: str) -> None:
    begin = start("source changed", changed={"source": {"from": OLD, "to": NEW}})
    assert snapshot_pairs([begin]) == {(OLD, NEW)}
    assert texts(begin, files={(OLD, NEW): found}) == [f"started run digits-1 because source changed ({words})"]
    assert texts(begin) == ["started run digits-1 because source changed"]


def test_files_of_an_input_are_named_too() -> None:
    begin = start("inputs changed: points has other files", changed={"inputs": {"points": {"from": OLD, "to": NEW}}})
    [text] = texts(begin, files={(OLD, NEW): FileChanges(removed=("p.csv",))})
    assert text.endswith("points has other files (p.csv is gone)")


def test_files_of_a_revision_are_named() -> None:
    made = entry(
        SERVICE,
        "RevisionMade",
        "web-00002 was made: source changed, env changed (WHO)",
        changed={"source": {"from": OLD, "to": NEW}, "env": {"from": ["WHO"], "to": ["WHO"]}},
    )
    found = {(OLD, NEW): FileChanges(changed=("serve.py",))}
    assert sentence(made, found) == "web-00002 was made: source changed (serve.py changed), env changed (WHO)"
    assert sentence(made, {}) == made.message


def test_a_message_that_says_the_same_is_not_told_twice() -> None:
    gone = entry("Gateway/gateway", "Unreachable", "Envoy does not answer on /x/envoy.sock")
    assert sentence(gone, {}) == gone.message


def test_an_input_that_is_new_has_nothing_to_compare_with() -> None:
    assert not snapshot_pairs([start("x", changed={"inputs": {"points": {"from": None, "to": NEW}}})])


def test_snapshots_are_compared_by_name_and_content() -> None:
    before = {"a": ("1", 5), "b": ("1", 5), "c": ("1", 5)}
    after = {"a": ("1", 5), "b": ("2", 6), "d": ("1", 5)}
    assert compared(before, after) == FileChanges(added=("d",), changed=("b",), removed=("c",), sizes={"b": (5, 6)})


def test_two_failed_attempts_are_told_one_by_one() -> None:
    retry = entry(JOB, "Retry", "attempt 2 of 10", run="digits-1", attempt=2, retries=9)
    assert texts(start("x"), back_off(1), retry, back_off(2), finished(attempt=3)) == [
        "attempt 1 of 10 (0.5 s) failed: exited with code 3; the next one 2 s later",
        "attempt 2 of 10 (0.5 s) failed: exited with code 3; the next one 2 s later",
        "trained because x (run digits-1, attempt 3, 4.2 s)",
    ]


def test_many_failed_attempts_are_folded() -> None:
    [_, line] = lines(start("x"), *(back_off(number, at=number) for number in range(1, 6)))
    assert line.text == "5 attempts of run digits-1 failed, last: attempt 5 of 10 (0.5 s): exited with code 3"
    assert (line.count, line.since, line.at) == (5, T0 + timedelta(seconds=1), T0 + timedelta(seconds=5))


def test_the_last_attempt_says_that_it_was() -> None:
    last = entry(JOB, "OOMKilled", "killed at 1 MiB", run="digits-1", attempt=2, retries=1, seconds=None)
    assert texts(last) == [
        "attempt 2 of 2 of run digits-1 failed, and was the last: used more memory than its limit: killed at 1 MiB"
    ]


def test_restarts_are_folded_and_those_that_no_hub_saw_are_counted() -> None:
    [line] = lines(restart(1, 0), restart(2, 10), restart(14, 2400))
    assert line.text == "replicas of web-00001 restarted 14 times, last: exit code 3"
    assert (line.count, line.since, line.at) == (14, T0, T0 + timedelta(seconds=2400))


def test_a_few_restarts_are_told_one_by_one() -> None:
    assert texts(restart(1, 0), restart(1, 1, replica=1, exitCode=None, signal=9, cause="OOMKilled")) == [
        "replica 0 of web-00001 was started again (restart 1): exit code 3",
        "replica 1 of web-00001 was started again (restart 1): used more memory than its limit, signal 9",
    ]


def test_what_happens_between_restarts_is_not_swallowed() -> None:
    applied = entry(SERVICE, "Applied", "changed spec.env by ada", 15, "event", by="ada")
    told = texts(*(restart(number, number) for number in (1, 2, 3)), applied, restart(4, 20))
    assert [one.partition(" ")[0] for one in told] == ["replicas", "changed", "replica"]


def test_equal_lines_are_folded() -> None:
    again = [entry("Model/m", "ImportDelayed", "disk full", at=at) for at in range(4)]
    assert texts(*again) == ["the files could not be written yet: disk full (4 times)"]


def rollout(reason: str, to: str, **data: Any) -> Entry:
    numbers = {
        "ready": 2,
        "wanted": 2,
        "seconds": 1.25,
        "backends": {"before": {"web-1": 100}, "after": {"web-2": 100}},
    }
    return entry(SERVICE, reason, f"web-2: {to}, 0 of 2", revision="web-2", to=to, **{**numbers, **data})


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (rollout("New", "Starting"), "web-2 was started: 2 replicas"),
        (rollout("Wanted", "Starting", wanted=1), "web-2 was started again (wanted again): 1 replica"),
        (
            rollout("AllReplicasReady", "Ready"),
            "web-2 is ready, 2 of 2 replicas after 1.2 s; its traffic: web-1 100 % -> web-2 100 %",
        ),
        (
            rollout("ProgressDeadlineExceeded", "Failed", seconds=120.0, backends={"after": {"web-1": 100}}),
            "web-2 was given up after 120 s: not ready in time: 0 of 2; the traffic stays with web-1 100 %",
        ),
        (rollout("TrafficMoved", "Draining"), "web-2 gets no new requests: another revision has the traffic"),
        (rollout("Drained", "Retired"), "web-2 was retired (its requests have ended, 1.2 s)"),
        (
            entry("Route/web", "Programmed", before={}, after={"web-1": 90, "web-2": 10}, table="1f"),
            "the gateway confirmed nobody -> web-1 90 %, web-2 10 % (table 1f)",
        ),
        (
            entry("Model/m", "ChampionMoved", to=2, by="ada", why="imported", gate="none", **FROM),
            "m:2 became champion (m:1 before): imported, by ada",
        ),
        (
            entry("Model/m", "GateFailed", "m:2: accuracy 0.1 is below the minimum 0.9", model="m", version=2),
            "the gate held m:2 back: accuracy 0.1 is below the minimum 0.9",
        ),
        (entry(JOB, "CacheHit", "job fingerprint seen in m:1"), "nothing ran: job fingerprint seen in m:1"),
        (entry("Gateway/gateway", "Unreachable", "gone\nreally"), "Envoy does not answer: gone"),
        (entry("Gateway/gateway", "SomethingNew", "of a later Shipway"), "SomethingNew: of a later Shipway"),
    ],
)
def test_sentences(told: Entry, text: str) -> None:
    assert sentence(told, {}) == text


def test_what_holds_and_what_to_do() -> None:
    failed = job().mark_failed(None, "NoOutput", "nothing in the folder", "", "", T0)
    told = story(JOB, [], [failed], T0)
    assert told.exists
    [held] = told.now
    assert (held.type, held.status, held.reason, held.since) == ("Complete", "False", "NoOutput", T0)
    assert held.text == "the code left no output: nothing in the folder"
    assert [(one.text, one.command) for one in told.next] == [
        ("write files to $SHIPWAY_OUTPUT_DIR", "shipway logs job/digits")
    ]


def test_a_back_off_says_when_the_next_attempt_starts() -> None:
    later = T0 + timedelta(seconds=4)
    run = Run(id="digits-1", fingerprint=OLD, started_at=T0, retry_at=later)
    first, *_ = story(JOB, [], [job().mark_retrying(run, "Error: exit code 3", T0)], T0).next
    assert (first.text, first.at) == ("attempt 2 of 1 starts by itself", later)
    assert story(JOB, [], [job().mark_retrying(run, "x", T0)], later).next[0].at is None


def test_what_a_refusal_tells_to_do_is_the_next_step() -> None:
    refused = job().mark_failed(None, "Refused", "no node of 1 has one\nAsk for none, or add a node.", "", "", T0)
    told = story(JOB, [], [refused], T0)
    assert told.now[0].text == "Refused: no node of 1 has one"
    assert [one.text for one in told.next] == ["Ask for none, or add a node."]


def test_of_what_is_under_way_nobody_says_that_all_is_done() -> None:
    pending = job().mark_under_way("Preparing", "no node takes it; add nodes", T0)
    assert [one.text for one in story(JOB, [], [pending], T0).next] == [
        "it is under way: wait, or mend what its message names"
    ]


def test_a_judgement_about_an_older_spec_says_so() -> None:
    done = job().mark_failed(None, "Error", "exited with code 3", "", "", T0)
    newer = done.model_copy(update={"metadata": done.metadata.model_copy(update={"generation": 2})})
    assert story(JOB, [], [newer], T0).now[0].text == "exited with code 3 (of the spec before)"


def test_of_what_it_depends_on_only_trouble_is_shown() -> None:
    done = job().mark_failed(None, "Error", "", "", "", T0)
    good = Model(metadata=ObjectMeta(name="digits")).mark_versions((), T0)
    assert [one.subject for one in story(JOB, [], [done, good], T0).now] == [JOB, "Model/digits"]


def test_of_a_deleted_object_the_lines_are_left() -> None:
    told = story(SERVICE, [entry(SERVICE, "Deleted", "web was deleted", type_="ledger", by="ada")], [], T0)
    assert (told.exists, told.now, told.next) == (False, (), ())
    assert [one.text for one in told.lines] == ["web was deleted, by ada"]


@pytest.mark.parametrize("reason", PHRASES)
@pytest.mark.parametrize("subject", [JOB, SERVICE, "Gateway/gateway"])
def test_lines_of_another_shipway_without_our_numbers_are_told_by_their_message(reason: str, subject: str) -> None:
    for times in (1, 5):
        told = story(subject, [entry(subject, reason, "in words")] * times, [], T0).lines
        assert all(one.text for one in told)
