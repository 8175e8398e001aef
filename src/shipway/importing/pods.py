"""The template of a Pod: its container becomes the fields that services and jobs have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shipway.importing.block import Block
from shipway.importing.losses import Losses
from shipway.importing.manifests import Manifest
from shipway.importing.settings import Settings
from shipway.importing.storage import Claims, volumes

_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_OWN = {"cpu", "memory", "ephemeral-storage"}
_GPUS = ("nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/i915", "gpu.intel.com/xe")
_HOST, _ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
_FROM_YAML = {"tolerationSeconds", "effect", "key", "operator", "value"}

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class World:
    """What the conversion of one object looks up in the others, and where it tells what is lost."""

    settings: Settings
    claims: Claims
    losses: Losses


@dataclass(frozen=True, slots=True)
class Template:
    """What a Pod is: fields of a spec; its ports by name and in their order; its labels."""

    fields: Fields
    container: Block
    ports: tuple[tuple[str, int], ...]
    labels: Mapping[str, Any]

    def port(self, wanted: str) -> int | None:
        """The number of a port that is named, or written as a number."""
        return int(wanted) if wanted.isdecimal() else dict(self.ports).get(wanted)


def template(manifest: Manifest, block: Block, world: World, claims: list[Block] | None = None) -> Template:
    """``block`` has the Pod's metadata and spec. Raises InvalidObject where it has no container."""
    metadata, spec = block.block("metadata"), block.block("spec")
    containers = spec.blocks("containers")
    if not containers:
        raise spec.refuse("containers", "is missing: a Pod has a container at least")
    wanted = metadata.block("annotations").peek(_DEFAULT_CONTAINER)
    open_ones = (one for one in containers if one.peek("ports"))  # a proxy or a log shipper often stands first
    main = next((one for one in containers if one.peek("name") == wanted), next(open_ones, containers[0]))
    for one in containers:
        if one is not main:
            why = f"a replica has one container, and {main.peek('name')!r} is it"
            next_step = f"make {one.peek('name')!r} a service of its own, with a Pod of its own"
            world.losses.tell(manifest, one.path, why, next_step)
            one.all()
    main.take("name", str)
    fields: Fields = _command(main)
    ports = _ports(main, manifest, world.losses)
    fields["env"] = world.settings.env(main, manifest)
    fields["resources"] = _resources(main.block("resources"), manifest, world.losses)
    fields["volumes"] = volumes(spec, main, claims or [], manifest, world.settings, world.claims, world.losses)
    fields["placement"] = _placement(spec, manifest, world.losses)
    labels = metadata.peek("labels")
    return Template(fields, main, ports, labels if isinstance(labels, dict) else {})


def _command(container: Block) -> Fields:
    """``command`` is the whole of it, and ``args`` alone are the image's own program's."""
    command, args = container.words("command"), container.words("args")
    image = container.text("image")
    if not image and not command:
        raise container.refuse("image", "is missing: there is neither an image nor a command")
    return {"image": image, "command": [*command, *args]} if command else {"image": image, "args": args}


def _ports(container: Block, manifest: Manifest, losses: Losses) -> tuple[tuple[str, int], ...]:
    found = []
    for one in container.blocks("ports"):
        number, name = one.number("containerPort"), one.text("name")
        if one.peek("protocol") in (None, "TCP") and number is not None:
            found.append((name or str(number), number))
        else:
            one.all()
            losses.tell(manifest, one.path, "a service answers by TCP", "")
    return tuple(found)


def _resources(block: Block, manifest: Manifest, losses: Losses) -> Fields:
    """The limits; where there is none, what is asked for."""
    asked, limits = block.block("requests"), block.block("limits")
    found: Fields = {}
    extended: Fields = {}
    for name in dict.fromkeys([*limits.names(), *asked.names()]):
        least, most = asked.scalar(name), limits.scalar(name)
        if least and most and least != most:
            why = f"a replica asks for what it may use: {most}"
            losses.tell(manifest, (*asked.path, name), why, "set resources to what it needs")
        value = most or least
        if name in _OWN:
            found["ephemeral" if name == "ephemeral-storage" else name] = value
        elif (name in _GPUS or name.startswith("nvidia.com/mig-")) and "gpu" not in found and value.isdecimal():
            found |= {"gpu": int(value)} | ({} if name == _GPUS[0] else {"gpuResource": name})
        elif value.isdecimal():
            extended[name] = int(value)
        else:
            losses.tell(manifest, (*limits.path, name), f"{value!r} is not a whole number of devices")
    return found | ({"extended": extended} if extended else {})


def _placement(spec: Block, manifest: Manifest, losses: Losses) -> Fields:
    found: Fields = {"nodeSelector": spec.texts("nodeSelector"), "affinity": spec.take("affinity", dict) or {}}
    found["tolerations"] = [
        {name: value for name, value in one.all().items() if name in _FROM_YAML} for one in spec.blocks("tolerations")
    ]
    found["priorityClass"] = spec.text("priorityClassName")
    spreads = []
    for one in spec.blocks("topologySpreadConstraints"):
        one.take("labelSelector", dict)  # ours selects the workload's own Pods
        spread: Fields = {"topologyKey": one.text("topologyKey")}
        if skew := one.number("maxSkew"):
            spread["maxSkew"] = skew
        if when := one.text("whenUnsatisfiable", "DoNotSchedule"):
            spread["whenUnsatisfiable"] = when
        spreads.append(spread)
    found["spread"] = spreads
    return {name: value for name, value in found.items() if value}
