"""The courier's containers: what brings models and inputs into a Pod before its command starts, and what takes the
output of a job away before its command's container ends. Pure.

Both run the courier image with the command line's hidden commands (:mod:`shipway.cli.courier`). One emptyDir at
``/shipway`` is all that they share with the container of the user's command; docs/contract.md says what lies in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from shipway.cluster.kubernetes.names import COURIER, Manifest
from shipway.cluster.kubernetes.place import Place
from shipway.errors import UserError

BRING = "bring"  # the init container's name

SHARED = "/shipway"
SHARED_MOUNT: Manifest = {"name": "shipway", "mountPath": SHARED}
OUTPUT = f"{SHARED}/output"
SOCKET = f"{SHARED}/run/courier.sock"
LAUNCHER = f"{SHARED}/run/launch.py"

_STATE = f"{SHARED}/state"  # what is being pulled; nothing is left of it
_CREDENTIALS = "/credentials"

Role = Literal["pull", "push"]


def bring(
    place: Place, items: Mapping[str, str], mounts: Sequence[Manifest] = (), *, launcher: bool = False
) -> dict[str, Any]:
    """The init container that puts each of ``items`` (folder to reference by digest) into its folder, read-only.

    ``mounts`` are those of the volumes that the folders lie on; this container mounts them writable. ``launcher``: it
    also puts the launcher of jobs into the shared folder, so that the image of a job needs nothing of ours. Raises
    UserError when the place has no courier.
    """
    if not place.courier:
        raise UserError(
            "models and inputs are brought into Pods by the courier's image, and this cluster has none",
            next_step="`shipway cluster add` builds and pushes it; or render for a cluster: --cluster NAME",
        )
    installs = ["--launcher", LAUNCHER] if launcher else []
    wanted = [word for folder, reference in sorted(items.items()) for word in ("--item", f"{reference}={folder}")]
    writable = [{name: value for name, value in one.items() if name != "readOnly"} for one in mounts]
    return _container(BRING, ["pull", "--state", _STATE, *_plain(place), *installs, *wanted], writable, place, "pull")


def sidecar(place: Place, to: str, env: Sequence[Manifest] = ()) -> dict[str, Any]:
    """The native sidecar that pushes the job's output folder to ``to`` when the launcher asks for it.

    ``to`` (``ghcr.io/team/outputs:digits-1a2b3c4d-1-1``) may hold ``$(NAME)`` of ``env``.
    """
    command = ["push", "--socket", SOCKET, "--folder", OUTPUT, *_plain(place), "--to", to]
    made = _container(COURIER, command, (), place, "push")
    return {**made, "env": [*env, *made["env"]], "restartPolicy": "Always"}


def volumes(place: Place, *roles: Role) -> tuple[dict[str, Any], ...]:
    """The volumes that the containers with these roles need, beside those of their ``mounts``; without roles none."""
    credentials = (_credentials(role, _secret(place, role)) for role in roles if _secret(place, role))
    return ({"name": "shipway", "emptyDir": {}}, *credentials) if roles else ()


def _container(
    name: str, command: Sequence[str], mounts: Sequence[Manifest], place: Place, role: Role
) -> dict[str, Any]:
    secret = _secret(place, role)
    credentials = [{"name": f"{role}-credentials", "mountPath": _CREDENTIALS, "readOnly": True}] if secret else []
    return {
        "name": name,
        "image": place.courier,
        "imagePullPolicy": "IfNotPresent",
        "command": ["shipway", "courier", *command],
        "env": [
            {"name": "HOME", "value": "/tmp"},
            {"name": "PYTHONUNBUFFERED", "value": "1"},
            *([{"name": "DOCKER_CONFIG", "value": _CREDENTIALS}] if secret else []),
        ],
        # Streams hold some pieces of 1 MiB each; zstd asks for up to 128 MiB, once.
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, SHARED_MOUNT, *mounts, *credentials],
    }


def _plain(place: Place) -> list[str]:
    return ["--plain-http"] if place.plain_http else []


def _secret(place: Place, role: Role) -> str:
    return (place.push_secret or place.pull_secret) if role == "push" else place.pull_secret


def _credentials(role: Role, secret: str) -> dict[str, Any]:
    # Group-readable: the files are root's, with the Pod's fsGroup.
    files = [{"key": ".dockerconfigjson", "path": "config.json"}]
    return {
        "name": f"{role}-credentials",
        "secret": {"secretName": secret, "items": files, "defaultMode": 0o440},
    }
