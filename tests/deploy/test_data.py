"""Inputs that name data sets get their digest when they are applied; which path and body each command asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from shipway.client import HubClient
from shipway.deploy.apply import with_data
from shipway.deploy.data import added, is_reference, labelled, version_of
from shipway.errors import InvalidObject, NotFound, UserError
from shipway.kinds import ModelJob
from shipway.project import from_text

DIGEST = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64
YAML = """\
apiVersion: shipway.dev/v1alpha1
kind: ModelJob
metadata: {name: line}
spec:
  command: [echo]
  inputs:
    train: {data: raw}
    test: {data: "raw:1"}
"""


class FakeHub:
    """Knows data sets by path."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known
        self.asked: list[str] = []

    def get(self, path: str) -> Any:
        self.asked.append(path)
        if path not in self._known:
            raise NotFound("there is no data set 'raw'; the nearest: row", next_step="Add it.")
        return {"version": {"digest": self._known[path]}}


def test_an_input_gets_the_digest_of_the_version(tmp_path: Path) -> None:
    hub = FakeHub({version_of("raw"): DIGEST, version_of("raw:1"): OTHER})
    project = with_data(cast("HubClient", hub), from_text(YAML, tmp_path / "shipway.yaml"))
    [job] = project.objects
    assert isinstance(job, ModelJob)
    assert {name: one.digest for name, one in job.spec.inputs.items()} == {"train": DIGEST, "test": OTHER}
    assert project.data == ()
    assert with_data(cast("HubClient", hub), project) is project
    assert len(hub.asked) == 2


def test_an_unknown_one_is_told_with_its_line(tmp_path: Path) -> None:
    project = from_text(YAML, tmp_path / "shipway.yaml")
    with pytest.raises(InvalidObject) as caught:
        with_data(cast("HubClient", FakeHub({})), project)
    assert caught.value.message.endswith(
        "shipway.yaml:7: spec.inputs.train.data: there is no data set 'raw'; the nearest: row"
    )
    assert caught.value.next_step == "Add it."


@pytest.mark.parametrize("written", ["Raw", "raw:0", "raw:x", "raw:", "a/b", ""])
def test_what_is_no_data_set_is_told(tmp_path: Path, written: str) -> None:
    with pytest.raises(InvalidObject, match="is not a data set"):
        from_text(YAML.replace("data: raw}", f'data: "{written}"}}'), tmp_path / "shipway.yaml")


@pytest.mark.parametrize("both", ["{data: raw, path: x}", "{data: raw, file: x}", "{file: x}"])
def test_an_input_is_from_one_place(tmp_path: Path, both: str) -> None:
    with pytest.raises(InvalidObject, match=r"give either path|file goes with path"):
        from_text(YAML.replace("{data: raw}", both), tmp_path / "shipway.yaml")


def test_a_path_and_a_uri_are_told_apart(tmp_path: Path) -> None:
    assert added(str(tmp_path), {"secret": None, "keep": False}) == {"path": str(tmp_path)}
    assert added("s3://b/p", {"secret": "s", "keep": False}) == {"uri": "s3://b/p", "secret": "s"}
    with pytest.raises(UserError, match="--copy is for a URI"):
        added("/data", {"keep": True})
    assert is_reference("ghcr.io/team/raw")
    assert not is_reference("raw:2")


def test_labels_are_words_with_a_sign() -> None:
    assert labelled(("residency=eu", "note=a=b")) == {"residency": "eu", "note": "a=b"}
    with pytest.raises(UserError, match="--label x has no value"):
        labelled(("x",))
