"""What ``up`` says at its end, as text and as one JSON document. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipway.deploy.documents import LOCAL, Object, cluster_of, condition, grpc_address, numbers
from shipway.deploy.progress import Failure
from shipway.deploy.result import Result, headline, version_of

Requests = Mapping[str, str]  # service name to a line that asks it


def as_json(result: Result, requests: Requests) -> dict[str, Any]:
    """The one document of ``-o json``; with ``error`` when something failed."""
    document: dict[str, Any] = {
        "upToDate": result.unchanged,
        "reason": _up_to_date(result) if result.unchanged and not result.state.failures else "",
        "jobs": [_job(one) for one in result.of("ModelJob")],
        "models": [_model(result, reference) for reference in result.references],
        "services": [_service(one, requests) for one in result.of("ModelService")],
        "failures": [_failure(one) for one in result.state.failures],
    }
    if result.state.failures:
        first = result.state.failures[0]
        document["error"] = {"code": "WorkloadFailed", "message": headline(first), "nextStep": first.serving}
    return document


def as_text(result: Result, requests: Requests) -> str:
    """The lines for people, failures last."""
    lines = [_up_to_date(result)] if result.unchanged and not result.state.failures else []
    for reference in result.references:
        version = version_of(result.objects, reference)
        metrics = f"  {numbers(version['metrics'])}" if version.get("metrics") else ""
        lines.append(f"model    {reference}  {version.get('digest', '')}{metrics}")
    for service in result.of("ModelService"):
        url = service.get("status", {}).get("url")
        if url:
            lines.append(f"service  {service['metadata']['name']}  {url}")
        elif placed := where(service):
            lines.append(f"service  {service['metadata']['name']}  {placed}")
        if grpc := grpc_address(service):
            lines.append(f"grpc     {service['metadata']['name']}  {grpc}")
    if not result.state.failures:
        lines += [f"try it   {line}" for line in requests.values()]
    return "\n".join(lines)


def where(service: Object) -> str:
    """``cluster prod, digits.ml.svc:80``; empty for a service of this machine."""
    if cluster_of(service) == LOCAL:
        return ""
    return ", ".join([f"cluster {cluster_of(service)}", *service.get("status", {}).get("addresses", ())])


def _up_to_date(result: Result) -> str:
    seen = [f"job fingerprint seen in {job['status']['version']}" for job in result.versioned]
    return "up to date" + (f": {', '.join(seen)}" if seen else "")


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


def _service(service: Object, requests: Requests) -> dict[str, Any]:
    name, status = service["metadata"]["name"], service.get("status", {})
    return {
        "name": name,
        "url": status.get("url"),
        "cluster": cluster_of(service),
        "addresses": list(status.get("addresses", ())),
        "revision": status.get("readyRevision"),
        "model": status.get("model"),
        "readyReplicas": status.get("readyReplicas", 0),
        "request": requests.get(name),
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
