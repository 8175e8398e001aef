"""Nothing that a client sends is answered with a 500, unless the bug is ours."""

from __future__ import annotations

import errno
import http.client
import json
import socket
from typing import Any

import pytest

from shipway.api.requests import LARGEST_JSON
from tests.api.served_hub import Hub

ROOT = "/apis/shipway.dev/v1alpha1"
HUGE = "9" * 30


def ask(hub: Hub, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    """Status and JSON of an answer, without the client's translation."""
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(hub.socket))
        head = [f"{method} {path} HTTP/1.1", "host: x", "connection: close", f"content-length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        link.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + body)
        answer = http.client.HTTPResponse(link)
        answer.begin()
        return answer.status, json.loads(answer.read())


@pytest.mark.parametrize(
    "path, expected",
    [
        (f"{ROOT}?watch=maybe", "watch"),
        (f"{ROOT}?watch=true&since=-1", "greater than or equal to 0"),
        (f"{ROOT}?since=abc", "since='abc'"),
        (f"{ROOT}?watch=true&since={HUGE}", "since"),
        (f"{ROOT}?watch=true&wait=inf", "finite"),
        (f"{ROOT}?watch=true&wait=nan", "wait"),
        (f"{ROOT}?wacth=true", "unknown query parameter 'wacth'"),
        (f"{ROOT}/modeljobs/x?watch=true", "unknown query parameter 'watch'"),
        ("/v1/journal?type=gossip", "'decision', 'event' or 'ledger'"),
        ("/v1/journal?limit=0", "limit"),
        ("/v1/journal?limit=1000000000", "10000"),
        (f"/v1/journal?after={HUGE}", "after"),
        ("/v1/logs/modeljobs/x?tail=-1", "tail"),
        ("/v1/logs/modeljobs/x?follow=perhaps", "follow"),
        (f"/v1/metrics/modeljobs/x?after={HUGE}", "after"),
        ("/v1/artifacts/md5:abc", "sha256"),
        ("/v1/journal?subject=%ff%00%ed%a0%80&type=", "type"),
    ],
)
def test_wrong_parameters(hub: Hub, path: str, expected: str) -> None:
    status, answer = ask(hub, "GET", path)
    assert status == 400
    assert expected in answer["error"]["message"]
    assert answer["error"]["code"] == "UserError"


def test_the_allowed_parameters_are_named(hub: Hub) -> None:
    _, answer = ask(hub, "GET", f"{ROOT}?wacth=true")
    assert answer["error"]["nextStep"] == "This path takes: watch, since, wait."
    _, answer = ask(hub, "GET", "/healthz?verbose=1")
    assert answer["error"]["nextStep"] == "This path takes: none."


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b'"text"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"objects": ' + b"1" * 5000 + b"}",
    ],
    ids=lambda body: repr(body[:8]),
)
@pytest.mark.parametrize("route", [("POST", "/v1/apply"), ("PUT", f"{ROOT}/models/a"), ("POST", "/v1/down")])
def test_bodies_that_are_no_json_object(hub: Hub, route: tuple[str, str], body: bytes) -> None:
    status, answer = ask(hub, *route, body)
    assert status == 400
    assert answer["error"]["message"]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"kind": ["Revision"]},
        {"kind": {}},
        {"apiVersion": "shipway.dev/v1alpha1", "kind": "Model"},
        {"apiVersion": "shipway.dev/v1alpha1", "kind": "Model", "metadata": []},
        {"apiVersion": "shipway.dev/v1alpha1", "kind": "Model", "metadata": {"name": "\ud800"}},
        {
            "apiVersion": "shipway.dev/v1alpha1",
            "kind": "Model",
            "metadata": {"name": "a"},
            "spec": {"description": "\ud800"},
        },
        {"apiVersion": "shipway.dev/v1alpha1", "kind": "Model", "metadata": {"name": "a", "\ud800": 1}},
        {"apiVersion": "shipway.dev/v1alpha1", "kind": "Model", "metadata": {"name": "a", "resourceVersion": "x"}},
        {"apiVersion": "v1", "kind": "Pod"},
        None,
        [],
    ],
    ids=lambda document: ascii(document)[:60],
)
def test_documents_that_are_no_objects(hub: Hub, document: Any) -> None:
    if not (isinstance(document, dict) and "resourceVersion" in document.get("metadata", {})):  # apply ignores that
        assert ask(hub, "POST", "/v1/apply", json.dumps({"objects": [document]}).encode())[0] in (400, 422)
    status, _ = ask(hub, "PUT", f"{ROOT}/models/a", json.dumps(document).encode())
    assert status in (400, 422)
    assert hub.store.list()[0] == []


@pytest.mark.parametrize(
    "body",
    [{}, {"all": False}, {"all": "perhaps"}, {"all": True, "objects": [{"kind": "Model", "name": "a"}]}, {"al": 1}],
)
def test_a_down_of_nothing_or_of_two_things(hub: Hub, body: Any) -> None:
    status, answer = ask(hub, "POST", "/v1/down", json.dumps(body).encode())
    assert (status, answer["error"]["code"]) == (422, "InvalidObject")
    assert hub.downs == []


def test_a_body_over_the_limit(hub: Hub) -> None:
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(hub.socket))
        link.sendall(b"POST /v1/apply HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        block = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        try:
            for _ in range(LARGEST_JSON // 0x100000 + 1):
                link.sendall(block)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all of it was sent
        answer = http.client.HTTPResponse(link)
        answer.begin()
        assert answer.status == 400
        assert b"larger than 16777216 bytes" in answer.read()


@pytest.mark.parametrize("path", ["/", "/nowhere", f"{ROOT}/gizmos", f"{ROOT}/models/a/b", "/v1/logs/gizmos/a"])
def test_paths_that_do_not_exist(hub: Hub, path: str) -> None:
    status, answer = ask(hub, "GET", path)
    assert (status, answer["error"]["code"]) == (404, "NotFound")


def test_methods_that_a_path_does_not_know(hub: Hub) -> None:
    status, answer = ask(hub, "POST", f"{ROOT}/models/a")
    assert status == 405
    assert "DELETE, GET, PUT" in answer["error"]["message"]


def test_a_bug_of_ours_is_told_as_such(hub: Hub) -> None:
    hub.artifacts.fault = ValueError("a bug of ours")
    status, answer = ask(hub, "GET", f"/v1/artifacts/sha256:{'a' * 64}")
    assert (status, answer["error"]["code"]) == (500, "PlatformError")
    assert "a bug of ours" in answer["error"]["message"]


def test_a_full_disk_is_no_bug_of_ours(hub: Hub) -> None:
    hub.artifacts.fault = OSError(errno.ENOSPC, "No space left on device")
    _, answer = ask(hub, "GET", f"/v1/artifacts/sha256:{'a' * 64}")
    assert answer["error"]["code"] == "EnvironmentFault"
    assert "the disk is full" in answer["error"]["message"]


def test_a_client_that_goes_away_in_the_middle_of_its_upload(hub: Hub) -> None:
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(hub.socket))
        link.sendall(
            b"PUT /v1/artifacts/sha256:" + b"a" * 64 + b" HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\nhalf"
        )
    assert hub.client.get("/healthz")["status"] == "ok"
    assert hub.artifacts.stored == {}
