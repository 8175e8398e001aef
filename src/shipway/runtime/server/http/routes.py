"""Which path and method ask for what. Pure.

Source: Open Inference Protocol v2, "HTTP/REST" (the paths); Triton's extensions "Model Repository" and "Generate"
(``/v2/repository``, ``infer_stream`` after its ``generate_stream``); TensorFlow Serving's "RESTful API" (``/v1``); RFC
9110 section 15.5.6 (405 and Allow).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from shipway.runtime.server.http.replies import HttpError


class Action(Enum):
    """What a request asks for."""

    SERVER = auto()
    LIVE = auto()
    READY = auto()
    MODEL = auto()
    MODEL_READY = auto()
    INFER = auto()
    INFER_STREAM = auto()
    INDEX = auto()
    LOAD = auto()
    UNLOAD = auto()
    V1_MODEL = auto()
    V1_PREDICT = auto()
    PREDICT = auto()
    METRICS = auto()
    OPENAPI = auto()
    STATE = auto()


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for, and of which model: "" is the server's own one; ``version`` None is the default one."""

    action: Action
    model: str = ""
    version: str | None = None


INFERENCES = frozenset({Action.INFER, Action.INFER_STREAM, Action.V1_PREDICT, Action.PREDICT})
REPOSITORY = frozenset({Action.INDEX, Action.LOAD, Action.UNLOAD})

_FIXED = {
    "/v2": Action.SERVER,
    "/v2/health/live": Action.LIVE,
    "/v2/health/ready": Action.READY,
    "/v2/repository/index": Action.INDEX,
    "/predict": Action.PREDICT,
    "/metrics": Action.METRICS,
    "/shipway/openapi.json": Action.OPENAPI,
    "/shipway/state": Action.STATE,
}
_OF_A_MODEL = {
    "": Action.MODEL,
    "ready": Action.MODEL_READY,
    "infer": Action.INFER,
    "infer_stream": Action.INFER_STREAM,
}
_OF_THE_REPOSITORY = {"load": Action.LOAD, "unload": Action.UNLOAD}
_V1 = {"": Action.V1_MODEL, "predict": Action.V1_PREDICT}


@lru_cache(maxsize=1024)
def find(method: str, path: str) -> Target:
    """What is asked for; the path is percent-decoded. Raises HttpError: 404 for an unknown path, 405 with ``Allow``."""
    target = _target(path)
    if target is None:
        raise HttpError(
            404,
            f"no such path {path!r}: POST /predict or /v2/models/NAME/infer, GET /v2/models/NAME; "
            "/shipway/openapi.json has them all",
        )
    allowed = ("POST",) if target.action in INFERENCES | REPOSITORY else ("GET", "HEAD")
    if method not in allowed:
        allow = ", ".join(allowed)
        raise HttpError(405, f"{path} takes {allow}, not {method}", (("allow", allow),))
    return target


def _target(path: str) -> Target | None:
    fixed = _FIXED.get(path) or _FIXED.get(path.removesuffix("/"))
    if fixed is not None:
        return Target(fixed)
    match path.removesuffix("/").split("/")[1:]:
        case ["v2", "models", name]:
            return _of(_OF_A_MODEL, "", name)
        case ["v2", "models", name, verb]:
            return _of(_OF_A_MODEL, verb, name)
        case ["v2", "models", name, "versions", version]:
            return _of(_OF_A_MODEL, "", name, version)
        case ["v2", "models", name, "versions", version, verb]:
            return _of(_OF_A_MODEL, verb, name, version)
        case ["v2", "repository", "models", name, verb]:
            return _of(_OF_THE_REPOSITORY, verb, name)
        case ["v1", "models", last]:
            name, _, verb = last.partition(":")
            return _of(_V1, verb, name)
        case ["v1", "models", name, "versions", last]:
            version, _, verb = last.partition(":")
            return _of(_V1, verb, name, version)
    return None


def _of(verbs: dict[str, Action], verb: str, name: str, version: str | None = None) -> Target | None:
    action = verbs.get(verb)
    return Target(action, name, version) if action is not None and name and version != "" else None
