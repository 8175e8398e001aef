"""Which images a project needs, from whom, and what becomes of its objects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from shipway.building import on_cluster
from shipway.deploy.images import needs_images, with_images
from shipway.errors import NotFound
from shipway.kinds import ModelJob, ModelService
from shipway.project import Project, from_text
from shipway.transfer import silent

TEXT = """
apiVersion: shipway.dev/v1alpha1
kind: ModelJob
metadata: {name: d}
spec: {command: [python, train.py], model: d}
---
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata: {name: d}
spec: {model: d}
---
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata: {name: here}
spec: {model: d, cluster: local}
---
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata: {name: own}
spec: {model: d, image: "r.io/t/own@sha256:0000000000000000000000000000000000000000000000000000000000000000"}
"""
DECLARED = """
---
apiVersion: shipway.dev/v1alpha1
kind: Cluster
metadata: {name: mine}
spec: {type: kubernetes, namespace: ml, registry: r.io/mine, plainHttp: true}
"""


class OneCluster:
    """A hub that knows cluster ``prod``."""

    def get(self, path: str) -> Any:
        if not path.endswith("/clusters/prod"):
            raise NotFound(path)
        return {"spec": {"registry": "r.io/t", "base": "r.io/base:1"}, "status": {"platforms": ["linux/arm64"]}}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[on_cluster.Wanted]:
    wanted: list[on_cluster.Wanted] = []

    def images(one: on_cluster.Wanted, report: Any) -> Mapping[str, str]:
        wanted.append(one)
        return {name: f"{one.registry}/{name}@sha256:0" for name in one.workloads}

    monkeypatch.setattr(on_cluster, "images", images)
    return wanted


def project(folder: Path, text: str = TEXT) -> Project:
    (folder / "train.py").write_text("")
    return from_text(text, folder / "shipway.yaml")


def run(one: Project) -> Project:
    return with_images(OneCluster(), one, report=silent).project  # type: ignore[arg-type]


def test_what_runs_here_needs_none(tmp_path: Path, asked: list[on_cluster.Wanted]) -> None:
    one = project(tmp_path)
    assert not needs_images(one)
    assert (run(one), asked) == (one, [])


def test_what_names_no_cluster_and_no_image_gets_both(tmp_path: Path, asked: list[on_cluster.Wanted]) -> None:
    made = run(project(tmp_path).on("prod"))
    (wanted,) = asked
    assert (wanted.workloads, wanted.registry, wanted.platforms) == (("job/d", "service/d"), "r.io/t", ("linux/arm64",))
    assert wanted.base == "r.io/base:1"
    placed = {
        f"{one.kind}/{one.name}": (one.spec.cluster, one.spec.image.partition("@")[0])
        for one in made.objects
        if isinstance(one, ModelJob | ModelService)
    }
    assert placed == {
        "ModelJob/d": ("prod", "r.io/t/job/d"),
        "ModelService/d": ("prod", "r.io/t/service/d"),
        "ModelService/here": ("local", ""),
        "ModelService/own": ("prod", "r.io/t/own"),
    }


def test_a_cluster_may_stand_in_the_project(tmp_path: Path, asked: list[on_cluster.Wanted]) -> None:
    run(project(tmp_path, TEXT + DECLARED).on("mine"))
    assert [(one.registry, one.plain_http, one.platforms) for one in asked] == [("r.io/mine", True, ())]


def test_a_cluster_that_nobody_knows(tmp_path: Path, asked: list[on_cluster.Wanted]) -> None:
    with pytest.raises(NotFound, match="there is no cluster 'other'\nAdd it: shipway cluster add other --context"):
        run(project(tmp_path).on("other"))
    assert asked == []
