"""One journal entry as a sentence, as a colleague would tell it. The numbers come from the entry's data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shipway.explain.files import FileChanges, Pair, pairs_of
from shipway.explain.words import PHRASES
from shipway.kinds.route import shares_in_words
from shipway.ports import Entry

Files = Mapping[Pair, FileChanges]


def sentence(entry: Entry, files: Files) -> str:
    """Without time and without subject."""
    try:
        return _sentence(entry, files)
    except (KeyError, TypeError):  # another Shipway wrote it, with other numbers
        return told(entry.reason, entry.message)


def _sentence(entry: Entry, files: Files) -> str:
    data = entry.data
    if entry.type == "decision" and entry.subject.startswith("ModelJob/") and "attempt" in data:
        return _of_attempt(entry, files)
    if entry.type == "decision" and "to" in data and "revision" in data:
        return _of_rollout(entry)
    if entry.reason == "RevisionMade":
        return _why(entry, files)
    tell = _TOLD.get(entry.reason)
    return tell(entry) if tell is not None else told(entry.reason, entry.message)


def told(reason: str, message: str) -> str:
    """A reason in words, with its message where that says more."""
    phrase = PHRASES.get(reason, reason)
    first = message.partition("\n")[0]
    if reason == "Error" and first:
        return first
    if first.lower().startswith(phrase.lower()):
        return first
    return f"{phrase}: {first}" if first else phrase


def ran(start: Entry, end: Entry, files: Files) -> str:
    """A run that ended well, from the decisions to start and to pack it."""
    verb = "trained" if start.data.get("model") else "ran"
    took = _seconds(end.data)
    attempts = f", attempt {end.data['attempt']}" if end.data.get("attempt", 1) > 1 else ""
    return f"{verb} because {_why(start, files)} (run {end.data['run']}{attempts}{', ' + took if took else ''})"


def restarts(count: int, last: Entry) -> str:
    """Many restarts as one sentence."""
    who = f"replicas of {last.data['revision']}" if "revision" in last.data else "Envoy"
    return f"{who} restarted {count} times, last: {_end(last.data)}"


def failures(count: int, last: Entry) -> str:
    """Many failed attempts as one sentence."""
    return f"{count} attempts of run {last.data['run']} failed, last: {_attempt(last)}: {_cause(last)}"


def _of_attempt(entry: Entry, files: Files) -> str:
    data = entry.data
    match entry.reason:
        case "CacheMiss" | "CacheOff" | "Retrain":
            return f"started run {data['run']} because {_why(entry, files)}"
        case "Retry":
            return f"started attempt {data['attempt']} of {data['retries'] + 1} of run {data['run']}"
        case "Finished":
            took = _seconds(data)
            return f"run {data['run']} ended with exit code 0{' after ' + took if took else ''}"
        case "BackOff":
            return f"{_attempt(entry)} failed: {_cause(entry)}; the next one {data['delay']:g} s later"
    return f"{_attempt(entry)} of run {data['run']} failed, and was the last: {told(entry.reason, entry.message)}"


def _attempt(entry: Entry) -> str:
    took = _seconds(entry.data)
    of = f" of {entry.data['retries'] + 1}" if "retries" in entry.data else ""
    return f"attempt {entry.data['attempt']}{of}{' (' + took + ')' if took else ''}"


def _cause(failed: Entry) -> str:
    cause = failed.data.get("cause", "Error")
    return told(cause, failed.message.removeprefix(f"{cause}: "))


def _why(entry: Entry, files: Files) -> str:
    told = entry.message
    for name, pair in pairs_of(entry):
        if pair in files:
            # The message was written when it was decided, and names no files: they are looked up now.
            place = f"{name} changed" if name == "source" else f"{name} has other files"
            told = told.replace(place, f"{place} ({files[pair].in_words()})", 1)
    return told


def _of_rollout(entry: Entry) -> str:
    data, name = entry.data, entry.data["revision"]
    took = _seconds(data)
    match data["to"]:
        case "Starting":
            again = "" if entry.reason == "New" else f" again ({PHRASES[entry.reason]})"
            return f"{name} was started{again}: {data['wanted']} replica{'s' if data['wanted'] != 1 else ''}"
        case "Ready":
            routed = data.get("backends") or {}
            after = f" after {took}" if took else ""
            moved = f"; its traffic: {_moved(routed)}" if routed else ""
            return f"{name} is ready, {data['ready']} of {data['wanted']} replicas{after}{moved}"
        case "Failed":
            why = told(entry.reason, entry.message.removeprefix(f"{name}: Failed, "))
            kept = shares_in_words((data.get("backends") or {}).get("after"))
            return f"{name} was given up{' after ' + took if took else ''}: {why}; the traffic stays with {kept}"
        case "Draining":
            return f"{name} gets no new requests: another revision has the traffic"
    return f"{name} was retired ({PHRASES[entry.reason]}{', ' + took if took else ''})"


def _moved(data: Mapping[str, Any]) -> str:
    return f"{shares_in_words(data.get('before'))} -> {shares_in_words(data.get('after'))}"


def _live(entry: Entry) -> str:
    why = entry.data.get("why")
    return f"{entry.message}{': ' + why if why else ''}{_by(entry)}"


def _champion(entry: Entry) -> str:
    model, old, new = entry.subject.partition("/")[2], entry.data.get("from"), entry.data.get("to")
    before = f"{model}:{old} before" if old else "the first one"
    why = entry.data.get("why") if entry.data.get("gate") != "passed" else ""  # the gate's line has the numbers
    return f"{model}:{new} became champion ({before}){': ' + why if why else ''}{_by(entry)}"


def _gate(entry: Entry) -> str:
    version = f"{entry.data['model']}:{entry.data['version']}"
    said = "let {} pass" if entry.reason == "GatePassed" else "held {} back"
    return f"the gate {said.format(version)}: {entry.message.removeprefix(f'{version}: ')}"


def _restarted(entry: Entry) -> str:
    data = entry.data
    return (
        f"replica {data['replica']} of {data['revision']} was started again (restart {data['restarts']}): {_end(data)}"
    )


def _end(data: Mapping[str, Any]) -> str:
    cause = data.get("cause") or ""
    words = f"{PHRASES.get(cause, cause)}, " if cause not in ("", "Error", "Completed") else ""
    if data.get("signal") is not None:
        return f"{words}signal {data['signal']}"
    return f"{words}exit code {data['exitCode']}" if data.get("exitCode") is not None else f"{words}no exit code known"


def _programmed(entry: Entry) -> str:
    if "after" not in entry.data:
        return PHRASES["Programmed"]
    table = entry.data.get("table", "")
    return f"the gateway confirmed {_moved(entry.data)} (table {table})"


def _succeeded(entry: Entry) -> str:
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in (entry.data.get("metrics") or {}).items())
    version = entry.data.get("version")
    made = f"made {version}" if version else "done"
    return f"{made}{': ' + metrics if metrics else ''}"


def _by(entry: Entry) -> str:
    by = entry.data.get("by")
    return f", by {by}" if by else ""


def _seconds(data: Mapping[str, Any]) -> str:
    seconds = data.get("seconds")
    return "" if seconds is None else f"{seconds:.1f} s" if seconds < 100 else f"{seconds:.0f} s"


_TOLD: dict[str, Callable[[Entry], str]] = {
    "Added": lambda one: one.message + _by(one),
    "AliasMoved": lambda one: one.message + _by(one),
    "Applied": lambda one: one.message,
    "ChampionMoved": _champion,
    "CacheHit": lambda one: f"nothing ran: {one.message}",
    "Deleted": lambda one: one.message + _by(one),
    "DeleteAsked": lambda one: one.message,
    "Collected": lambda one: one.message,
    "Forgotten": lambda one: one.message,
    "GateFailed": _gate,
    "GatePassed": _gate,
    "GatewayRestarted": lambda one: one.message,
    "Imported": lambda one: one.message + _by(one),
    "Live": _live,
    "ModelDeleted": lambda one: one.message + _by(one),
    "Programmed": _programmed,
    "Pulled": lambda one: one.message + _by(one),
    "Pushed": lambda one: one.message + _by(one),
    "ReplicaRestarted": _restarted,
    "Succeeded": _succeeded,
    "Trusted": lambda one: one.message + _by(one),
    "UndoAsked": lambda one: one.message,
    "VersionRemoved": lambda one: one.message + _by(one),
}
