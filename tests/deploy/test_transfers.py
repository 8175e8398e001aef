"""How the faces ask for versions that move."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.deploy import transfers
from shipway.errors import UserError
from shipway.kinds import CHAMPION


@pytest.mark.parametrize(
    ("version", "path"),
    [
        ("digits", "/v1/models/digits/versions/champion/push"),
        ("digits:", "/v1/models/digits/versions/champion/push"),
        ("digits:3", "/v1/models/digits/versions/3/push"),
        ("digits:latest", "/v1/models/digits/versions/latest/push"),
        ("a/b:c/d", "/v1/models/a%2Fb/versions/c%2Fd/push"),
    ],
)
def test_a_version_is_a_path(version: str, path: str) -> None:
    assert transfers.version_of(version, "push") == path


def test_what_names_no_model_is_no_path() -> None:
    with pytest.raises(UserError, match="names no version"):
        transfers.version_of(":3", "push")


def test_the_champion_is_what_kinds_call_it() -> None:
    assert transfers.CHAMPION == CHAMPION


def test_a_push_goes_where_it_is_told_or_to_the_default_registry() -> None:
    assert transfers.push_target("digits:3", "ghcr.io/team/x:prod", "r.example") == "ghcr.io/team/x:prod"
    assert transfers.push_target("digits:3", None, "ghcr.io/team/") == "ghcr.io/team/digits"
    with pytest.raises(UserError, match="SHIPWAY_REGISTRY"):
        transfers.push_target("digits:3", None, "")


@pytest.mark.parametrize(
    "reference",
    ["ghcr.io/team/digits:3", "ghcr.io/team/digits", "localhost:5000/digits@sha256:00", "h:1/a/digits:2@sha256:00"],
)
def test_a_pulled_version_is_called_as_its_repository(reference: str) -> None:
    assert transfers.name_in(reference) == "digits"


def test_what_no_model_can_be_called_is_near_it() -> None:
    assert transfers.name_in("r.example/team/big_model.v2:1") == "big-model-v2"


@pytest.mark.parametrize("reference", ["r.example/3d:1", "r.example/", ""])
def test_where_no_name_can_be_made_one_is_asked_for(reference: str) -> None:
    with pytest.raises(UserError) as error:
        transfers.name_in(reference)
    assert "--as NAME" in error.value.next_step


def test_an_export_goes_to_files_an_archive_or_a_layout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert transfers.destination("out") == {"path": str(tmp_path / "out"), "form": "files"}
    assert transfers.destination("/x/digits.tar") == {"path": "/x/digits.tar", "form": "archive"}
    assert transfers.destination("oci:out.tar") == {"path": str(tmp_path / "out.tar"), "form": "layout"}


def test_what_is_verified_is_a_version_or_a_reference() -> None:
    assert transfers.verification("digits:3", plain_http=False) == ("/v1/models/digits/versions/3/verify", {})
    path, body = transfers.verification("r.example/digits", plain_http=True)
    assert (path, body) == ("/v1/verify", {"reference": "r.example/digits", "plainHttp": True})
