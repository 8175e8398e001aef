"""A real Kubernetes control plane on loopback, by the envtest convention: etcd and kube-apiserver, no nodes.

``KUBEBUILDER_ASSETS`` (default /usr/local/kubebuilder/bin) holds etcd, kube-apiserver and kubectl, and maybe
kube-controller-manager and kube-scheduler. RBAC and Pod Security are on; admission of ServiceAccounts is off, as in
envtest, since without the controller manager nobody makes a namespace's default one.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from tests.kubernetes.certificates import Authority

ASSETS = Path(os.environ.get("KUBEBUILDER_ASSETS") or "/usr/local/kubebuilder/bin")
PATIENCE = 60.0  # seconds that a start may take on a machine that does much else
ETCD = "etcd"
API_SERVER = "kube-apiserver"
CONTROLLERS = ("kube-controller-manager", "kube-scheduler")


def missing(*programs: str) -> str:
    """Why no test can run on a real control plane here, in one sentence; empty when it can."""
    absent = [one for one in programs or (ETCD, API_SERVER, "kubectl") if not os.access(ASSETS / one, os.X_OK)]
    if not absent:
        return ""
    return f"there is no {', '.join(absent)} in {ASSETS} (KUBEBUILDER_ASSETS names the folder of Kubernetes' programs)"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ControlPlane:
    """One control plane; all that it writes lies in ``folder``. ``shared``: others test on it at this time."""

    def __init__(self, folder: Path, *, shared: bool = False) -> None:
        self.folder = folder
        self.shared = shared
        self.port = 0
        self.etcd_port = 0
        self._authority = Authority(folder / "pki")
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._starter = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Of the API server."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        """Of a user who may do everything."""
        return self.folder / "admin.kubeconfig"

    def start(self) -> None:
        """From nothing, or with what the folder holds."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._authority.make()
        self.port, self.etcd_port = _free_port(), _free_port()
        self.user("admin", "system:masters")
        self._run(ETCD, *_etcd_flags(self.folder, self.etcd_port))
        self._run(API_SERVER, *_api_server_flags(self.folder, self.port, self.etcd_port))
        self._until_ready()

    def stop(self) -> None:
        """End every program of it."""
        for name in reversed(list(self._running)):
            self._end(name)
        self._starter.shutdown()

    def kill(self) -> None:
        """The API server gets SIGKILL; etcd lives."""
        self._mine()
        self._end(API_SERVER)

    def restart(self) -> None:
        """The API server comes back, on the same port."""
        self._mine()
        self._end(API_SERVER)
        self._run(API_SERVER, *_api_server_flags(self.folder, self.port, self.etcd_port))
        self._until_ready()

    def controllers(self) -> None:
        """Start the controller manager and the scheduler: Deployments make Pods, which no node will ever run."""
        self._mine()
        for name in CONTROLLERS:
            self._run(name, *_controller_flags(self.folder, name))

    def namespace(self, **labels: str) -> str:
        """A fresh one. ``enforce="restricted"``, ``warn`` and ``audit`` are Pod Security labels."""
        name = f"test-{uuid.uuid4().hex[:10]}"
        levels = {f"pod-security.kubernetes.io/{mode}": level for mode, level in labels.items()}
        status, answer = self.request("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": levels}})
        assert status == 201, answer
        return name

    def user(self, name: str, *groups: str) -> Path:
        """The kubeconfig of a user, who may do nothing until a RoleBinding names them (see ``until_allowed``)."""
        path = self.folder / f"{name}.kubeconfig"
        if not path.exists() or self.url not in path.read_text():
            path.touch(mode=0o600)
            path.write_text(json.dumps(self._authority.kubeconfig(self.url, name, groups), indent=1))
        return path

    def until_allowed(self, user: str, verb: str, resource: str, namespace: str) -> None:
        """Wait until a RoleBinding that was just made holds: the authorizer hears of it by a watch."""
        asked = {"namespace": namespace, "verb": verb, "resource": resource}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
        body = {**review, "spec": {"user": user, "resourceAttributes": asked}}
        give_up = time.monotonic() + PATIENCE
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        while not self.request("POST", path, body)[1]["status"]["allowed"]:
            assert time.monotonic() < give_up, f"{user} still may not {verb} {resource} in {namespace}"
            time.sleep(0.02)

    def kubectl(self, *arguments: str, stdin: str | None = None, kubeconfig: Path | None = None) -> str:
        """What it prints. Raises AssertionError with what it complained of."""
        done = subprocess.run(
            [ASSETS / "kubectl", "--kubeconfig", kubeconfig or self.kubeconfig, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin"},
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Status and JSON (or text, where it is none) of one request of the admin."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=PATIENCE, context=self.tls())
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read().decode()
            return answer.status, json.loads(content) if content.startswith(("{", "[")) else content
        finally:
            connection.close()

    def tls(self, user: str = "admin") -> ssl.SSLContext:
        """For clients of one's own: the user's certificate, and trust in this control plane alone."""
        return self._authority.tls(user)

    def log(self, program: str = API_SERVER) -> str:
        """What a program wrote."""
        return (self.folder / f"{program}.log").read_text(errors="replace")

    def alive(self) -> bool:
        """It answers, and says that it is ready."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=5, context=self.tls())
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    @classmethod
    def join(cls, folder: Path, port: int) -> ControlPlane:
        """One that another process started."""
        joined = cls(folder, shared=True)
        joined.port = port
        return joined

    def _mine(self) -> None:
        assert not self.shared, "other tests use this control plane: ask for the fixture own_control_plane"

    def _until_ready(self) -> None:
        give_up = time.monotonic() + PATIENCE
        while not self.alive():
            ended = [name for name, process in self._running.items() if process.poll() is not None]
            if ended or time.monotonic() > give_up:
                self.stop()
                logs = "\n".join(self.log(name)[-3000:] for name in ended or [API_SERVER])
                raise AssertionError(f"{ended or 'no program'} ended, and it is not ready: {logs}")
            time.sleep(0.1)

    def _run(self, name: str, *flags: str) -> None:
        # The kernel ends it when the thread is gone that started it, however that ended: hence one that lives as long
        # as this does, and not the caller's, which may be one of asyncio's.
        guarded = [shutil.which("setpriv") or "setpriv", "--pdeathsig", "KILL", str(ASSETS / name), *flags]
        with (self.folder / f"{name}.log").open("ab") as log:
            started = self._starter.submit(
                subprocess.Popen[bytes],
                guarded,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            self._running[name] = started.result()

    def _end(self, name: str) -> None:
        # SIGKILL: the API server takes a minute to leave in peace, and nothing of it has to last.
        if (process := self._running.pop(name, None)) is not None:
            process.kill()
            process.wait()


def _etcd_flags(folder: Path, port: int) -> tuple[str, ...]:
    client = f"http://127.0.0.1:{port}"
    return (
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        "--listen-peer-urls=http://127.0.0.1:0",
        "--unsafe-no-fsync=true",
    )


def _api_server_flags(folder: Path, port: int, etcd_port: int) -> tuple[str, ...]:
    pki = folder / "pki"
    return (
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        f"--secure-port={port}",
        f"--tls-cert-file={pki / 'server.crt'}",
        f"--tls-private-key-file={pki / 'server.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        "--authorization-mode=Node,RBAC",
        "--anonymous-auth=true",
        "--allow-privileged=true",
        "--disable-admission-plugins=ServiceAccount",
        "--service-cluster-ip-range=10.0.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki / 'service-account.key'}",
        f"--service-account-signing-key-file={pki / 'service-account.key'}",
    )


def _controller_flags(folder: Path, name: str) -> tuple[str, ...]:
    kubeconfig = folder / "admin.kubeconfig"
    flags = [f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0"]
    if name == CONTROLLERS[0]:
        key = folder / "pki" / "service-account.key"
        flags += [f"--service-account-private-key-file={key}", f"--root-ca-file={folder / 'pki' / 'ca.crt'}"]
    return tuple(flags)
