"""The server's own description of itself: it has every route, and schemathesis finds nothing that differs from it."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from shipway.runtime.server.http.openapi import document
from shipway.runtime.server.http.routes import Action, find
from tests.runtime.conftest import Digits, Serve, Served

EXAMPLES = int(os.environ.get("SHIPWAY_EXAMPLES", "15"))


def operations() -> list[tuple[str, str]]:
    return [(method, path) for path, methods in document()["paths"].items() for method in methods]


def test_the_document_and_the_routes_are_the_same() -> None:
    described = {find(method.upper(), path.format(name="n", version="v")).action for method, path in operations()}
    assert described == set(Action)


def test_every_reference_is_there_and_every_schema_is_used() -> None:
    whole = document()
    used: set[str] = set()

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                used.add(value["$ref"].rpartition("/")[2])
            for one in value.values():
                look(one)
        elif isinstance(value, list):
            for one in value:
                look(one)

    look(whole)
    assert used == set(whole["components"]["schemas"])
    names = [operation["operationId"] for methods in whole["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))


@pytest.fixture
def server(serve: Serve, digits: Digits) -> Served:
    started = serve(digits.folder, SHIPWAY_ALLOW_PICKLE="1", SHIPWAY_ADMIN_KEY="k")
    started.wait()
    return started


@pytest.mark.extras
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_server_is_what_its_document_says(server: Served) -> None:
    """No 5xx, no undescribed status, content type or body; bodies that are wrong in every way get a 4xx."""
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is in the group extras")
    schema = schemathesis.openapi.from_dict(document())
    # Rules between fields, and those of the model's signature, are told in messages and not by the schema.
    not_asked = [schemathesis.checks.positive_data_acceptance, schemathesis.checks.negative_data_rejection]
    for operation in schema.get_all_operations():
        _examples(operation.ok(), server, not_asked)


def _examples(operation: Any, server: Served, not_asked: list[Any]) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=EXAMPLES <= 15,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @_given(operation)  # type: ignore[untyped-decorator]
    def check(case: Any) -> None:
        if "name" in case.path_parameters and len(case.path_parameters["name"]) % 2:
            case.path_parameters["name"] = "digits"  # half of the calls reach the model
        if operation.path.endswith("unload"):
            case.path_parameters["name"] = "another"
        headers = {"Authorization": "Bearer k"} if "/repository/" in operation.path else {}
        case.call_and_validate(
            base_url=f"http://127.0.0.1:{server.port}", headers=headers, excluded_checks=not_asked, timeout=10
        )

    check()


def _given(operation: Any) -> Any:

    return given(case=operation.as_strategy())
