"""The job behind ``shipway models optimize``: what it runs on, and what it refuses to open."""

from __future__ import annotations

from typing import Any

import pytest

from shipway.deploy.optimize import optimizing
from shipway.errors import Refused
from shipway.kinds.load import object_from_document


def detail(format: str = "sklearn-joblib", origin: str = "job") -> dict[str, Any]:
    return {
        "version": {"number": 3, "digest": "sha256:" + "a" * 64, "format": format, "origin": origin},
        "lineage": {"requirements": ["scikit-learn"], "lock": ["scikit-learn==1.9.1"]},
    }


def test_it_is_a_job_over_the_version_in_the_environment_that_it_was_trained_in() -> None:
    job = object_from_document(optimizing("digits", detail(), {"rtol": 0.1})).to_json()
    assert job["metadata"]["name"] == "digits-optimize"
    spec = job["spec"]
    assert spec["inputs"]["model"]["path"] == "digits:3"
    assert (spec["requirements"], spec["params"], spec["model"]) == (["scikit-learn==1.9.1"], {"rtol": 0.1}, "digits")
    assert spec["env"] == {"SHIPWAY_ALLOW_PICKLE": "1"}


@pytest.mark.parametrize("format", ["sklearn-joblib", "torch-export", "pytorch"])
def test_a_pickle_that_was_not_trained_here_is_not_opened_unasked(format: str) -> None:
    imported = detail(format, "import")
    with pytest.raises(Refused, match="that was not trained here: optimizing it runs whatever code it holds"):
        optimizing("digits", imported, {})
    assert optimizing("digits", imported, {}, allow_pickle=True)["spec"]["env"] == {"SHIPWAY_ALLOW_PICKLE": "1"}


def test_of_an_imported_file_without_code_no_code_is_run() -> None:
    """skops opens only what it knows to be safe, then."""
    assert optimizing("digits", detail("sklearn-skops", "import"), {})["spec"]["env"] == {}
