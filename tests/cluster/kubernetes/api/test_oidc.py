"""OIDC tokens: refreshed, and written back as kubectl does."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from shipway.cluster.kubernetes.api.credentials import Access, read
from shipway.cluster.kubernetes.api.expiry import of_token
from shipway.errors import ClusterRefused, ClusterUnreachable, UserError
from shipway.testing.clock import FakeClock
from tests.cluster.kubernetes.api.scripted import Answer, Script, says, served
from tests.cluster.kubernetes.api.test_credentials import config

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def jwt(**claims: Any) -> str:
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "none"}, claims, 1)
    )


def until(seconds: float) -> str:
    return jwt(exp=int(NOW.timestamp() + seconds))


def access(folder: Path, url: str, **more: str) -> Access:
    settings = {"idp-issuer-url": url, "client-id": "kubernetes", "client-secret": "cs", **more}
    path = config(folder, user={"auth-provider": {"name": "oidc", "config": settings}})
    return read("", str(path), {}, wall=FakeClock(NOW).now)


def discovery(script: Script) -> Answer:
    return says({"token_endpoint": f"{script.url}/token"})


def test_a_token_that_holds_is_shown_as_it_is(tmp_path: Path) -> None:
    found = access(tmp_path, "https://nowhere.invalid", **{"id-token": until(60), "refresh-token": "r1"})
    assert asyncio.run(found.login.credential()).header == f"Bearer {until(60)}"


def test_an_expired_token_is_refreshed_and_both_tokens_are_written_back(tmp_path: Path) -> None:
    async def go() -> None:
        async with served(says({})) as script:
            script.answers[:] = [discovery(script), says({"id_token": until(3600), "refresh_token": "r2"})]
            found = access(tmp_path, script.url, **{"id-token": until(-1), "refresh-token": "r1"})
            assert (await found.login.credential()).header == f"Bearer {until(3600)}"
            assert (await found.login.credential()).header == f"Bearer {until(3600)}"
            assert [one.path for one in script.seen] == ["/.well-known/openid-configuration", "/token"]
            assert script.seen[1].body == b"grant_type=refresh_token&refresh_token=r1"
            assert script.seen[1].headers["Authorization"].startswith("Basic ")

    asyncio.run(go())
    written = yaml.safe_load((tmp_path / "config").read_text())
    kept = written["users"][0]["user"]["auth-provider"]["config"]
    assert (kept["id-token"], kept["refresh-token"], kept["client-id"]) == (until(3600), "r2", "kubernetes")
    assert written["current-context"] == "prod"
    assert (tmp_path / "config").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["config"]


def test_a_refused_token_is_refreshed_though_it_holds(tmp_path: Path) -> None:
    async def go() -> None:
        async with served(says({})) as script:
            script.answers[:] = [discovery(script), says({"id_token": until(3600)})]
            found = access(tmp_path, script.url, **{"id-token": until(60), "refresh-token": "r1"})
            found.login.refused(await found.login.credential())
            assert (await found.login.credential()).header == f"Bearer {until(3600)}"

    asyncio.run(go())


def test_a_kubeconfig_that_kubectl_writes_at_this_moment_is_left_to_it(tmp_path: Path) -> None:
    async def go() -> None:
        async with served(says({})) as script:
            script.answers[:] = [discovery(script), says({"id_token": until(3600), "refresh_token": "r2"})]
            found = access(tmp_path, script.url, **{"refresh-token": "r1"})
            (tmp_path / "config.lock").touch()
            assert (await found.login.credential()).header == f"Bearer {until(3600)}"

    asyncio.run(go())
    assert "r2" not in (tmp_path / "config").read_text()


def test_a_refresh_token_that_has_ended(tmp_path: Path) -> None:
    async def go() -> None:
        async with served(says({})) as script:
            script.answers[:] = [discovery(script), says({"error": "invalid_grant"}, 400)]
            found = access(tmp_path, script.url, **{"refresh-token": "secret"})
            with pytest.raises(ClusterRefused, match=r"gives no new token \(invalid_grant\)") as caught:
                await found.login.credential()
            assert caught.value.next_step == "Log in again."
            assert "secret" not in str(caught.value)

    asyncio.run(go())


def test_a_provider_that_answers_nonsense(tmp_path: Path) -> None:
    async def nonsense(request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>")

    async def go() -> None:
        async with served(nonsense) as script:
            found = access(tmp_path, script.url, **{"refresh-token": "secret"})
            with pytest.raises(ClusterUnreachable, match="cannot be asked: JSONDecodeError"):
                await found.login.credential()

    asyncio.run(go())


def test_neither_token_is_there(tmp_path: Path) -> None:
    with pytest.raises(ClusterRefused, match="neither an ID token nor a refresh token"):
        asyncio.run(access(tmp_path, "https://nowhere.invalid").login.credential())


def test_a_provider_without_its_url(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no idp-issuer-url"):
        access(tmp_path, "")


@pytest.mark.parametrize(
    "token", ["", "opaque", "a.b.c", f"a.{base64.urlsafe_b64encode(b'{}').decode()}.c", jwt(exp="x")]
)
def test_what_is_no_jwt_has_no_end(token: str) -> None:
    assert of_token(token) is None
