"""What ``up`` waits for: ``progress(objects, wanted, now) -> Progress``. Pure; ``now`` is the clock.

Objects are JSON as the hub sends it. An object is settled when its controller has judged the generation that was
applied, and when what it depends on in the same project is settled: a service still shows ``RolledOut: True`` of
the version before while the job that will move the champion runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from shipway.deploy.documents import FINAL, Key, Object, condition, key_of, numbers, parse_time
from shipway.deploy.optimize import COMMAND as OPTIMIZE

State = Literal["waiting", "running", "retrying", "done", "cached", "failed", "kept"]

RETRAIN = "shipway.dev/retrain"
RETRY = "shipway.dev/retry"

_GATEWAY_PATIENCE = 30.0  # seconds; Envoy is back within one or two

_ORDER = ("ModelJob", "Model", "ModelService")


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the display. ``elapsed`` in seconds, None while it has not begun."""

    subject: Key
    text: str
    state: State
    detail: str = ""
    elapsed: float | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one object did not become what was asked, with the end of its log; ``serving`` says what goes on."""

    subject: Key
    reason: str
    message: str
    tail: str = ""
    log: str = ""
    serving: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """All steps in order; ``settled``: nothing more will happen by itself."""

    steps: tuple[Step, ...] = ()
    settled: bool = False
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """One metric value of a running job."""

    job: str
    name: str
    value: float
    step: int | None = None


Show = Callable[[Progress, list[Point]], None]  # is called with the present state, and the points since the last call


@dataclass(frozen=True, slots=True)
class _Judged:
    steps: tuple[Step, ...]
    settled: bool = False
    failure: Failure | None = None


@dataclass(slots=True)
class _World:
    """The objects by key, and how the makers of models (jobs, imports) of this project stand."""

    objects: dict[Key, Object]
    now: datetime
    makers: dict[str, list[_Judged]] = field(default_factory=dict)


def progress(objects: Iterable[Object], wanted: Iterable[tuple[str, str, int]], now: datetime) -> Progress:
    """Where the wanted (kind, name, generation) stand now."""
    world = _World({key_of(one): one for one in objects}, now)
    judged = []
    for kind, name, generation in sorted(wanted, key=lambda one: (_ORDER.index(one[0]), one[1])):
        obj = world.objects.get((kind, name))
        one = _missing((kind, name)) if obj is None else _with_setback(obj, _judge(obj, generation, world))
        judged.append(one)
    return Progress(
        steps=tuple(step for one in judged for step in one.steps),
        settled=all(one.settled for one in judged),
        failures=tuple(one.failure for one in judged if one.failure),
    )


def follows(kind: str) -> bool:
    """Whether ``up`` waits for objects of this kind."""
    return kind in _ORDER


def failed(obj: Object) -> bool:
    """Whether an object of a kind that ``up`` tries again says that it failed."""
    return bool(condition(obj, FINAL.get(obj["kind"], "")).get("status") == "False")


def _missing(key: Key) -> _Judged:
    failure = Failure(key, "Deleted", "it was deleted while it was being brought up")
    return _Judged((Step(key, key[1], "failed", "deleted"),), True, failure)


def _judge(obj: Object, generation: int, world: _World) -> _Judged:
    if obj["metadata"].get("deletionTimestamp"):
        return _missing(key_of(obj))
    if obj["metadata"]["generation"] < generation:  # an older answer than the one to our apply
        return _Judged((Step(key_of(obj), obj["metadata"]["name"], "waiting"),))
    if obj["kind"] == "ModelService":
        return _service(obj, world)
    judged = _job(obj, world) if obj["kind"] == "ModelJob" else _model(obj)
    model = obj["spec"].get("model") if obj["kind"] == "ModelJob" else obj["metadata"]["name"]
    if model:
        world.makers.setdefault(model, []).append(judged)
    return judged


def _with_setback(obj: Object, judged: _Judged) -> _Judged:
    """While the hub itself fails at the object, what is waited for says so: it may take until somebody acts."""
    setback = condition(obj, "Reconciled")
    if judged.settled or setback.get("status") != "False":
        return judged
    detail = f"the hub fails at it: {_first_line(setback)}"
    steps = (
        replace(one, state="retrying", detail=detail) if one.state in ("waiting", "running") else one
        for one in judged.steps
    )
    return replace(judged, steps=tuple(steps))


def _current(obj: Object, type_: str) -> Mapping[str, Any]:
    """The condition, if it judges the present generation; else an empty one."""
    found = condition(obj, type_)
    return found if found.get("observedGeneration") == obj["metadata"]["generation"] else {}


# -- jobs


def _verb(name: str, spec: Mapping[str, Any]) -> str:
    if not spec.get("model"):
        return f"run {name}"
    return f"{'optimize' if spec['command'] == OPTIMIZE else 'train'} {spec['model']}"


def _job(obj: Object, world: _World) -> _Judged:
    key, name, spec, status = key_of(obj), obj["metadata"]["name"], obj["spec"], obj.get("status", {})
    verb = _verb(name, spec)
    complete, run = _current(obj, "Complete"), status.get("run") or {}
    asked = obj["metadata"].get("annotations", {}).get(RETRAIN, "")
    if not complete or run.get("retrain", "") != asked:
        return _Judged((Step(key, verb, "waiting"),))
    took = _elapsed(run.get("startedAt"), run.get("finishedAt"), world.now)
    if complete["status"] == "Unknown":
        return _Judged(_running_job(key, verb, spec, status, complete, took, world.now))
    if complete["status"] == "False":
        failed = Step(key, verb, "failed", _first_line(complete), took)
        failure = Failure(
            key,
            complete["reason"],
            complete.get("message", ""),
            tail=status.get("tail", ""),
            log=status.get("log", ""),
            serving=_still_serving(spec.get("model"), world),
        )
        return _Judged((failed,), True, failure)
    return _ended_job(obj, verb, complete, took, world)


def _running_job(
    key: Key, verb: str, spec: Object, status: Object, complete: Object, took: float | None, now: datetime
) -> tuple[Step, ...]:
    if status.get("phase") == "Packing":
        trained = Step(key, verb, "done", numbers(status.get("metrics", {})), took)
        if not spec.get("model"):
            return (trained,)
        delayed = _first_line(complete) if complete["reason"] == "PackingDelayed" else ""
        return (trained, Step(key, f"pack {spec['model']}", "running", delayed))
    attempt = (status.get("run") or {}).get("attempt", 1)
    detail = f"attempt {attempt}" if attempt > 1 else ""
    if complete["reason"] == "Preparing":
        detail = _first_line(complete)
    if complete["reason"] == "BackOff":
        return (Step(key, verb, "retrying", _back_off(spec, status, complete, now), took),)
    return (Step(key, verb, "running", detail, took),)


def _back_off(spec: Object, status: Object, complete: Object, now: datetime) -> str:
    """``attempt 1 of 3 failed, the next one in 2 s: Error: exited with code 3``."""
    run = status.get("run") or {}
    left = max(0.0, -(_elapsed(run.get("retryAt"), None, now) or 0.0))
    attempt = f"attempt {run.get('attempt', 1)} of {spec.get('retries', 0) + 1 + run.get('disruptions', 0)}"
    return f"{attempt} failed, the next one in {left:.0f} s: {_first_line(complete)}"


def _ended_job(obj: Object, verb: str, complete: Object, took: float | None, world: _World) -> _Judged:
    key, spec, status = key_of(obj), obj["spec"], obj["status"]
    version = status.get("version")
    if status.get("cached"):
        seen = f"job fingerprint seen in {version}" if version else complete.get("message", "")
        steps = [Step(key, verb, "cached", seen)]
    else:
        steps = [Step(key, verb, "done", numbers(status.get("metrics", {})), took)]
        steps += [Step(key, f"pack {spec['model']}", "done", version)] if version else []
    failure = None
    if status.get("promoted") is False:
        steps.append(Step(key, "gate", "failed", _first_line(complete)))
        serving = _still_serving(spec.get("model"), world)
        failure = Failure(key, complete["reason"], complete.get("message", ""), serving=serving)
    elif spec.get("evaluate"):
        steps.append(Step(key, "gate", "done", "passed"))
    return _Judged(tuple(steps), True, failure)


def _still_serving(model: str | None, world: _World) -> str:
    """Which revision of the services of that model goes on, in words."""
    for (kind, name), obj in sorted(world.objects.items()):
        reference = obj["spec"].get("model") if kind == "ModelService" else None
        if model and reference and reference.partition(":")[0] == model:
            return _serving(name, obj)
    return ""


def _serving(name: str, service: Object) -> str:
    status = service.get("status", {})
    revision, resolved = status.get("readyRevision"), status.get("model")
    if not revision:
        return ""
    version = f" ({resolved['name']}:{resolved['version']})" if resolved else ""
    return f"{name} goes on serving {revision}{version}"


# -- models that are brought as files


def _model(obj: Object) -> _Judged:
    key, ready = key_of(obj), _current(obj, "Ready")
    if not obj["spec"].get("source"):
        return _Judged((), True)
    verb = f"import {obj['metadata']['name']}"
    if ready.get("reason") == "ImportFailed":
        failure = Failure(key, "ImportFailed", ready.get("message", ""))
        return _Judged((Step(key, verb, "failed", _first_line(ready)),), True, failure)
    if ready.get("status") == "True":
        latest = obj["status"].get("aliases", {}).get("latest")
        return _Judged((Step(key, verb, "done", f"{obj['metadata']['name']}:{latest}"),), True)
    return _Judged((Step(key, verb, "running"),))


# -- services


def _service(obj: Object, world: _World) -> _Judged:
    key, name, status = key_of(obj), obj["metadata"]["name"], obj.get("status", {})
    reference = obj["spec"].get("model") or ""
    makers = world.makers.get(reference.partition(":")[0], [])
    if any(one.failure for one in makers):
        kept = _serving(name, obj) or "nothing to serve yet"
        return _Judged((Step(key, f"roll out {name}", "kept", kept),), True)
    if not all(one.settled for one in makers):
        return _Judged((Step(key, f"roll out {name}", "waiting"),))
    rolled = _current(obj, "RolledOut")
    target, available = _target(reference, world, rolled)
    if not available:
        return _waiting_for_model(key, name, rolled)
    resolved = (status.get("latestModel") or {}).get("version")
    if not rolled or (target is not None and resolved != target and rolled["reason"] != "PickleNotTrusted"):
        return _Judged((Step(key, f"roll out {name}", "waiting"),))
    verb = f"roll out {status.get('latestRevision') or name}"
    if rolled["status"] == "False":
        return _rollout_failed(obj, verb, rolled, world)
    took = _elapsed(rolled.get("lastTransitionTime"), None, world.now)
    if rolled["status"] == "Unknown":
        return _Judged((Step(key, verb, "running", _first_line(rolled), took),))
    ready, wanted = status.get("readyReplicas", 0), status.get("replicas", 0)
    count = f"{ready}/{wanted} replicas ready"
    scaled_to_zero = condition(obj, "Ready").get("reason") == "ScaledToZero"
    if not scaled_to_zero and not 0 < wanted <= ready:
        return _Judged((Step(key, verb, "running", count, took),))
    programmed = condition(world.objects.get(("Route", name), {}), "Programmed")
    if programmed.get("status") == "False" and not scaled_to_zero:
        return _without_gateway(key, verb, programmed, world)
    return _Judged((Step(key, verb, "done", count),), True)


def _without_gateway(key: Key, verb: str, programmed: Object, world: _World) -> _Judged:
    """Replicas are ready, and no request reaches them: Envoy comes back by itself, or never, when its port is taken."""
    away = _elapsed(programmed.get("lastTransitionTime"), None, world.now) or 0.0
    said = f"the gateway does not serve it: {_first_line(programmed)}"
    if away < _GATEWAY_PATIENCE:
        return _Judged((Step(key, verb, "retrying", said),))
    failure = Failure(key, programmed["reason"], f"{said}; `shipway doctor` names what is in the way")
    return _Judged((Step(key, verb, "failed", said),), True, failure)


def _target(reference: str, world: _World, rolled: Object) -> tuple[int | None, bool]:
    """The number that a model reference stands for now (None: no model), and whether that version exists.

    Of many versions a Model lists the newest ones only: whether an old one is there, the service says.
    """
    if not reference:
        return None, True
    name, _, ref = reference.partition(":")
    status = world.objects.get(("Model", name), {}).get("status", {})
    number = int(ref) if ref.isdigit() else status.get("aliases", {}).get(ref or "champion")
    listed = status.get("versions", ())
    unlisted = status.get("count", 0) > len(listed) and rolled.get("reason") != "ModelNotAvailable"
    return number, unlisted or any(one["number"] == number for one in listed)


def _waiting_for_model(key: Key, name: str, rolled: Object) -> _Judged:
    """Every maker of this project is done and the version is not there: waiting longer helps nobody."""
    if rolled.get("status") != "Unknown" or rolled["reason"] == "Progressing":
        return _Judged((Step(key, f"roll out {name}", "waiting"),))
    failure = Failure(key, rolled["reason"], rolled.get("message", ""))
    return _Judged((Step(key, f"roll out {name}", "failed", _first_line(rolled)),), True, failure)


def _rollout_failed(obj: Object, verb: str, rolled: Object, world: _World) -> _Judged:
    key = key_of(obj)
    revision = world.objects.get(("Revision", obj["status"].get("latestRevision", "")), {}).get("status", {})
    asked = obj["metadata"].get("annotations", {}).get(RETRY, "")
    # The condition is of the attempt before, until the controller has looked since it was asked; a revision that it
    # started again has not failed again yet.
    if obj["status"].get("retry", "") != asked or revision.get("phase") == "Starting":
        return _Judged((Step(key, verb, "running"),))
    failure = Failure(
        key,
        rolled["reason"],
        rolled.get("message", ""),
        tail=revision.get("tail", ""),
        log=revision.get("log", ""),
        serving=_serving(obj["metadata"]["name"], obj),
    )
    return _Judged((Step(key, verb, "failed", _first_line(rolled)),), True, failure)


def _first_line(found: Mapping[str, Any]) -> str:
    return str(found.get("message") or found.get("reason", "")).partition("\n")[0]


def _elapsed(start: str | None, end: str | None, now: datetime) -> float | None:
    if not start:
        return None
    return ((parse_time(end) if end else now) - parse_time(start)).total_seconds()
