"""What is told of the server and its models, without asking a model anything.

Source: Open Inference Protocol v2, "Health", "Server Metadata", "Model Metadata"; TensorFlow Serving, "Model status
API"; KServe's V1 (``ready``).
"""

from __future__ import annotations

from typing import Any

from shipway import __version__
from shipway.runtime.server.http.openapi import document
from shipway.runtime.server.http.replies import Reply, json_reply
from shipway.runtime.server.http.routes import Action, Target
from shipway.runtime.server.observe.exposition import CONTENT_TYPE
from shipway.runtime.server.observe.metrics import Metrics
from shipway.runtime.server.repository import Repository
from shipway.runtime.server.served import ServedModel
from shipway.runtime.server.settings import Settings
from shipway.runtime.server.state import State

_EXTENSIONS = ["binary_tensor_data", "model_repository", "model_repository(unload_dependents)", "infer_stream"]


async def page(target: Target, settings: Settings, repository: Repository, state: State, metrics: Metrics) -> Reply:
    """The answer to whatever is neither an inference nor a change. Raises Refused."""
    name, version = target.model, target.version
    match target.action:
        case Action.LIVE:
            return json_reply({"live": True})
        case Action.READY:
            return _readiness(settings.model, state, ready=state.ready)
        case Action.MODEL_READY:
            return _readiness(name, state, ready=repository.is_ready(name, version))
        case Action.MODEL:
            served = await repository.acquire(name, version)
            served.release()
            return json_reply(_metadata(repository, served))
        case Action.V1_MODEL:
            return json_reply(_v1_status(repository, name, version))
        case Action.METRICS:
            return Reply(metrics.render(ready=state.ready).encode(), 200, (("content-type", CONTENT_TYPE),))
        case Action.OPENAPI:
            return json_reply(document())
        case Action.STATE:
            return json_reply(_state(repository, state))
        case _:
            return json_reply({"name": "shipway", "version": __version__, "extensions": _EXTENSIONS})


def _readiness(name: str, state: State, *, ready: bool) -> Reply:
    body = {"name": name, "live": True, "ready": ready}
    return json_reply(body if ready else body | {"error": _why_not(state)}, 200 if ready else 503)


def _why_not(state: State) -> str:
    return "the model is not loaded" if state.ready else state.phase.value


def _metadata(repository: Repository, served: ServedModel) -> dict[str, Any]:
    return {
        "name": served.name,
        "versions": repository.versions(served.name),
        "platform": served.description.format,
        "inputs": [one.to_json() for one in served.signature.inputs],
        "outputs": [one.to_json() for one in served.signature.outputs],
    }


def _v1_status(repository: Repository, name: str, version: str | None) -> dict[str, Any]:
    versions = [version] if version is not None else repository.versions(name)
    ready = {one: repository.is_ready(name, one) for one in versions}
    return {
        "name": name,
        "ready": any(ready.values()),
        "model_version_status": [
            {
                "version": one,
                "state": "AVAILABLE" if is_ready else "LOADING",
                "status": {"error_code": "OK", "error_message": ""},
            }
            for one, is_ready in ready.items()
        ],
    }


def _state(repository: Repository, state: State) -> dict[str, Any]:
    """For whoever decides how many replicas are needed. Times are seconds."""
    models = [_load(served) for served in repository.served()]
    return {
        "phase": state.phase.name.lower(),
        "ready": state.ready,
        "inFlight": sum(one["inFlight"] for one in models),
        "utilisation": max((one["utilisation"] for one in models), default=0.0),
        "queuedSeconds": max((one["queuedSeconds"] for one in models), default=0.0),
        "models": models,
    }


def _load(served: ServedModel) -> dict[str, Any]:
    load = served.load()
    return {
        "name": served.name,
        "version": served.version,
        "inFlight": served.metrics.in_flight,
        "pending": load.pending,
        "queuedRows": load.rows,
        "queuedSeconds": load.seconds,
        "utilisation": served.metrics.utilisation(),
    }
