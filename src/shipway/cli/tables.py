"""Objects (JSON as the hub sends it) to table rows. Pure: the clock is an argument."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from shipway.cli.moments import local
from shipway.cli.output import aligned
from shipway.deploy.documents import LOCAL, Object, cluster_of, condition, grpc_address, numbers, parse_time

_Column = tuple[str, Callable[[Object, datetime], str]]

_NOTHING: Mapping[str, str] = MappingProxyType({})
_STEPS = ((86400.0, "d"), (3600.0, "h"), (60.0, "m"), (1.0, "s"))


def table(
    kind: str, objects: Sequence[Object], now: datetime, *, wide: bool = False, seen: Mapping[str, str] = _NOTHING
) -> str:
    """The objects of one kind, a line each; ``wide`` adds columns, and so does a cluster that is not this machine.
    ``seen``: of clusters that do not answer, as of when all is shown that runs there (:func:`last_seen`)."""
    columns = list(_COLUMNS.get(kind, _ANY))
    if kind in _PLACED and (wide or any(cluster_of(one) != LOCAL for one in objects)):
        columns.append(("CLUSTER", lambda obj, _: cluster_of(obj) + seen.get(cluster_of(obj), "")))
    columns += [*(_WIDE.get(kind, ()) if wide else ()), ("AGE", _age)]
    if not objects:
        return "nothing here yet: shipway up"
    return aligned(
        [[name for name, _ in columns], *([cell(one, now) or "-" for _, cell in columns] for one in objects)]
    )


def last_seen(clusters: Iterable[Object], now: datetime) -> dict[str, str]:
    """``, as last seen 16:02:11`` by the name of each cluster that does not answer."""
    ready = ((one["metadata"]["name"], condition(one, "Ready")) for one in clusters)
    return {
        name: f", as last seen {local(one['lastTransitionTime'], now)}"
        for name, one in ready
        if one.get("status") == "False" and one.get("lastTransitionTime")
    }


def age(then: str | None, now: datetime) -> str:
    """``3m`` since an ISO time; empty when there is none."""
    return "" if not then else span((now - parse_time(then)).total_seconds())


def span(seconds: float) -> str:
    """Seconds in the largest unit that fits: ``45s``, ``3m``, ``2h``, ``9d``."""
    size, unit = next((step for step in _STEPS if seconds >= step[0]), (1.0, "s"))
    return f"{max(0, int(seconds / size))}{unit}"


def _status(*path: str) -> Callable[[Object, datetime], str]:
    def cell(obj: Object, _: datetime) -> str:
        value: Any = obj.get("status", {})
        for part in path:
            value = value.get(part) if isinstance(value, Mapping) else None
        return "" if value is None else str(value)

    return cell


def _spec(name: str) -> Callable[[Object, datetime], str]:
    return lambda obj, _: str(obj["spec"].get(name, ""))


def _reason(type_: str) -> Callable[[Object, datetime], str]:
    return lambda obj, _: str(condition(obj, type_).get("reason", ""))


def _message(type_: str) -> Callable[[Object, datetime], str]:
    return lambda obj, _: str(condition(obj, type_).get("message", "")).partition("\n")[0]


def _name(obj: Object, _: datetime) -> str:
    return str(obj["metadata"]["name"])


def _age(obj: Object, now: datetime) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def _metrics(obj: Object, _: datetime) -> str:
    return numbers(obj.get("status", {}).get("metrics", {}))


def _replicas(obj: Object, _: datetime) -> str:
    status = obj.get("status", {})
    return f"{status.get('readyReplicas', 0)}/{status.get('replicas') or obj['spec'].get('replicas', 0)}"


def _served(obj: Object, _: datetime) -> str:
    model = obj.get("status", {}).get("model")
    if model:
        return f"{model['name']}:{model['version']}"
    return "-" if obj["spec"].get("model") else "own server"


def _address(obj: Object, _: datetime) -> str:
    status = obj.get("status", {})
    return str(status.get("url") or ", ".join(status.get("addresses", ())))


def _versions(obj: Object, _: datetime) -> str:
    return str(obj.get("status", {}).get("count", 0))


def _champion(obj: Object, _: datetime) -> str:
    number = obj.get("status", {}).get("aliases", {}).get("champion")
    return f"{obj['metadata']['name']}:{number}" if number else ""


def _champion_metrics(obj: Object, _: datetime) -> str:
    status = obj.get("status", {})
    number = status.get("aliases", {}).get("champion")
    return next((numbers(one.get("metrics", {})) for one in status.get("versions", ()) if one["number"] == number), "")


def _backends(obj: Object, _: datetime) -> str:
    return ", ".join(f"{one['revision']} {one['weight']} %" for one in obj.get("spec", {}).get("backends", ()))


def _ready(obj: Object, _: datetime) -> str:
    return str(condition(obj, "Ready").get("status", ""))


_ANY: tuple[_Column, ...] = (("NAME", _name),)
_COLUMNS: dict[str, tuple[_Column, ...]] = {
    "ModelJob": (
        ("NAME", _name),
        ("PHASE", _status("phase")),
        ("REASON", _reason("Complete")),
        ("VERSION", _status("version")),
        ("METRICS", _metrics),
    ),
    "Model": (("NAME", _name), ("VERSIONS", _versions), ("CHAMPION", _champion), ("METRICS", _champion_metrics)),
    "ModelService": (
        ("NAME", _name),
        ("READY", _replicas),
        ("SERVES", _served),
        ("ROLLOUT", _reason("RolledOut")),
        ("URL", _address),
    ),
    "Revision": (("NAME", _name), ("PHASE", _status("phase")), ("REASON", _reason("Ready"))),
    "Route": (("NAME", _name), ("BACKENDS", _backends), ("STATE", _reason("Programmed"))),
    "Cluster": (
        ("NAME", _name),
        ("READY", _ready),
        ("VERSION", _status("version")),
        ("NODES", lambda obj, _: str(obj.get("status", {}).get("nodes") or "")),
        ("CPUS", _status("cpus")),
        ("NAMESPACE", _spec("namespace")),
    ),
}
_WIDE: dict[str, tuple[_Column, ...]] = {
    "ModelJob": (("RUN", _status("run", "id")), ("LOG", _status("log")), ("MESSAGE", _message("Complete"))),
    "Model": (("LATEST", _status("aliases", "latest")),),
    "ModelService": (
        ("REVISION", _status("readyRevision")),
        ("ENVIRONMENT", _status("environment")),
        ("GRPC", lambda obj, _: grpc_address(obj)),
        ("ADDRESSES", lambda obj, _: ", ".join(obj.get("status", {}).get("addresses", ()))),
        ("MESSAGE", _message("RolledOut")),
    ),
    "Revision": (("LOG", _status("log")), ("MESSAGE", _message("Ready"))),
    "Route": (("URL", _status("url")),),
    "Cluster": (
        ("CONTEXT", _spec("context")),
        ("REGISTRY", _spec("registry")),
        ("OWNER", _status("owner")),
        ("MESSAGE", _message("Ready")),
    ),
}
_PLACED = frozenset({"ModelJob", "ModelService"})
