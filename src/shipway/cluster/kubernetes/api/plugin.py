"""Credentials from a program: exec plugins (aws, gke-gcloud-auth-plugin, kubelogin).

Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins and
https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from shipway.cluster.kubernetes.api.kubeconfig import Entry
from shipway.cluster.kubernetes.api.login import Certificate, Credential, bearer
from shipway.errors import DependencyFailed, UserError

_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_PATIENCE = 60.0  # seconds; a plugin may ask a cloud, but there is nobody to type a password
_LARGEST = 1 << 20
_EARLY = timedelta(seconds=30)  # a credential that ends within a request is of no use
_SAID = 500  # characters of its stderr


@dataclass(frozen=True, slots=True)
class Command:
    """What is run. ``told`` is what the plugin learns in $KUBERNETES_EXEC_INFO."""

    words: tuple[str, ...] = field(repr=False)  # may hold a secret
    environment: Mapping[str, str] = field(repr=False)
    version: str
    user: Entry
    hint: str = ""
    told: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Plugin:
    """Runs the program when it is first needed, again when what it gave expires or was refused, once at a time."""

    def __init__(self, command: Command, wall: Callable[[], datetime]) -> None:
        self._command = command
        self._wall = wall
        self._held: Credential | None = None
        self._until: datetime | None = None
        self._lock = asyncio.Lock()

    @classmethod
    def of(cls, user: Entry, cluster: Entry, inherited: Mapping[str, str], wall: Callable[[], datetime]) -> Self:
        """From ``user.exec`` of a kubeconfig. Raises UserError for what we cannot run."""
        return cls(_command(user, cluster, inherited), wall)

    def __str__(self) -> str:
        return f"the program {self._command.words[0]}"

    async def credential(self) -> Credential:
        async with self._lock:
            if self._held is None or (self._until and self._wall() >= self._until - _EARLY):
                document = parse(await _run(self._command), self._command)
                self._held, self._until = document
            return self._held

    def refused(self, credential: Credential) -> None:
        if credential == self._held:
            self._held = None


def _command(user: Entry, cluster: Entry, inherited: Mapping[str, str]) -> Command:
    spec = user.content["exec"]
    if not isinstance(spec, dict) or not isinstance(spec.get("command"), str) or not spec["command"]:
        raise UserError(f"{user}: exec has no command", next_step="Get the kubeconfig anew.")
    version = str(spec.get("apiVersion", ""))
    if version not in _VERSIONS:
        raise UserError(
            f'{user}: exec has apiVersion "{version}"; Kubernetes takes {" and ".join(_VERSIONS)}',
            next_step="Update the cluster's login program, and have it write the kubeconfig anew.",
        )
    if spec.get("interactiveMode") == "Always":
        raise UserError(
            f"{user}: {spec['command']} asks somebody at a terminal (interactiveMode: Always), and the hub has none",
            next_step="Use a login that needs no terminal, such as a service account's token.",
        )
    # A path is relative to the kubeconfig, a name is looked for in $PATH.
    word = str(user.file.parent / spec["command"]) if "/" in spec["command"] else spec["command"]
    told: dict[str, Any] = {"interactive": False}
    if spec.get("provideClusterInfo") is True:
        told["cluster"] = _cluster_info(cluster)
    extra = {str(one["name"]): str(one["value"]) for one in spec.get("env") or ()}
    return Command(
        words=(word, *map(str, spec.get("args") or ())),
        environment={**inherited, **extra},
        version=version,
        user=user,
        hint=str(spec.get("installHint") or "").strip(),
        told=told,
    )


def _cluster_info(cluster: Entry) -> dict[str, Any]:
    authorities = cluster.data("certificate-authority-data")
    if not authorities and (path := cluster.path("certificate-authority")):
        authorities = path.read_bytes()
    config = next(
        (
            one.get("extension")
            for one in cluster.content.get("extensions") or ()
            if one.get("name") == "client.authentication.k8s.io/exec"
        ),
        None,
    )
    known = {
        "server": cluster.text("server"),
        "tls-server-name": cluster.text("tls-server-name"),
        "insecure-skip-tls-verify": cluster.content.get("insecure-skip-tls-verify") is True,
        "certificate-authority-data": base64.b64encode(authorities).decode(),
        "proxy-url": cluster.text("proxy-url"),
        "config": config,
    }
    return {name: value for name, value in known.items() if value}


async def _run(command: Command) -> bytes:
    info = {"apiVersion": command.version, "kind": "ExecCredential", "spec": dict(command.told)}
    environment = {**command.environment, "KUBERNETES_EXEC_INFO": json.dumps(info)}
    name = command.words[0]
    program = shutil.which(name, path=environment.get("PATH"))
    if not program:
        hint = command.hint or f"Install {name}, or put it into the PATH with which Shipway was started."
        raise DependencyFailed(f"{command.user} logs in with the program {name}, and there is none.", next_step=hint)
    process = await asyncio.create_subprocess_exec(
        program,
        *command.words[1:],
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, said = await asyncio.wait_for(process.communicate(), _PATIENCE)
    except TimeoutError:
        raise _failed(command, f"gave no answer in {_PATIENCE:g} s", b"") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise _failed(command, f"ended with {process.returncode}", said)
    if len(out) > _LARGEST:
        raise _failed(command, "printed more than 1 MiB", said)
    return out


def parse(out: bytes, command: Command) -> tuple[Credential, datetime | None]:
    """What a plugin printed: the credential, and until when it holds. Pure. Raises DependencyFailed; the text itself
    is never shown, for it is a secret."""
    try:
        document = json.loads(out)
        version, status = document["apiVersion"], document["status"]
        token, chain, key = (status.get(name) or "" for name in ("token", "clientCertificateData", "clientKeyData"))
        expires = status.get("expirationTimestamp")
        until = datetime.fromisoformat(expires) if expires else None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _failed(command, "did not print an ExecCredential as JSON", b"") from None
    if version != command.version:
        raise _failed(command, f"printed apiVersion {version!r} where the kubeconfig says {command.version!r}", b"")
    if bool(chain) != bool(key) or not (token or chain):
        raise _failed(command, "printed neither a token nor a certificate with its key", b"")
    certificate = Certificate(chain.encode(), key.encode()) if chain else None
    return Credential(bearer(token) if token else "", certificate), until


def _failed(command: Command, what: str, said: bytes) -> DependencyFailed:
    tail = "\n".join(said.decode(errors="replace").strip().splitlines()[-5:])[-_SAID:]
    words = f"{command.user}: the login program {command.words[0]} {what}" + (f": {tail}" if tail else "")
    return DependencyFailed(words, next_step=command.hint or "Run it by hand: mostly it wants you to log in again.")
