"""What an API server says when it does not do what was asked: Status objects, with the words of the real one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shipway.testing.kubernetes.schema import Kind


class Refusal(Exception):
    """A request that is answered by a Status."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = dict(details) if details is not None else None
        self.headers = dict(headers or {})

    def status(self) -> dict[str, Any]:
        """The body of the answer."""
        made: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        made["message"] = self.message
        if self.reason:
            made["reason"] = self.reason
        if self.details is not None:
            made["details"] = self.details
        return {**made, "code": self.code}


def _details(kind: Kind, name: str, **more: Any) -> dict[str, Any]:
    made = {"name": name, "group": kind.group, "kind": kind.plural}
    return {name: value for name, value in {**made, **more}.items() if value}


def not_found(kind: Kind, name: str) -> Refusal:
    """404: no such object."""
    return Refusal(404, "NotFound", f'{kind.qualified} "{name}" not found', _details(kind, name))


def no_such_resource() -> Refusal:
    """404: no such path."""
    return Refusal(404, "NotFound", "the server could not find the requested resource", {})


def exists(kind: Kind, name: str) -> Refusal:
    """409: the name is taken."""
    return Refusal(409, "AlreadyExists", f'{kind.qualified} "{name}" already exists', _details(kind, name))


def changed(kind: Kind, name: str) -> Refusal:
    """409: another write came between."""
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(kind, name, why)


def conflict(kind: Kind, name: str, why: str) -> Refusal:
    """409: a precondition does not hold."""
    message = f'Operation cannot be fulfilled on {kind.qualified} "{name}": {why}'
    return Refusal(409, "Conflict", message, _details(kind, name))


def apply_conflict(conflicts: Sequence[tuple[str, str]]) -> Refusal:
    """409: fields (path, whose in words) that others own."""
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {whose}", "field": path}
        for path, whose in conflicts
    ]
    owners = list(dict.fromkeys(whose for _, whose in conflicts))
    if len(conflicts) == 1:
        told = f"conflict with {owners[0]}: {conflicts[0][0]}"
    else:
        of = {owner: [path for path, whose in conflicts if whose == owner] for owner in owners}
        told = "\n".join(
            f"conflicts with {owner}:\n" + "\n".join(f"- {path}" for path in paths) for owner, paths in of.items()
        )
    plural = "conflict" if len(conflicts) == 1 else "conflicts"
    message = f"Apply failed with {len(conflicts)} {plural}: {told}"
    return Refusal(409, "Conflict", message, {"causes": causes})


def precondition(kind: Kind, name: str, field: str, wanted: str, actual: str) -> Refusal:
    """409: it is not the object that was meant to be deleted."""
    what, meanwhile = ("UID", "deleted and then recreated") if field == "uid" else ("ResourceVersion", "modified")
    why = f"the {what} in the precondition ({wanted}) does not match the {what} in record ({actual})"
    message = f'Operation cannot be fulfilled on {kind.kind} "{name}": {why}. The object might have been {meanwhile}'
    details = {name: one for name, one in _details(kind, name).items() if name != "group"}
    return Refusal(409, "Conflict", message, {**details, "kind": kind.kind})


def invalid(kind: Kind, name: str, causes: Sequence[tuple[str, str, str]]) -> Refusal:
    """422: (reason, field, message) of each fault."""
    told = [f"{path}: {message}" for _, path, message in causes]
    words = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    listed = [{"reason": reason, "message": message, "field": path} for reason, path, message in causes]
    owner = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    details = {"name": name, "group": kind.group, "kind": kind.kind, "causes": listed}
    details = {name: value for name, value in details.items() if value}
    return Refusal(422, "Invalid", f'{owner} "{name}" is invalid: {words}', details)


def bad_request(message: str) -> Refusal:
    """400: it cannot be understood."""
    return Refusal(400, "BadRequest", message)


def unauthorized() -> Refusal:
    """401: nobody known."""
    return Refusal(401, "Unauthorized", "Unauthorized")


def may_not(kind: Kind, name: str, user: str, verb: str, namespace: str, subresource: str = "") -> Refusal:
    """403: no role of the user allows it."""
    resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
    where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
    asked = f'User "{user}" cannot {verb} resource "{resource}" in API group "{kind.group}"{where}'
    return forbidden(kind, name, asked)


def forbidden(kind: Kind, name: str, why: str) -> Refusal:
    """403: refused by a right, a quota, a policy or a webhook."""
    what = f'{kind.qualified} "{name}"' if name else kind.qualified
    return Refusal(403, "Forbidden", f"{what} is forbidden: {why}", _details(kind, name))


def expired(asked: int, oldest: int) -> Refusal:
    """410: what is asked for has been compacted away."""
    return Refusal(410, "Expired", f"too old resource version: {asked} ({oldest})")


def expired_continue() -> Refusal:
    """410: the rest of this list is gone."""
    message = (
        "The provided continue parameter is too old to display a consistent list result. "
        "You can start a new list without the continue parameter."
    )
    return Refusal(410, "Expired", message)


def unsupported_media() -> Refusal:
    """415: no such kind of patch."""
    return Refusal(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})


def no_field_manager() -> Refusal:
    """422: who applies says who they are."""
    told = "Required value: is required for apply patch"
    causes = [{"reason": "FieldValueRequired", "message": told, "field": "fieldManager"}]
    details = {"group": "meta.k8s.io", "kind": "PatchOptions", "causes": causes}
    return Refusal(422, "Invalid", f'PatchOptions.meta.k8s.io "" is invalid: fieldManager: {told}', details)


def too_many(seconds: int) -> Refusal:
    """429: come again later."""
    details = {"retryAfterSeconds": seconds} if seconds else None
    message = "Too many requests, please try again later."
    return Refusal(429, "TooManyRequests", message, details, {"Retry-After": str(seconds)})


def broken(code: int, message: str) -> Refusal:
    """500, 503, 504: etcd changes its leader, an API server shuts down."""
    reasons = {503: "ServiceUnavailable", 504: "Timeout"}
    return Refusal(code, reasons.get(code, ""), message)
