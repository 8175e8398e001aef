"""Lines, resources and refusals: the pure parts."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import aiohttp
import pytest
from aiohttp.streams import StreamReader

from shipway.cluster.kubernetes.api.calls import Call
from shipway.cluster.kubernetes.api.lines import lines
from shipway.cluster.kubernetes.api.refusals import error
from shipway.cluster.kubernetes.api.resources import (
    DEPLOYMENTS,
    HTTP_ROUTES,
    NODES,
    PODS,
    RESOURCES,
    Resource,
    resource_of,
)
from shipway.cluster.kubernetes.api.server import Server
from shipway.errors import ClusterRefused, ClusterUnreachable, NotFound, UserError

SERVER = Server("https://10.0.0.1:6443", "prod", 'the token of user "anna"')
CREATE = Call("create", "deployments.apps", "POST", "/", namespace="ml", name="digits", body=b"{}")


async def split(pieces: list[bytes], longest: int = 1000) -> list[bytes]:
    class Protocol(aiohttp.base_protocol.BaseProtocol):
        """Reads from nowhere."""

    loop = asyncio.get_running_loop()
    reader = StreamReader(Protocol(loop), 1 << 16, loop=loop)
    for piece in pieces:
        reader.feed_data(piece)
    reader.feed_eof()
    return [one async for one in lines(reader, longest)]


def test_lines_do_not_depend_on_where_the_pieces_end() -> None:
    chance = random.Random(7)
    text = b"\n".join(bytes(chance.choices(b"ab", k=chance.randrange(6))) for _ in range(200)) + b"\nend"
    for _ in range(50):
        cuts = sorted(chance.sample(range(1, len(text)), 20))
        pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert asyncio.run(split(pieces)) == text.split(b"\n")


def test_the_rest_of_a_line_that_is_too_long_is_dropped() -> None:
    assert asyncio.run(split([b"abc", b"def", b"ghi\nxy", b"z12345\nend"], 5)) == [b"abcde", b"xyz12", b"end"]


@pytest.mark.parametrize(
    "resource, namespace, name, path",
    [
        (PODS, "", "", "/api/v1/pods"),
        (PODS, "ml", "a", "/api/v1/namespaces/ml/pods/a"),
        (NODES, "ml", "n", "/api/v1/nodes/n"),
        (DEPLOYMENTS, "ml", "", "/apis/apps/v1/namespaces/ml/deployments"),
        (PODS, "../x", "a/b", "/api/v1/namespaces/..%2Fx/pods/a%2Fb"),
    ],
)
def test_paths(resource: Resource, namespace: str, name: str, path: str) -> None:
    assert resource.path(namespace, name) == path


def test_the_resource_of_a_manifest() -> None:
    assert resource_of({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}) is HTTP_ROUTES
    assert len({(one.api_version, one.kind) for one in RESOURCES}) == len(RESOURCES) > 30
    with pytest.raises(UserError, match="kind 'Widget': Shipway does not know it"):
        resource_of({"apiVersion": "x/v1", "kind": "Widget"})


FORBIDDEN = 'deployments.apps is forbidden: User "anna" cannot create resource "deployments" in API group "apps"'


@pytest.mark.parametrize(
    "status, said, reason, details, kind, words",
    [
        (403, FORBIDDEN, "Forbidden", {}, ClusterRefused, 'may not create deployments in namespace "ml"'),
        (403, "exceeded quota: compute", "Forbidden", {}, ClusterRefused, "exceeded quota: compute"),
        (403, 'admission webhook "p" denied the request: no', "Forbidden", {}, ClusterRefused, "denied the request"),
        (500, 'failed calling webhook "p": refused', "InternalError", {}, ClusterRefused, "failed calling webhook"),
        (500, "failed to create typed patch object: .spec.x", "", {}, UserError, "failed to create typed patch"),
        (422, "spec.replicas: Invalid value", "Invalid", {}, UserError, "spec.replicas: Invalid value"),
        (400, 'container "main" is waiting to start', "BadRequest", {}, UserError, "waiting to start"),
        (404, "the server could not find the requested resource", "NotFound", {}, NotFound, "does not know"),
        (404, "x", "NotFound", {"name": "digits", "kind": "deployments"}, NotFound, 'no deployments.apps "digits"'),
        (503, "", "", {}, ClusterUnreachable, "HTTP 503"),
        (418, "", "", {}, ClusterRefused, "HTTP 418"),
    ],
)
def test_what_a_refusal_means(
    status: int, said: str, reason: str, details: dict[str, Any], kind: type[Exception], words: str
) -> None:
    found = error(status, {"message": said, "reason": reason, "details": details}, CREATE, SERVER)
    assert type(found) is kind
    assert words in str(found) and "https://10.0.0.1:6443" in str(found)


READ = Call("get", "pods/log", "GET", "/", namespace="ml", name="digits")


@pytest.mark.parametrize(
    "status, said, reason, details",
    [
        (404, "the server could not find the requested resource", "NotFound", {"name": "digits", "kind": "pods/log"}),
        (500, "dial tcp 10.0.0.2:10250: connect: connection refused", "", {}),
        (500, "Internal error occurred: boom", "InternalError", {}),
        (503, "the server is currently unable", "ServiceUnavailable", {"name": "digits", "kind": "pods/log"}),
    ],
)
def test_a_node_that_does_not_answer_says_nothing_of_its_pod(
    status: int, said: str, reason: str, details: dict[str, Any]
) -> None:
    """The words of a real API server before a kubelet that is away, or that was started a moment ago."""
    found = error(status, {"message": said, "reason": reason, "details": details}, READ, SERVER)
    assert type(found) is ClusterUnreachable
    assert "get nodes" in found.next_step


def test_a_refusal_of_any_length_is_cut() -> None:
    assert len(str(error(403, {"message": "x" * 100_000}, CREATE, SERVER))) < 3000
