"""How a container ended, and why. Pure.

Source: docs/contract.md, End; k8s.io/kubernetes pkg/kubelet/container and kuberuntime (reasons of terminated states).
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from shipway.cluster.kubernetes.names import Manifest
from shipway.cluster.kubernetes.watch import fields
from shipway.cluster.kubernetes.watch.why import Why, quoted

MODEL_CANNOT_BE_LOADED = 3
NEVER_AGAIN = 42  # a job's code that ends so is not tried again
_NOT_RUNNABLE, _NO_COMMAND = 126, 127  # as shells and our launcher say it
_SIGNALS = range(129, 129 + 64)  # 128 + the signal's number

_NOT_THERE = re.compile(r'(?:exec: )?"([^"]+)"?:? .*(?:executable file not found|no such file or directory)')
_KILLED_BY_PROBE = re.compile(r"failed (startup|liveness) probe")
_DOOM = {"startup": "StartupProbeFailed", "liveness": "LivenessProbeFailed"}


def how(ended: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Exit code and signal of a terminated state: one of the two."""
    code = int(ended.get("exitCode", 0))
    number = int(ended.get("signal") or 0) or (code - 128 if code in _SIGNALS else 0)
    return (None, number) if number else (code, None)


def last_words(ended: Mapping[str, Any], tail: str = "") -> str:
    """The end of the container's log: what kubelet sent along (FallbackToLogsOnError), else what was read of it."""
    message = str(ended.get("message") or "").strip("\n")
    return tail if not message or _document(message) is not None else message


def output_of(ended: Mapping[str, Any]) -> str:
    """The reference of the result that our launcher wrote as last line of the termination message; else empty."""
    lines = str(ended.get("message") or "").strip().splitlines()
    document = _document(lines[-1]) if lines else None
    return str(document.get("output") or "") if document else ""


def why_ended(
    pod: Manifest, name: str, ended: Mapping[str, Any], *, tail: str = "", events: Sequence[Manifest] = ()
) -> Why:
    """``events`` are the Pod's. A server is a Pod that is always started again."""
    server = fields.is_server(pod)
    words = last_words(ended, tail)
    line = words.rstrip().rpartition("\n")[2].strip()
    reason = str(ended.get("reason") or "")
    code, number = how(ended)
    if reason == "OOMKilled":
        limit = ((fields.container(pod, name).get("resources") or {}).get("limits") or {}).get("memory")
        at = f"the memory limit of {limit}" if limit else "the limit of the node's memory"
        return Why("OOMKilled", f"killed by the kernel at {at}; raise `resources.memory`")
    if reason == "ContainerStatusUnknown":
        return Why("NodeLost", "its node lost it: how it ended, nobody knows; Kubernetes starts another one by itself")
    if reason in ("StartError", "ContainerCannotRun", "RunContainerError"):
        return why_not_started(str(ended.get("message") or ""))
    if doom := _probe_that_killed(name, ended, events):
        return doom
    if number:
        return Why("Error", f"ended by signal {number} ({_signal_name(number)})")
    return _by_code(code or 0, line, server=server)


def _by_code(code: int, line: str, *, server: bool) -> Why:
    said = f": {quoted(line)}" if line else ""
    if code == 0:
        return Why("Completed", "")
    if code == MODEL_CANNOT_BE_LOADED and server:
        return Why("ModelNotLoaded", quoted(line))
    if code == _NO_COMMAND:
        return Why("CommandNotFound", quoted(line) or f"exited with code {code}: no such command")
    if code == _NOT_RUNNABLE:
        return Why("CannotStart", quoted(line) or f"exited with code {code}: the command cannot be run")
    if code == NEVER_AGAIN and not server:
        return Why("Error", f"exited with code {code}, which says: never again{said}")
    return Why("Error", f"exited with code {code}{said}")


def why_not_started(message: str) -> Why:
    """The runtime could not make the process."""
    if found := _NOT_THERE.search(message):
        return Why("CommandNotFound", f"command {found[1]!r} is not in the image; check `command` and the requirements")
    return Why("CannotStart", f"the container cannot be started ({quoted(message)}); check `command` and the image")


def _probe_that_killed(name: str, ended: Mapping[str, Any], events: Sequence[Manifest]) -> Why | None:
    """kubelet says in an event, and only there, that it was a probe that ended the container."""
    began = fields.time(ended.get("startedAt"))
    for event in reversed(events):
        killed = event.get("reason") == "Killing" and _KILLED_BY_PROBE.search(str(event.get("message", "")))
        if killed and (began is None or fields.event_time(event) >= began) and f" {name} " in str(event["message"]):
            doom = _DOOM[killed[1]]
            told = next((why for one in reversed(events) if (why := why_probe(one)) and why.reason == doom), None)
            return told or Why(doom, f"its {killed[1]} probe failed")
    return None


_PROBE = re.compile(r"^(Startup|Readiness|Liveness) probe (?:failed|errored)[^:]*: (.*)$", re.DOTALL)
_STATUS = re.compile(r"HTTP probe failed with statuscode: (\d+)")
_ASKED = re.compile(r'Get "https?://[^/"]*(/[^"?]*)[^"]*": (.*)', re.DOTALL)
_HELPS = {
    "Startup": "read its log, or give it time: `startup.failureThreshold`",
    "Readiness": "it gets no traffic until it passes; read its log",
    "Liveness": "it is started again; read what it printed before it fell silent",
}


def why_probe(event: Manifest, pod: Manifest | None = None) -> Why | None:
    """Of an "Unhealthy" event: which probe, on which path, what was answered."""
    found = _PROBE.match(str(event.get("message", "")))
    if event.get("reason") != "Unhealthy" or found is None:
        return None
    kind, said = found[1], found[2].strip()
    path = _path(pod, kind)
    if answered := _STATUS.search(said):
        told = f"answers {answered[1]}"
    elif asked := _ASKED.search(said):
        path, told = asked[1], _network(asked[2])
    else:
        told = _network(said)
    asks = f"GET {path}" if path else "connecting to its port"
    return Why(f"{kind}ProbeFailed", f"its {kind.lower()} probe fails: {asks}: {told}; {_HELPS[kind]}")


def _path(pod: Manifest | None, kind: str) -> str:
    probe = fields.container(pod).get(f"{kind.lower()}Probe") or {} if pod is not None else {}
    return str((probe.get("httpGet") or {}).get("path") or "")


def _network(said: str) -> str:
    for short in ("connection refused", "i/o timeout", "no route to host", "connection reset by peer"):
        if short in said:
            return short
    return "no answer in time" if "deadline exceeded" in said or "Timeout exceeded" in said else quoted(said)


def _signal_name(number: int) -> str:
    try:
        return signal.strsignal(number) or "unknown"
    except ValueError:
        return "unknown"


def _document(text: str) -> Mapping[str, Any] | None:
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
