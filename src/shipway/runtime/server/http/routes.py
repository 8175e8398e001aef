"""Which path and method ask for what. Pure.

Source: Open Inference Protocol v2, "HTTP/REST" (the paths), RFC 9110 section 15.5.6 (405 and Allow).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from urllib.parse import unquote


class Action(Enum):
    """What a request asks for."""

    SERVER = auto()
    LIVE = auto()
    READY = auto()
    MODEL = auto()
    MODEL_READY = auto()
    INFER = auto()
    PREDICT = auto()
    METRICS = auto()


class HttpError(Exception):
    """An answer that is not 200: ``{"error": message}``."""

    def __init__(self, status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for, and of which model; ``version`` None is the default one."""

    action: Action
    model: str = ""
    version: str | None = None


_FIXED = {
    "/v2": Action.SERVER,
    "/v2/health/live": Action.LIVE,
    "/v2/health/ready": Action.READY,
    "/predict": Action.PREDICT,
    "/metrics": Action.METRICS,
}
_OF_A_MODEL = {(): Action.MODEL, ("ready",): Action.MODEL_READY, ("infer",): Action.INFER}
_POSTED = frozenset({Action.INFER, Action.PREDICT})


@lru_cache(maxsize=1024)
def find(method: str, path: str) -> Target:
    """What is asked for. Raises HttpError: 404 for an unknown path, 405 with ``Allow``."""
    target = _target(path)
    if target is None:
        raise HttpError(404, f"no such path {path!r}: POST /predict or /v2/models/NAME/infer, GET /v2/models/NAME")
    allowed = ("POST",) if target.action in _POSTED else ("GET", "HEAD")
    if method not in allowed:
        allow = ", ".join(allowed)
        raise HttpError(405, f"{path} takes {allow}, not {method}", (("allow", allow),))
    return target


def _target(path: str) -> Target | None:
    fixed = _FIXED.get(path) or _FIXED.get(path.rstrip("/"))
    if fixed is not None:
        return Target(fixed)
    match [unquote(one) for one in path.strip("/").split("/")]:
        case ["v2", "models", name, "versions", version, *rest] if tuple(rest) in _OF_A_MODEL:
            return Target(_OF_A_MODEL[tuple(rest)], name, version)
        case ["v2", "models", name, *rest] if tuple(rest) in _OF_A_MODEL:
            return Target(_OF_A_MODEL[tuple(rest)], name)
    return None
