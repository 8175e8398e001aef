"""The OpenAPI document names every route and hangs together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from shipway.api.app import ENDPOINTS
from shipway.api.openapi import document
from shipway.kinds import KINDS
from tests.api.served_hub import Hub


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    return document(ENDPOINTS)


def test_every_route_is_in_it(hub: Hub, openapi: dict[str, Any]) -> None:
    served = {(route.path, next(iter(route.methods - {"HEAD"}))) for route in hub.app.routes}
    documented = {(path, method.upper()) for path, item in openapi["paths"].items() for method in item}
    assert documented == served
    assert len(served) == len(ENDPOINTS)
    assert hub.client.get("/openapi.json") == openapi


def test_its_structure(openapi: dict[str, Any]) -> None:
    assert openapi["openapi"].startswith("3.2.")
    assert openapi["info"]["title"] and openapi["info"]["version"]
    identities = []
    for path, item in openapi["paths"].items():
        for operation in item.values():
            identities.append(operation["operationId"])
            inside = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            assert inside == set(re.findall(r"\{(\w+)\}", path))
            assert all(one["required"] for one in operation["parameters"] if one["in"] == "path")
            assert all("schema" in one for one in operation["parameters"])
            assert len(operation["responses"]) == 2
            assert all(one["description"] and one["content"] for one in operation["responses"].values())
    assert len(identities) == len(set(identities))


def test_every_reference_leads_somewhere(openapi: dict[str, Any]) -> None:
    for reference in _references(openapi):
        target: Any = openapi
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def test_kinds_and_values_are_described_as_they_are_sent(openapi: dict[str, Any]) -> None:
    schemas = openapi["components"]["schemas"]
    assert set(KINDS) <= set(schemas)
    assert "creationTimestamp" in schemas["ObjectMeta"]["properties"]
    assert "exitCode" in schemas["Replica"]["properties"]
    assert len(schemas["Object"]["oneOf"]) == len(KINDS)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, one in value.items():
            if name == "$ref":
                yield one
            yield from _references(one)
    elif isinstance(value, list):
        for one in value:
            yield from _references(one)
