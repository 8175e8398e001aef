"""What is new in a revision, and how its replicas fared, in words and numbers for the journal. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipway.bundle import Observed, Replica
from shipway.jobs import image_in_words, without_login
from shipway.kinds import RevisionSpec

Changed = Mapping[str, Mapping[str, Any]]

# Their values are long: that they changed is enough.
_UNSPOKEN = frozenset({"source", "requirements"})


def template_changes(before: RevisionSpec, after: RevisionSpec) -> dict[str, dict[str, Any]]:
    """The fields that differ, ``{"from", "to"}`` each; of env, only the names of variables that differ."""
    old, new = _fields(before), _fields(after)
    changed = {name: {"from": old[name], "to": new[name]} for name in new if old[name] != new[name]}
    if "env" in changed:
        changed["env"] = {"from": _others(old["env"], new["env"]), "to": _others(new["env"], old["env"])}
    if "requirements" in changed:
        changed["requirements"] = {key: _shown(lines) for key, lines in changed["requirements"].items()}
    return changed


def in_words(changed: Changed) -> list[str]:
    """``model digits:1 -> digits:2``, ``source changed``."""
    return [_spoken(name, one) for name, one in changed.items()]


def restart_of(revision: str, replica: Replica, observed: Observed) -> tuple[str, dict[str, Any]]:
    """The latest restart of a replica: message and data."""
    data = {
        "revision": revision,
        "replica": replica.index,
        "restarts": replica.restarts,
        "since": observed.started_at.isoformat() if observed.started_at else None,
        "exitCode": replica.exit_code,
        "signal": replica.signal,
        # Of one that came up, reason and message are of the probe that fails now, and not of its end.
        "cause": replica.reason if replica.phase != "NotReady" else "",
        "said": replica.message if replica.phase != "NotReady" else "",
        "tail": observed.tail,
    }
    return f"replica {replica.index} of {revision} {how_ended(replica)} and was started again", data


def how_ended(ended: Replica) -> str:
    """``ended with exit code 3``."""
    if ended.signal is not None:
        return f"was ended by signal {ended.signal}"
    if ended.exit_code is None:
        return "ended (its exit status was lost with its supervisor)"
    return f"ended with exit code {ended.exit_code}"


def _fields(spec: RevisionSpec) -> dict[str, Any]:
    model = f"{spec.model.name}:{spec.model.version}" if spec.model is not None else None
    source = spec.template.source.digest if spec.template.source is not None else None
    return {
        **spec.template.model_dump(mode="json", by_alias=True),
        "model": model,
        "source": source,
        "cluster": spec.cluster,
    }


def _others(env: Mapping[str, Any], than: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in env if env[name] != than.get(name))


def _shown(requirements: Any) -> Any:
    return [without_login(line) for line in requirements] if isinstance(requirements, list) else requirements


def _spoken(name: str, change: Mapping[str, Any]) -> str:
    if name == "env":
        return f"env changed ({', '.join(sorted({*change['from'], *change['to']}))})"
    if name == "image":
        return image_in_words(change["from"], change["to"])
    if name in _UNSPOKEN:
        return f"{name} changed"
    return f"{name} {_or_none(change['from'])} -> {_or_none(change['to'])}"


def _or_none(value: Any) -> str:
    return "none" if value in (None, "", [], {}) else str(value)
