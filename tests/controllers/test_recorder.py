"""What is written to the journal once, whichever hub writes it."""

from __future__ import annotations

from shipway.controllers import Recorder
from shipway.testing.clock import FakeClock
from shipway.testing.journal import FakeJournal

A = "ModelService/a"


def hubs(journal: FakeJournal, count: int = 2) -> list[Recorder]:
    """One after the other: the next hub knows nothing but the journal."""
    return [Recorder(journal, FakeClock()) for _ in range(count)]


def reasons(journal: FakeJournal) -> list[str]:
    return [one.reason for one in journal.entries()]


def test_a_state_is_written_when_it_changes() -> None:
    journal = FakeJournal()
    for hub in hubs(journal):
        hub.decision(A, "Programmed", "", {"seconds": 1.0})
        hub.decision(A, "Programmed", "", {"seconds": 2.0})
    hub.decision(A, "Unreachable", "")
    hub.decision(A, "Programmed", "")
    assert reasons(journal) == ["Programmed", "Unreachable", "Programmed"]


def test_a_state_that_comes_again_after_something_else_is_written_again() -> None:
    journal = FakeJournal()
    [hub] = hubs(journal, 1)
    hub.decision(A, "ModelNotAvailable", "there is no model m")
    hub.decision(A, "RevisionMade", "a-00001", once=True)
    for again in (hub, *hubs(journal, 1)):
        again.decision(A, "ModelNotAvailable", "there is no model m")
        assert reasons(journal) == ["ModelNotAvailable", "RevisionMade", "ModelNotAvailable"]


def test_a_decision_that_is_taken_once_is_written_once_whatever_was_decided_since() -> None:
    journal = FakeJournal()
    for hub in hubs(journal):
        hub.decision(A, "Finished", "run 1", {"run": 1, "seconds": 1.0}, once=True)
        hub.decision(A, "Succeeded", "m:1", {"run": 1}, once=True)
    hub.decision(A, "Finished", "run 2", {"run": 2}, once=True)
    assert reasons(journal) == ["Finished", "Succeeded", "Finished"]


def test_an_event_is_told_apart_by_what_it_is_about() -> None:
    journal = FakeJournal()
    about = ("replica", "restarts")
    for hub in hubs(journal):
        hub.event(A, "ReplicaRestarted", "", {"replica": 0, "restarts": 1, "cause": "Error"}, about=about)
        hub.event(A, "ReplicaRestarted", "", {"replica": 1, "restarts": 1}, about=about)
        hub.event(
            A, "ReplicaRestarted", "", {"replica": 0, "restarts": 1, "cause": ""}, about=about
        )  # it is ready again
    hub.event(A, "ReplicaRestarted", "", {"replica": 0, "restarts": 2}, about=about)
    assert [(one.data["replica"], one.data["restarts"]) for one in journal.entries()] == [(0, 1), (1, 1), (0, 2)]


def test_who_asked_last_is_known() -> None:
    journal = FakeJournal()
    for hub in hubs(journal):
        hub.asked(A, "Applied", "created by ada", "ada")
        hub.event(A, "ReplicaRestarted", "", {"replica": 0}, about=("replica",))
    assert reasons(journal).count("Applied") == 2, "each time that somebody asks"
    assert hub.by(A) == "ada"
    hub.asked(A, "DeleteAsked", "by bob", "bob")
    assert hub.by(A) == "bob"
    assert hub.by("ModelService/other") == "the hub"


def test_who_moved_an_alias_is_known() -> None:
    journal = FakeJournal()
    [hub] = hubs(journal, 1)
    hub.ledger("Model/m", "ChampionMoved", "", {"from": None, "to": 1, "by": "ada"})
    hub.ledger("Model/m", "ChampionMoved", "", {"from": 1, "to": 2, "by": "bob"})
    hub.ledger("Model/m", "AliasMoved", "", {"alias": "prod", "from": None, "to": 1, "by": "eve"})
    hub.ledger("Model/m", "Pushed", "", {"version": 1, "to": 2, "by": "dan"})
    assert [hub.moved_by("m", "champion", number) for number in (1, 2, 3)] == ["ada", "bob", "the hub"]
    assert hub.moved_by("m", "prod", 1) == "eve"


def test_the_memory_is_bounded_and_forgets_who_is_gone() -> None:
    journal = FakeJournal()
    [hub] = hubs(journal, 1)
    for number in range(5000):
        hub.decision(f"ModelJob/j{number}", "CacheMiss", "")
    assert len(hub._known) <= 4096
    hub.decision(A, "Programmed", "")
    hub.forget(A)
    assert not any(subject == A for subject, _ in hub._known)
    hub.decision(A, "Programmed", "")
    assert [one.reason for one in journal.entries(subject=A)] == ["Programmed"]
