"""Which revision ``undo`` goes back to, and what the service declares then. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shipway.errors import NotFound, Refused
from shipway.kinds import ModelService, ModelServiceSpec, Revision


@dataclass(frozen=True, slots=True)
class Back:
    """``spec`` is what the service declares from now on; ``present`` the revision that it goes back from."""

    present: str
    revision: Revision
    spec: ModelServiceSpec

    @property
    def pinned(self) -> str:
        """The version that is declared in place of an alias (``digits:1``); empty where nothing was."""
        model = self.revision.spec.model
        return f"{model.name}:{model.version}" if model is not None else ""


def back(service: ModelService, revisions: Sequence[Revision], to: str = "") -> Back:
    """To the revision ``to``, or to the newest before the present one that did not fail.

    The model is declared by its number: an alias names the version that the service is to get away from, or will do so
    at the next training. What a revision does not freeze (replicas, timeout) stays as it is declared now.
    Raises NotFound where there is no such revision any more, Refused when it is the present one.
    """
    by_name = {one.name: one for one in revisions}
    present = service.status.latest_revision
    if not present:
        raise Refused(f"service {service.name!r} has no revision yet: there is nothing to undo")
    if to == present:
        raise Refused(f"{to} is the revision that service {service.name!r} declares now")
    found = by_name.get(to) if to else _before(present, by_name)
    if found is None:
        raise _missing(service, by_name, to, present)
    template = found.spec.template
    frozen = {name: getattr(template, name) for name in type(template).model_fields}
    model = found.spec.model
    frozen["cluster"] = found.spec.cluster  # its image, or its having none, is for that place
    frozen["model"] = f"{model.name}:{model.version}" if model is not None else None
    return Back(present, found, service.spec.model_copy(update=frozen))


def _before(present: str, by_name: dict[str, Revision]) -> Revision | None:
    number = _number(present)
    older = [one for one in by_name.values() if one.spec.number < number and one.status.phase != "Failed"]
    return max(older, key=lambda one: one.spec.number, default=None)


def _number(revision: str) -> int:
    return int(revision.rpartition("-")[2])


def _missing(service: ModelService, by_name: dict[str, Revision], to: str, present: str) -> NotFound:
    kept = sorted(one for one in by_name if one != present)
    there = f"There are: {', '.join(kept)}." if kept else "Change the project's file, and `shipway up`."
    number = to.rpartition("-")[2]
    if to and number.isdigit() and to == f"{service.name}-{number}" and 0 < int(number) < _number(present):
        return NotFound(f"{to} is forgotten: old revisions are removed (docs/retention.md)", next_step=there)
    if to:
        return NotFound(f"service {service.name!r} has no revision {to!r}", next_step=there)
    if any(one.spec.number < _number(present) for one in by_name.values()):
        return NotFound(
            f"no revision before {present} ever got ready", next_step=f"Name one all the same: --to. {there}"
        )
    if _number(present) == 1:
        return NotFound(
            f"{present} is the first revision of service {service.name!r}: there is none before", next_step=there
        )
    return NotFound(
        f"the revisions before {present} are forgotten: old ones are removed (docs/retention.md)", next_step=there
    )
