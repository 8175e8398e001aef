"""What ``up`` says at its end, as text and as one JSON document. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shipway.cli.hubs import Key
from shipway.cli.progress import Failure, Progress
from shipway.cli.tables import condition, numbers

Object = Mapping[str, Any]

FRAME = "\x1eshipway-"  # how a metric line begins (docs/contract.md)


@dataclass(frozen=True, slots=True)
class Result:
    """Everything that the end of ``up`` tells. ``requests``: service name to a curl line."""

    state: Progress
    objects: Mapping[Key, Object]
    wanted: tuple[Key, ...]
    unchanged: bool
    requests: Mapping[str, str]

    def of(self, kind: str) -> Iterable[Object]:
        """The wanted objects of a kind that still exist."""
        return [self.objects[key] for key in self.wanted if key[0] == kind and key in self.objects]


def version_of(objects: Mapping[Key, Object], reference: str) -> Object:
    """The version ``digits:2`` as its Model lists it; an empty mapping when it does not."""
    name, _, number = reference.partition(":")
    versions = objects.get(("Model", name), {}).get("status", {}).get("versions", ())
    return next((one for one in versions if str(one["number"]) == number), {})


def as_json(result: Result) -> dict[str, Any]:
    """The one document of ``-o json``; with ``error`` when something failed."""
    document: dict[str, Any] = {
        "upToDate": result.unchanged,
        "reason": _up_to_date(result) if result.unchanged and not result.state.failures else "",
        "jobs": [_job(one) for one in result.of("ModelJob")],
        "models": [_model(result, reference) for reference in _references(result)],
        "services": [_service(result, one) for one in result.of("ModelService")],
        "failures": [_failure(one) for one in result.state.failures],
    }
    if result.state.failures:
        first = result.state.failures[0]
        document["error"] = {"code": "WorkloadFailed", "message": headline(first), "nextStep": first.serving}
    return document


def as_text(result: Result) -> str:
    """The lines for people, failures last."""
    lines = [_up_to_date(result)] if result.unchanged and not result.state.failures else []
    for reference in _references(result):
        version = version_of(result.objects, reference)
        metrics = f"  {numbers(version['metrics'])}" if version.get("metrics") else ""
        lines.append(f"model    {reference}  {version.get('digest', '')}{metrics}")
    for service in result.of("ModelService"):
        url = service.get("status", {}).get("url")
        if url:
            lines.append(f"service  {service['metadata']['name']}  {url}")
    if not result.state.failures:
        lines += [f"try it   {line}" for line in result.requests.values()]
    return "\n".join(lines)


def failure_text(failure: Failure) -> str:
    """What failed, the end of its log, where the whole log is, and what goes on."""
    lines = [headline(failure)]
    tail = _log_lines(failure.tail)
    if tail and tail != [failure.message]:  # a one-line log that is the message already
        lines += ["", *(f"    {line}" for line in tail), ""]
    if failure.log:
        lines.append(f"the full log: {failure.log}")
    if failure.serving:
        lines.append(failure.serving)
    return "\n".join(lines)


def _log_lines(tail: str) -> list[str]:
    """Without metric lines: they were shown as numbers. Not splitlines: it would split at their first byte."""
    return [line for line in tail.rstrip().split("\n") if line and not line.startswith(FRAME)]


def headline(failure: Failure) -> str:
    """``ModelJob/digits: OOMKilled: limit 64Mi``; ``Error`` says nothing that the message does not say better."""
    kind, name = failure.subject
    parts = [f"{kind}/{name}", failure.reason if failure.reason != "Error" or not failure.message else ""]
    return ": ".join(part for part in [*parts, failure.message] if part)


def _up_to_date(result: Result) -> str:
    seen = [f"job fingerprint seen in {job['status']['version']}" for job in _versioned(result)]
    return "up to date" + (f": {', '.join(seen)}" if seen else "")


def _versioned(result: Result) -> list[Object]:
    return [one for one in result.of("ModelJob") if one.get("status", {}).get("version")]


def _references(result: Result) -> list[str]:
    """The versions that this project made, imported or serves, each once."""
    made = [one["status"]["version"] for one in _versioned(result)]
    served = [
        f"{model['name']}:{model['version']}"
        for one in result.of("ModelService")
        if (model := one.get("status", {}).get("model"))
    ]
    return list(dict.fromkeys([*made, *served]))


def _job(job: Object) -> dict[str, Any]:
    status = job.get("status", {})
    complete = condition(job, "Complete")
    return {
        "name": job["metadata"]["name"],
        "phase": status.get("phase"),
        "reason": complete.get("reason"),
        "message": complete.get("message"),
        "cached": status.get("cached", False),
        "version": status.get("version"),
        "metrics": status.get("metrics", {}),
    }


def _model(result: Result, reference: str) -> dict[str, Any]:
    version = version_of(result.objects, reference)
    return {"version": reference, "digest": version.get("digest"), "metrics": version.get("metrics", {})}


def _service(result: Result, service: Object) -> dict[str, Any]:
    name, status = service["metadata"]["name"], service.get("status", {})
    return {
        "name": name,
        "url": status.get("url"),
        "revision": status.get("readyRevision"),
        "model": status.get("model"),
        "readyReplicas": status.get("readyReplicas", 0),
        "request": result.requests.get(name),
    }


def _failure(failure: Failure) -> dict[str, Any]:
    kind, name = failure.subject
    return {
        "kind": kind,
        "name": name,
        "reason": failure.reason,
        "message": failure.message,
        "tail": failure.tail,
        "log": failure.log,
        "serving": failure.serving,
    }
