"""What is rendered of jobs, to the byte. ``SHIPWAY_GOLDEN=write pytest tests/cluster/kubernetes/jobs/test_golden.py``
writes the files anew. (render/test_schemas.py gives these files to Kubernetes' schemas too.)"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shipway.cluster.kubernetes.render import render
from shipway.cluster.kubernetes.render.text import yaml_of
from tests.cluster.kubernetes.jobs.bundles import JOBS
from tests.cluster.kubernetes.render.restricted import templates, violations

GOLDEN = Path(__file__).parent / "golden"
WRITE = os.environ.get("SHIPWAY_GOLDEN") == "write"


@pytest.mark.parametrize("name", JOBS)
def test_the_objects_are_those_of_the_golden_file(name: str) -> None:
    file, text = GOLDEN / f"{name}.yaml", yaml_of(render(*JOBS[name]))
    if WRITE:
        file.write_text(text)
    assert text == file.read_text()


def test_each_golden_file_has_its_bundle() -> None:
    assert {file.stem for file in GOLDEN.glob("*.yaml")} == set(JOBS)


@pytest.mark.parametrize("name", JOBS)
def test_pod_security_restricted_and_beyond(name: str) -> None:
    (template,) = templates(render(*JOBS[name]))
    pod = template["spec"]
    assert violations(pod) == []
    assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False
    containers = [*pod["containers"], *pod.get("initContainers", ())]
    assert all(one["securityContext"]["readOnlyRootFilesystem"] for one in containers)


@pytest.mark.parametrize("name", JOBS)
def test_every_mount_has_its_volume_and_every_volume_its_mount(name: str) -> None:
    (template,) = templates(render(*JOBS[name]))
    pod = template["spec"]
    containers = [*pod["containers"], *pod.get("initContainers", ())]
    mounted = {mount["name"] for one in containers for mount in one["volumeMounts"]}
    names = [one["name"] for one in pod["volumes"]]
    assert len(names) == len(set(names)) and mounted == set(names)
