"""Credentials as Docker keeps them."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from shipway.errors import EnvironmentFault, UserError
from shipway.oci.registry.credentials import Credential, DockerCredentials, answered, helper, names, stored

AUTH = base64.b64encode(b"me:pass:word").decode()


def test_an_auth_is_a_user_and_a_password() -> None:
    assert stored({"auths": {"reg.example": {"auth": AUTH}}}, "reg.example") == Credential("me", "pass:word")
    assert stored({"auths": {"https://reg.example/v1/": {"auth": AUTH}}}, "reg.example") == Credential(
        "me", "pass:word"
    )
    assert stored({"auths": {"reg.example": {"username": "u", "password": "p"}}}, "reg.example") == Credential("u", "p")
    assert stored({"auths": {"reg.example": {"auth": AUTH, "identitytoken": "t"}}}, "reg.example") == Credential(
        "me", "pass:word", "t"
    )


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"auths": []},
        {"auths": {"other": {"auth": AUTH}}},
        {"auths": {"reg.example": {}}},
        {"auths": {"reg.example:5000": {"auth": AUTH}}},
    ],
)
def test_without_one_there_is_none(document: dict[str, Any]) -> None:
    assert stored(document, "reg.example") is None


def test_docker_hub_has_a_name_of_its_own() -> None:
    assert stored({"auths": {"https://index.docker.io/v1/": {"auth": AUTH}}}, "docker.io") == Credential(
        "me", "pass:word"
    )
    assert names("docker.io")[0] == "https://index.docker.io/v1/"


def test_what_is_no_base64_says_where_and_not_what() -> None:
    with pytest.raises(UserError, match=r"auths\['reg.example'\].auth") as wrong:
        stored({"auths": {"reg.example": {"auth": "hunter2"}}}, "reg.example")
    assert "hunter2" not in str(wrong.value) and "docker login reg.example" in wrong.value.next_step


def test_a_registrys_own_helper_comes_before_the_store() -> None:
    document = {"credHelpers": {"reg.example": "ecr-login"}, "credsStore": "pass"}
    assert (helper(document, "reg.example"), helper(document, "other")) == ("ecr-login", "pass")
    assert helper({}, "reg.example") is None
    for name in ("../evil", "a b", "a;rm", 7):
        with pytest.raises(UserError, match="credential helper"):
            helper({"credsStore": name}, "x")


def test_a_helper_may_answer_with_an_identity_token() -> None:
    assert answered(b'{"Username":"<token>","Secret":"t"}') == Credential(identity_token="t")
    assert answered(b'{"Username":"u","Secret":"s"}') == Credential("u", "s")
    assert answered(b'{"Username":"u","Secret":""}') is None


def test_a_credential_does_not_show_its_secrets() -> None:
    assert "s3" not in repr(Credential("u", "s3", "s3"))


@pytest.mark.parametrize("text", ["{", "nonsense: hunter2", '"hunter2'])
def test_a_file_that_is_none_is_not_quoted(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match="is not JSON") as wrong:
        _ask(tmp_path / "config.json")
    assert "hunter2" not in str(wrong.value) and wrong.value.__cause__ is None


def test_no_file_is_no_credential(tmp_path: Path) -> None:
    assert _ask(tmp_path / "config.json") is None
    assert _ask(None) is None


def test_a_helper_is_asked_without_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _helper(tmp_path, monkeypatch, 'read server; echo "{\\"Username\\":\\"$1\\",\\"Secret\\":\\"for $server\\"}"')
    assert _ask(tmp_path / "config.json") == Credential("get", "for reg.example")


def test_a_helper_that_knows_none_leaves_it_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _helper(
        tmp_path,
        monkeypatch,
        "echo credentials not found in native keychain; exit 1",
        auths={"reg.example": {"auth": AUTH}},
    )
    assert _ask(tmp_path / "config.json") == Credential("me", "pass:word")


@pytest.mark.parametrize(
    "script, says",
    [
        ("echo hunter2; echo hunter2 >&2; exit 3", "ended with 3"),
        ("echo hunter2", "did not answer with the JSON"),
        ("echo '[\"hunter2\"]'", "did not answer with the JSON"),
    ],
)
def test_what_a_helper_prints_is_told_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, script: str, says: str
) -> None:
    _helper(tmp_path, monkeypatch, script)
    with caplog.at_level(logging.DEBUG), pytest.raises(EnvironmentFault, match=says) as failed:
        _ask(tmp_path / "config.json")
    assert "hunter2" not in str(failed.value) + caplog.text and failed.value.__cause__ is None


def test_a_helper_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "not-installed"}))
    with pytest.raises(EnvironmentFault, match=r"docker-credential-not-installed.*cannot be started"):
        _ask(tmp_path / "config.json")


def test_a_helper_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _helper(tmp_path, monkeypatch, "exec sleep 600")
    with pytest.raises(EnvironmentFault, match="did not answer within"):
        asyncio.run(DockerCredentials(tmp_path / "config.json", patience=0.05).of("reg.example"))


def _ask(config: Path | None) -> Credential | None:
    return asyncio.run(DockerCredentials(config).of("reg.example"))


def _helper(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str, **more: object) -> None:
    program = folder / "docker-credential-test"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    (folder / "config.json").write_text(json.dumps({"credHelpers": {"reg.example": "test"}, **more}))
