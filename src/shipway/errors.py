"""Every error that Shipway raises on purpose, split by who must act.

ShipwayError
├── UserError               the input is wrong: the user changes it
│   ├── InvalidObject       a field of an object, with file, line and path
│   ├── NotFound            the thing that was named does not exist
│   ├── Conflict            somebody else changed it first: read again
│   └── Refused             understood, and not done for a reason of policy or safety
├── WorkloadFailed          the user's code ran and failed: exit code, log tail, gate
├── EnvironmentFault        this machine: fix it and try again
│   ├── HubUnreachable      no hub answers on the home's socket
│   ├── PortTaken           somebody else listens there
│   ├── Corrupt             bytes on disk do not match their digest or format
│   ├── RegistryUnreachable  no registry answers, or it fails: no connection, time-outs, 5xx
│   ├── RegistryRefused     the registry says no: credentials, rights, an unknown name
│   ├── RegistryBroken      what the registry sent is not what was announced
│   ├── ClusterUnreachable  no API server answers: no connection, time-outs, 5xx
│   ├── ClusterRefused      the API server says no: credentials, rights, quota, a policy or webhook
│   └── DependencyFailed    uv, Envoy or another program that we call failed
│       └── Unresponsive        it lives, and does not answer in time
└── PlatformError           our own bug: please report it

A message says what, which object, why; ``next_step`` says what to do. The CLI exits with
``exit_code``; the API answers with ``http_status`` and the error as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class ShipwayError(Exception):
    """The root; never raised itself."""

    exit_code: ClassVar[int] = 70
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    @property
    def code(self) -> str:
        """The stable name of this error, as written in JSON."""
        return type(self).__name__

    def to_json(self) -> dict[str, Any]:
        """The error as the API sends it: ``{code, message, nextStep}``."""
        return {"code": self.code, "message": self.message, "nextStep": self.next_step}

    def __str__(self) -> str:
        return f"{self.message}\n{self.next_step}" if self.next_step else self.message


class UserError(ShipwayError):
    """The input is wrong."""

    exit_code = 2
    http_status = 400


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: its dotted path, what is wrong, and where it stands (line is 1-based)."""

    path: str
    message: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line or "") if part)
        return ": ".join(part for part in (place, self.path, self.message) if part)


class InvalidObject(UserError):
    """An object breaks its schema; carries every error found, not just the first."""

    http_status = 422

    def __init__(self, errors: Sequence[FieldError], *, next_step: str = "") -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors), next_step=next_step)


class NotFound(UserError):
    """The thing that was named does not exist."""

    exit_code = 3
    http_status = 404


class Conflict(UserError):
    """The object changed since it was read."""

    exit_code = 4
    http_status = 409


class Refused(UserError):
    """Understood and not done, for a reason of policy or safety."""

    http_status = 403


class WorkloadFailed(ShipwayError):
    """The user's own code ran and failed."""

    exit_code = 1
    http_status = 502


class EnvironmentFault(ShipwayError):
    """This machine lacks something, or something on it is broken."""

    exit_code = 5
    http_status = 503


class HubUnreachable(EnvironmentFault):
    """No hub answers on the home's socket."""


class PortTaken(EnvironmentFault):
    """Another program listens on the port."""


class Corrupt(EnvironmentFault):
    """Bytes on disk do not match their digest or their format."""


class RegistryUnreachable(EnvironmentFault):
    """No registry answers, or it fails again and again; asking later may help."""


class RegistryRefused(EnvironmentFault):
    """A registry answers, and says no. ``status`` is HTTP's (0: none was sent), ``diagnosis`` the registry's words."""

    def __init__(self, message: str, *, next_step: str = "", status: int = 0, diagnosis: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.status = status
        self.diagnosis = diagnosis


class RegistryBroken(EnvironmentFault):
    """What a registry sent is not what was announced: its digest, its size, its form. Nothing of it is kept."""


class ClusterUnreachable(EnvironmentFault):
    """No API server of Kubernetes answers, or it fails again and again; what runs in the cluster goes on."""


class ClusterRefused(EnvironmentFault):
    """An API server answers, and says no. ``status`` is HTTP's, ``reason`` of Kubernetes' Status ("Forbidden")."""

    def __init__(self, message: str, *, next_step: str = "", status: int = 0, reason: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.status = status
        self.reason = reason


class DependencyFailed(EnvironmentFault):
    """A program that Shipway calls (uv, Envoy) failed."""


class Unresponsive(DependencyFailed):
    """A program that Shipway calls lives, and does not answer in time: what it does meanwhile, it goes on doing."""


class PlatformError(ShipwayError):
    """A bug of Shipway itself."""


def from_json(document: Mapping[str, Any]) -> ShipwayError:
    """Rebuild an error that the API sent; an unknown code becomes :class:`PlatformError`."""
    known = {cls.__name__: cls for cls in _subclasses(ShipwayError)}
    cls = known.get(str(document.get("code", "")), PlatformError)
    message, next_step = str(document.get("message", "")), str(document.get("nextStep", ""))
    if cls is InvalidObject:
        return InvalidObject([FieldError(path="", message=message)], next_step=next_step)
    return cls(message, next_step=next_step)


def _subclasses(cls: type[ShipwayError]) -> list[type[ShipwayError]]:
    direct = cls.__subclasses__()
    return direct + [below for sub in direct for below in _subclasses(sub)]
