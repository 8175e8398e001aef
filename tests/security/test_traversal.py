"""No name that a client can send leads out of the home: a canary beside it is never read, and nothing appears there."""

from __future__ import annotations

import http.client
import json
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from shipway.api.app import ENDPOINTS
from shipway.kinds import API_VERSION
from tests.security.stage import Stage, served

CANARY = "canary-5f0c2f9e"

NAMES = (
    "../canary",
    "../../canary",
    "..",
    ".",
    "...",
    "/etc/passwd",
    "//etc/passwd",
    "..\\..\\canary",
    "a/../../../canary",
    "a\0b",
    "\0../canary",
    "~/canary",
    "$HOME/canary",
    "%2e%2e/canary",
    "file:///etc/passwd",
    "．．／canary",  # noqa: RUF001  full-width: NFKC makes ../canary of it
    "..\u2215canary",
    "A",
    "a\n",
    "-rf",
    "a" * 5000,
    "sha256:../../canary",
    "sha256:" + "A" * 64,
    "sha256:" + "0" * 64 + "/../../canary",
    "²",
    "9" * 5000,
    "con",
    "*",
    "",
)


# What may stand in each place of a path.
FINE = {
    "plural": "modeljobs",
    "name": "a",
    "key": "KEY",
    "digest": "sha256:" + "0" * 64,
    "reference": "1",
    "other": "1",
    "alias": "best",
}


@dataclass(frozen=True)
class Beside:
    """A served home, and the folder that it lies in."""

    stage: Stage
    folder: Path

    def tree(self) -> dict[str, int]:
        """What lies in the folder beside the home: name to time of its last change."""
        home = self.stage.settings.home
        return {
            str(one): one.lstat().st_mtime_ns
            for one in self.folder.rglob("*")
            if one != home and not one.is_relative_to(home)
        }


@pytest.fixture(scope="module")
def beside() -> Iterator[Beside]:
    with tempfile.TemporaryDirectory(prefix="shipway-") as name:
        folder = Path(name)
        with served(folder / "home", impatient=True) as stage:
            for where in (folder, folder / "deep", stage.settings.home.parent / "secrets"):
                where.mkdir(exist_ok=True)
                (where / "canary").write_text(CANARY)
                (where / "key").write_text(CANARY)
            yield Beside(stage, folder)


def ask(stage: Stage, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """One request, its path sent as it is: no client of ours would."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(10)
        link.connect(str(stage.settings.hub_socket))
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        link.sendall(head.encode("utf-8") + body)
        answer = http.client.HTTPResponse(link, method=method)
        answer.begin()
        return answer.status, answer.read()


def paths(pattern: str, name: str) -> Iterator[str]:
    """The path with the name in each of its places, as it is (where HTTP allows it) and percent-encoded."""
    parts = [one for one in FINE if f"{{{one}}}" in pattern]
    spellings = [quote(name, safe=""), quote(quote(name, safe=""), safe="")]
    if name and name.isascii() and name.isprintable() and not {" ", "#", "?"} & set(name):
        spellings.append(name)
    for spelled in spellings:
        for part in parts:
            yield pattern.format(**{**FINE, part: spelled})


@pytest.mark.slow
@pytest.mark.parametrize("endpoint", [one for one in ENDPOINTS if "{" in one.path], ids=lambda one: one.summary)
def test_no_path_of_the_api_leads_out_of_the_home(beside: Beside, endpoint: object) -> None:
    method, pattern = endpoint.method, endpoint.path  # type: ignore[attr-defined]
    before = beside.tree()
    for name in NAMES:
        for path in paths(pattern, name):
            status, body = ask(beside.stage, method, path, b"{}" if method == "POST" else b"x")
            assert status < 500, (path, body)
            assert CANARY.encode() not in body, path
            assert b"root:x:" not in body, path
    assert beside.tree() == before


@pytest.mark.parametrize("name", NAMES)
def test_no_name_in_a_document_leads_out_of_the_home(beside: Beside, name: str) -> None:
    before = beside.tree()
    for field, document in documents(name):
        status, body = ask(beside.stage, "POST", "/v1/apply", json.dumps({"objects": [document]}).encode())
        assert CANARY.encode() not in body
        # A path of an input is what the command line took a snapshot of: the hub only shows it.
        if field == "input path":
            assert status == 200, body
        elif name not in ("con", "²" if field == "path" else "con"):
            assert status in (400, 422), (field, body)
    assert beside.tree() == before


def documents(name: str) -> Iterator[tuple[str, dict[str, object]]]:
    """Documents that hold the name where a file could be meant."""
    digest = "sha256:" + "0" * 64
    yield "name", job(name, {})
    yield "model", job("a", {"model": name})
    yield "secret", job("a", {"env": {"X": {"secret": {"name": name, "key": "KEY"}}}})
    yield "digest", job("a", {"source": {"digest": name}})
    yield "input", job("a", {"inputs": {name: {"path": "x", "digest": digest}}})
    yield "input path", job("a", {"inputs": {"data": {"path": name, "digest": digest}}})
    if "/" in name or "\0" in name or name in ("", ".", ".."):
        yield "file", job("a", {"inputs": {"data": {"path": "x", "digest": digest, "file": name}}})


def job(name: str, spec: dict[str, object]) -> dict[str, object]:
    whole = {"command": ["true"], **spec}
    return {"apiVersion": API_VERSION, "kind": "ModelJob", "metadata": {"name": name}, "spec": whole}
