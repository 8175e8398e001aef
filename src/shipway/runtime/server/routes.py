"""Which path and method ask for what. Pure.

Source: Open Inference Protocol v2, "HTTP/REST" (the paths), RFC 9110 section 15.5.6 (405 and Allow).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


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


_POSTED = (Action.INFER, Action.PREDICT)


@dataclass(frozen=True, slots=True)
class Router:
    """Routes of one model; made by :func:`router_for`."""

    model: str
    version: str
    paths: dict[str, Action]

    def find(self, method: str, path: str) -> Action:
        """What is asked for. Raises HttpError: 404 that names what is unknown, 405 with ``Allow``."""
        action = self.paths.get(path) or self.paths.get(path.rstrip("/"))
        if action is None:
            raise HttpError(404, self._not_found(path))
        allowed = ("POST",) if action in _POSTED else ("GET", "HEAD")
        if method not in allowed:
            allow = ", ".join(allowed)
            raise HttpError(405, f"{path} takes {allow}, not {method}", (("allow", allow),))
        return action

    def _not_found(self, path: str) -> str:
        match path.strip("/").split("/"):
            case ["v2", "models", name, *_] if name != self.model:
                return f"unknown model {name!r}: this server has {self.model!r}"
            case ["v2", "models", _, "versions", version, *_] if version != self.version:
                return f"unknown version {version!r} of model {self.model!r}: this server has {self.version!r}"
        return f"no such path {path!r}: POST /predict or /v2/models/{self.model}/infer, GET /v2/models/{self.model}"


def router_for(model: str, version: str) -> Router:
    """The routes of one version of one model."""
    paths = {
        "/v2": Action.SERVER,
        "/v2/health/live": Action.LIVE,
        "/v2/health/ready": Action.READY,
        "/predict": Action.PREDICT,
        "/metrics": Action.METRICS,
    }
    for root in (f"/v2/models/{model}", f"/v2/models/{model}/versions/{version}"):
        paths[root] = Action.MODEL
        paths[f"{root}/ready"] = Action.MODEL_READY
        paths[f"{root}/infer"] = Action.INFER
    return Router(model, version, paths)
