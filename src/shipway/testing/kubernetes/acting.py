"""What the processes of Pods do: an Act for each container run, chosen by ``play``. Pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shipway.testing import cluster_suite as suite
from shipway.testing.kubernetes.storage import Object

Lookup = Callable[[str, str, str], Object | None]  # plural, name, namespace


@dataclass(frozen=True, slots=True)
class Act:
    """How a Pod's main container behaves. A server that ends is started again; ``unready`` ones fail their probe."""

    lines: tuple[str, ...] = ()
    exit_code: int | None = None  # None: it goes on
    reason: str = ""  # of its end: "OOMKilled"; "" is "Completed" or "Error"
    message: str = ""  # its termination message, or what is said of why it waits
    ready: bool = True
    waiting: str = ""  # it never starts: "ImagePullBackOff", "CreateContainerConfigError"
    unschedulable: str = ""  # "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."


Play = Callable[[Object], Act]


def command(pod: Object) -> list[str]:
    """The user's command of the main container, without our launcher before it."""
    main = pod["spec"]["containers"][0]
    words = [*main.get("command", ()), *main.get("args", ())]
    launched = any(word.endswith("/launch.py") for word in words)
    return words[words.index("--") + 1 :] if launched else words


def environment(pod: Object, lookup: Lookup) -> dict[str, str]:
    """The variables of the main container as kubelet sets them: fields, Secrets, ConfigMaps and ``$(NAME)``."""
    found: dict[str, str] = {}
    for one in pod["spec"]["containers"][0].get("env", ()):
        source = one.get("valueFrom")
        value = _from(pod, source, lookup) if source else _expanded(one.get("value", ""), found)
        if value is not None:
            found[one["name"]] = value
    return found


def _expanded(text: str, known: Mapping[str, str]) -> str:
    def one(match: re.Match[str]) -> str:
        return match[0][1:] if match[0].startswith("$$") else known.get(match[1], match[0])

    return re.sub(r"\$?\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)", one, text)


def _from(pod: Object, source: Mapping[str, Any], lookup: Lookup) -> str | None:
    if "fieldRef" in source:
        path = source["fieldRef"]["fieldPath"]
        if match := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
            return str(pod["metadata"].get(match[1], {}).get(match[2], ""))
        value: Any = pod
        for part in path.split("."):
            value = value.get(part, "") if isinstance(value, dict) else ""
        return str(value)
    namespace = pod["metadata"]["namespace"]
    if "secretKeyRef" in source:
        wanted = source["secretKeyRef"]
        secret = lookup("secrets", wanted["name"], namespace) or {}
        coded = secret.get("data", {}).get(wanted["key"])
        return None if coded is None else base64.b64decode(coded).decode()
    wanted = source.get("configMapKeyRef", {"name": "", "key": ""})
    value = (lookup("configmaps", wanted["name"], namespace) or {}).get("data", {}).get(wanted["key"])
    return None if value is None else str(value)


def output_message(pod: Object) -> str:
    """What our launcher leaves of a run whose output was pushed."""
    words = [word for one in pod["spec"].get("initContainers", ()) for word in one.get("args", one.get("command", ()))]
    to = words[words.index("--to") + 1] if "--to" in words else "registry.example.com/outputs:latest"
    digest = pod["metadata"]["uid"].replace("-", "") * 2
    return json.dumps({"output": f"{to.rpartition(':')[0]}@sha256:{digest}"})


def plays_the_suite(lookup: Lookup) -> Play:
    """Acts the programs of :mod:`shipway.testing.cluster_suite`, as its ``play`` does for FakeCluster."""

    def play(pod: Object) -> Act:
        words = command(pod)
        if not words or words[0] != "python":
            name = words[0] if words else ""
            line = f"shipway: command {name!r} is not on the PATH"
            return Act((line,), 127, message=line)
        done = output_message(pod)
        variables = environment(pod, lookup)
        match words[-1]:
            case suite.PRINT:
                return Act(("one", "two", "three"), 0, message=done)
            case suite.FAIL:
                return Act(("before the end",), 7)
            case suite.SECOND_FAILS:
                return Act((), 7) if variables.get("SHIPWAY_REPLICA_INDEX") == "1" else Act()
            case suite.NO_MODEL:
                return Act(("no weights in model.bin",), 3)
            case suite.TELL:
                names = ("WORKLOAD", "REPLICA_INDEX", "REPLICAS", "INPUTS")
                told = {name: variables.get(name) for name in (*(f"SHIPWAY_{one}" for one in names), *_OTHERS)}
                return Act((json.dumps(told), "[]"), 0, message=done)
            case suite.SERVE:
                return Act()
            case _:
                return Act(("asleep",))

    return play


_OTHERS = ("PYTHONUNBUFFERED", "MINE")
