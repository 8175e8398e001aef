"""Deployment, StatefulSet, ReplicaSet, ReplicationController and Pod: a ModelService each."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shipway.importing.block import Block
from shipway.importing.manifests import Manifest
from shipway.importing.pods import Fields, Template, World, template
from shipway.importing.probes import first_port, probes

KINDS = ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController", "Pod")

_PORT = 8080
_ANY_ADDRESS = "0.0.0.0"


@dataclass(frozen=True, slots=True)
class Server:
    """A service in the making: what stands beside it adds to ``fields``. ``name`` is ours."""

    manifest: Manifest
    name: str
    template: Template
    fields: Fields

    @property
    def replicas(self) -> int:
        return int(self.fields.get("replicas", 1))


def template_of(manifest: Manifest) -> Block:
    """Where the Pod of a workload is described: the object itself, for a Pod."""
    return manifest.block if manifest.kind == "Pod" else manifest.block.block("spec").block("template")


def server(manifest: Manifest, name: str, world: World, asked_ports: list[str]) -> Server:
    """``asked_ports``: target ports of its Kubernetes Services, which say more than the order of the container's.

    Raises InvalidObject where a field has a type that Kubernetes would refuse.
    """
    spec = manifest.block.block("spec")
    stable = manifest.kind == "StatefulSet"
    claims = spec.blocks("volumeClaimTemplates") if stable else []
    pod = template(manifest, template_of(manifest), world, claims)
    if stable:
        _take_claims(claims)
    port = _port(manifest, pod, world, asked_ports)
    fields: Fields = {**_portable(pod.fields, port), "port": port}
    if manifest.kind != "Pod" and (replicas := spec.number("replicas")) is not None:
        fields["replicas"] = replicas
    fields |= probes(pod, port, manifest, world.losses)
    grace = template_of(manifest).block("spec").number("terminationGracePeriodSeconds")
    if grace is not None:
        fields["gracePeriod"] = grace
    if stable:
        fields["stableIdentity"] = True
    if manifest.kind == "Deployment":
        fields |= _rolling(spec)
    return Server(manifest, name, pod, fields)


def _portable(fields: Fields, port: int) -> Fields:
    """Where the port, or "any address", is written out, the variable that says it: a cluster gives it that very value,
    and this machine a free port of its own."""

    def said(text: str) -> str:
        return "$(HOST)" if text == _ANY_ADDRESS else re.sub(rf"(^|[:=]){port}$", r"\1$(PORT)", text)

    plain = {name: said(value) if isinstance(value, str) else value for name, value in fields["env"].items()}
    env = {name: value for name, value in plain.items() if (name, value) != ("PORT", "$(PORT)")}
    return {**fields, "env": env} | {
        name: [said(one) for one in fields[name]] for name in ("command", "args") if name in fields
    }


def _take_claims(claims: list[Block]) -> None:
    for one in claims:
        one.take("apiVersion", str)
        one.take("kind", str)


def _port(manifest: Manifest, pod: Template, world: World, asked: list[str]) -> int:
    """The port of the service: what its Kubernetes Service sends to, else the container's first, else the probes'."""
    targets = [found for one in asked if (found := pod.port(one)) is not None]
    declared = [number for _, number in pod.ports]
    asked_by_probe = first_port(pod)
    chosen = next(iter([*targets, *declared, *([asked_by_probe] if asked_by_probe else [])]), None)
    where = pod.container.path
    if chosen is None:
        why = f"it says no port, and a service must listen on one: {_PORT} is taken"
        world.losses.tell(manifest, where, why, "set port; for what serves nothing, make it a ModelJob")
        return _PORT
    for number in dict.fromkeys([*declared, *targets]):
        if number != chosen:
            why = f"a service has one port, and {chosen} is it; {number} is not reachable"
            world.losses.tell(
                manifest, (*where, "ports"), why, "for a second one, make a second service of the same image"
            )
    return chosen


def _rolling(spec: Block) -> Fields:
    fields: Fields = {}
    strategy = spec.block("strategy")
    update = strategy.block("rollingUpdate")
    rolling: Fields = {}
    if strategy.text("type") == "Recreate":
        rolling["kind"] = "Recreate"
    for name in ("maxSurge", "maxUnavailable"):
        value = update.peek(name)
        if value is not None:
            text = update.scalar(name)
            rolling[name] = int(text) if text.isdecimal() else text
    if rolling:
        fields["rollingUpdate"] = rolling
    if (deadline := spec.number("progressDeadlineSeconds")) is not None:
        fields["rollout"] = {"progressDeadline": deadline}
    return fields
