"""The hub's real API against its own OpenAPI document, by schemathesis: no 5xx, no undescribed status, content type
or body (events of streams included), no way in without the token, 405 with Allow for what a path does not know.

``SHIPWAY_EXAMPLES=1000 pytest tests/security/test_schemathesis.py`` looks longer, with a seed of its own.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from shipway.api.app import ENDPOINTS
from shipway.api.openapi import document
from tests.security.stage import Stage, served

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is in the group extras")

pytestmark = [pytest.mark.extras, pytest.mark.slow]

# With other values than the client's own it is no HTTP that is asked, and nothing of ours that answers.
FRAMING = {"Content-Length", "Transfer-Encoding", "Connection", "Expect", "Upgrade", "Host"}
EXAMPLES = int(os.environ.get("SHIPWAY_EXAMPLES", "10"))
SCHEMA = schemathesis.openapi.from_dict(document(ENDPOINTS))
NOT_ASKED = [
    # Rules between fields ("model or command", a kind in path and body) are told in messages, not by the schema.
    schemathesis.checks.positive_data_acceptance,
    # Numbers are read as people write them: "5" for 5 in a query and in YAML. tests/api/test_bad_requests.py has
    # what must be refused.
    schemathesis.checks.negative_data_rejection,
]


@schemathesis.serializer("application/x-tar")  # type: ignore[untyped-decorator]
def tar(context: Any, value: Any) -> bytes:
    """Rubbish, under the name of a tar; the digest is rubbish too."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="shipway-") as folder, served(Path(folder) / "home", impatient=True) as one:
        yield one


@SCHEMA.parametrize()  # type: ignore[untyped-decorator]
@settings(
    max_examples=EXAMPLES,
    derandomize=EXAMPLES <= 10,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_the_api_is_what_its_document_says(case: Any, stage: Stage) -> None:
    for name in set(case.headers or ()) & FRAMING:
        del case.headers[name]
    token = {"Authorization": f"Bearer {stage.token}"}
    case.call_and_validate(base_url=stage.url, headers=token, excluded_checks=NOT_ASKED)
