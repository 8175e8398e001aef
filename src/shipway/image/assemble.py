"""From a base and layers to an image: its config and its manifest. Pure.

Source: OCI image-spec v1.1.1, config.md, manifest.md, annotations.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shipway.image.bases import Base
from shipway.image.bases.config import environment
from shipway.image.layer import Layer
from shipway.oci import Descriptor, Manifest
from shipway.oci.manifest import canonical

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"
EPOCH = "1970-01-01T00:00:00Z"  # an image says not when it was made: equal inputs, equal digest


@dataclass(frozen=True, slots=True)
class Runs:
    """What a container of the image does. None and empty leave the base's word."""

    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str = ""
    user: str = ""
    ports: tuple[str, ...] = ()  # "8080/tcp"
    labels: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""


def config(base: Base, layers: Sequence[Layer], runs: Runs) -> bytes:
    """The image's config: the base's, with these layers on top and what they run."""
    said = dict(base.config.get("config") or {})
    # Who names an entry point means the whole command: the base's arguments were for the base's program.
    if runs.entrypoint is not None:
        said.pop("Cmd", None)
        said["Entrypoint"] = list(runs.entrypoint)
    if runs.cmd is not None:
        said["Cmd"] = list(runs.cmd)
    said["Env"] = [f"{name}={value}" for name, value in {**environment(base.config), **runs.env}.items()]
    for name, value in (("WorkingDir", runs.workdir), ("User", runs.user), ("StopSignal", runs.stop_signal)):
        if value:
            said[name] = value
    for name, keys in (("ExposedPorts", runs.ports), ("Volumes", runs.volumes)):
        if keys:
            said[name] = {**(said.get(name) or {}), **{key: {} for key in keys}}
    if runs.labels:
        said["Labels"] = {**(said.get("Labels") or {}), **runs.labels}
    below = base.config.get("rootfs") or {}
    return canonical(
        {
            "created": EPOCH,
            **base.platform.document(),
            **{name: base.config[name] for name in ("variant", "os.version", "os.features") if name in base.config},
            "config": {name: value for name, value in said.items() if value not in (None, {}, [])},
            "rootfs": {
                "type": "layers",
                "diff_ids": [*below.get("diff_ids", ()), *(str(one.diff_id) for one in layers)],
            },
            "history": [
                *(base.config.get("history") or ()),
                *({"created": EPOCH, "created_by": one.created_by} for one in layers),
            ],
        }
    )


def manifest(config: Descriptor, base: Base, layers: Sequence[Layer]) -> Manifest:
    """The image's manifest: the base's layers, then these; it names the base by its digest, which keeps that, too."""
    return Manifest(
        config=config,
        layers=(*base.layers, *(one.descriptor for one in layers)),
        annotations=said_of(base),
    )


def said_of(base: Base) -> dict[str, str]:
    """Name and digest of the base, as annotations or labels. The name may be empty: then it is not that of another
    image either, which the base's own labels may have."""
    return {BASE_NAME: base.public_name, BASE_DIGEST: str(base.manifest.digest)}
