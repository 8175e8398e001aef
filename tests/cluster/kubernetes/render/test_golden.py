"""What is rendered, to the byte. ``SHIPWAY_GOLDEN=write pytest tests/cluster/kubernetes/render/test_golden.py`` writes
the files anew; read the difference before you commit it. (test_schemas.py and tests/kubernetes/test_render.py give the
files to Kubernetes' schemas and to a real API server.)"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from shipway.cluster.kubernetes.render import render
from shipway.cluster.kubernetes.render.text import yaml_of
from tests.cluster.kubernetes.render.bundles import SERVICES
from tests.cluster.kubernetes.render.restricted import templates, violations

GOLDEN = Path(__file__).parent / "golden"
WRITE = os.environ.get("SHIPWAY_GOLDEN") == "write"


@pytest.mark.parametrize("name", SERVICES)
def test_the_objects_are_those_of_the_golden_file(name: str) -> None:
    file, text = GOLDEN / f"{name}.yaml", yaml_of(render(*SERVICES[name]))
    if WRITE:
        file.write_text(text)
    assert text == file.read_text()


def test_each_golden_file_has_its_bundle() -> None:
    assert {file.stem for file in GOLDEN.glob("*.yaml")} == set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_the_text_says_what_the_objects_say(name: str) -> None:
    manifests = render(*SERVICES[name])
    assert list(yaml.safe_load_all(yaml_of(manifests))) == json.loads(json.dumps(manifests))


@pytest.mark.parametrize("name", SERVICES)
def test_pod_security_restricted_and_beyond(name: str) -> None:
    (template,) = templates(render(*SERVICES[name]))
    pod = template["spec"]
    assert violations(pod) == []
    assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False
    assert all(one["securityContext"]["readOnlyRootFilesystem"] for one in pod["containers"])
