"""Exec plugins: real programs, small ones."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shipway.cluster.kubernetes.api.credentials import Access, read
from shipway.cluster.kubernetes.api.login import Certificate
from shipway.errors import DependencyFailed, UserError
from shipway.testing.clock import FakeClock
from tests.cluster.kubernetes.api.test_credentials import b64, config

V1 = "client.authentication.k8s.io/v1"
PATH = {"PATH": "/usr/bin:/bin"}


def program(folder: Path, body: str) -> Path:
    path = folder / "login"
    path.write_text(f"#!/bin/sh\necho run >> {folder}/runs\n{body}\n")
    path.chmod(0o700)
    return path


def access(folder: Path, body: str, clock: FakeClock | None = None, **more: Any) -> Access:
    program(folder, body)
    spec = {"apiVersion": V1, "command": "./login", **more}
    path = config(folder, user={"exec": spec}, cluster={"certificate-authority-data": b64(b"PEM")})
    return read("", str(path), PATH, wall=(clock or FakeClock()).now)


def printed(version: str = V1, **status: str) -> str:
    return f"echo '{json.dumps({'apiVersion': version, 'kind': 'ExecCredential', 'status': status})}'"


def runs(folder: Path) -> int:
    return len((folder / "runs").read_text().splitlines())


def test_a_token_is_kept_until_it_expires_or_is_refused(tmp_path: Path) -> None:
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    found = access(tmp_path, printed(token="secret", expirationTimestamp="2026-01-01T01:00:00Z"), clock)

    async def go() -> None:
        both = await asyncio.gather(found.login.credential(), found.login.credential())
        assert {one.header for one in both} == {"Bearer secret"}
        assert runs(tmp_path) == 1
        clock.jump(3500)
        await found.login.credential()
        assert runs(tmp_path) == 1
        clock.jump(80)  # twenty seconds before its end: a request takes longer
        await found.login.credential()
        assert runs(tmp_path) == 2
        found.login.refused(both[0])
        await found.login.credential()
        assert runs(tmp_path) == 3

    asyncio.run(go())
    assert "secret" not in repr(found) + str(found.login)


def test_v1beta1_certificates_arguments_and_environment(tmp_path: Path) -> None:
    beta = "client.authentication.k8s.io/v1beta1"
    body = f'printf %s "$1 $EXTRA $KUBERNETES_EXEC_INFO" > {tmp_path}/told\n' + printed(
        beta, clientCertificateData="chain", clientKeyData="key"
    )
    more: dict[str, Any] = {
        "apiVersion": beta,
        "args": ["get-token"],
        "env": [{"name": "EXTRA", "value": "x"}],
        "provideClusterInfo": True,
    }
    credential = asyncio.run(access(tmp_path, body, **more).login.credential())
    assert (credential.header, credential.certificate) == ("", Certificate(b"chain", b"key"))
    argument, extra, info = (tmp_path / "told").read_text().split(" ", 2)
    assert (argument, extra) == ("get-token", "x")
    assert json.loads(info) == {
        "apiVersion": beta,
        "kind": "ExecCredential",
        "spec": {
            "interactive": False,
            "cluster": {"server": "https://10.0.0.1:6443/", "certificate-authority-data": b64(b"PEM")},
        },
    }


@pytest.mark.parametrize(
    "body, message",
    [
        (
            "echo 'Token has expired; run: aws sso login' >&2\nexit 3",
            "ended with 3: Token has expired; run: aws sso login",
        ),
        ("echo '{\"secret\"'", "did not print an ExecCredential as JSON"),
        ("echo '[]'", "did not print an ExecCredential as JSON"),
        (printed("client.authentication.k8s.io/v1beta1", token="secret"), "printed apiVersion"),
        (printed(clientCertificateData="secret"), "printed neither a token nor a certificate with its key"),
        (printed(token="secret", expirationTimestamp="tomorrow"), "did not print an ExecCredential as JSON"),
    ],
)
def test_a_plugin_that_fails_is_told_with_its_last_words_and_never_with_what_it_printed(
    tmp_path: Path, body: str, message: str
) -> None:
    found = access(tmp_path, body, installHint="Install the AWS CLI.")
    with pytest.raises(DependencyFailed) as caught:
        asyncio.run(found.login.credential())
    assert 'user "anna"' in caught.value.message and message in caught.value.message
    assert caught.value.next_step == "Install the AWS CLI."
    assert "secret" not in str(caught.value)


def test_a_plugin_that_is_not_installed(tmp_path: Path) -> None:
    spec = {"apiVersion": V1, "command": "our-login"}
    found = read("", str(config(tmp_path, user={"exec": spec})), {"PATH": str(tmp_path)})
    with pytest.raises(DependencyFailed, match="logs in with the program our-login, and there is none") as caught:
        asyncio.run(found.login.credential())
    assert "Install our-login" in caught.value.next_step


def test_a_plugin_that_needs_a_terminal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="interactiveMode: Always"):
        access(tmp_path, "", interactiveMode="Always")
