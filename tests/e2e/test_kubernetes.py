"""The whole of ``up`` on a cluster with nodes and a registry: ``SHIPWAY_E2E=1 KUBECONFIG=... pytest tests/e2e``.

The context is the kubeconfig's current one; images go to ``SHIPWAY_REGISTRY``, by plain HTTP with
``SHIPWAY_PLAIN_HTTP=1``, and stand on ``SHIPWAY_BASE``. The namespace is made for the test, with Pod Security
``restricted``, and deleted at its end.
Without SHIPWAY_E2E nothing of this file is collected (conftest.py).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.home import EXAMPLES, Home, fresh_home, told

# Read now: no test sees what the developer's shell says of Shipway.
REGISTRY = os.environ.get("SHIPWAY_REGISTRY", "")
BASE = os.environ.get("SHIPWAY_BASE", "")
PLAIN = os.environ.get("SHIPWAY_PLAIN_HTTP") == "1"
KUBECONFIG = os.environ.get("KUBECONFIG", "")
KUBECTL = Path(os.environ.get("KUBEBUILDER_ASSETS", "/usr/local/kubebuilder/bin")) / "kubectl"

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Prod:
    """A home whose cluster ``prod`` is a fresh namespace."""

    home: Home
    namespace: str
    project: Path

    def ok(self, *words: str | Path, timeout: float = 600.0) -> str:
        return self.home.ok(*words, timeout=timeout)

    def up(self) -> Any:
        done = self.home.shipway("up", self.project, "--cluster", "prod", "-o", "json", timeout=600)
        assert done.returncode == 0, told(done)
        return json.loads(done.stdout)


def kubectl(*words: str) -> str:
    done = subprocess.run([KUBECTL, *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def prod() -> Iterator[Prod]:
    assert REGISTRY, "SHIPWAY_E2E=1 needs SHIPWAY_REGISTRY=HOST/TEAM, which the nodes reach"
    assert KUBECONFIG, "SHIPWAY_E2E=1 needs KUBECONFIG"
    namespace, context = f"shipway-e2e-{uuid.uuid4().hex[:8]}", kubectl("config", "current-context").strip()
    kubectl("create", "namespace", namespace)
    try:
        kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
        with fresh_home() as home:
            made = Home(home.path, {**home.environment, **({"SHIPWAY_BASE": BASE} if BASE else {})})
            project = made.projects / "digits"
            shutil.copytree(EXAMPLES / "digits", project)
            where = ("--context", context, "--namespace", namespace, "--registry", f"{REGISTRY}/{namespace}")
            made.ok("cluster", "add", "prod", *where, *(("--plain-http",) if PLAIN else ()), timeout=600)
            yield Prod(made, namespace, project)
            made.ok("down", "--cluster", "prod", timeout=120)
            assert kubectl("-n", namespace, "get", "deployments,jobs,pods", "-o", "name") == ""
    finally:
        kubectl("delete", "namespace", namespace, "--wait=false")


def test_a_project_goes_there_and_answers(prod: Prod) -> None:
    result = prod.up()
    (service,) = result["services"]
    assert (service["cluster"], service["readyReplicas"]) == ("prod", 1)
    assert result["models"][0]["version"] == "digits:1"
    assert result["models"][0]["metrics"]["accuracy"] > 0.9
    assert '"digit"' in prod.ok("predict", "digits", "--file", prod.project / "sample.json")


def test_once_more_does_nothing(prod: Prod) -> None:
    first, resources = prod.up(), _versions(prod.namespace)
    assert first["upToDate"]
    assert prod.up()["upToDate"]
    assert _versions(prod.namespace) == resources
    assert prod.ok("diff", prod.project, "--cluster", "prod") == "nothing would change\n"


def test_every_way_to_look_works(prod: Prod) -> None:
    assert prod.ok("logs", "job/digits")
    assert "all traffic goes to digits-00001" in prod.ok("why", "service/digits")
    assert "prod" in prod.ok("status", "--cluster", "prod")
    assert "digits" in prod.ok("services", "-o", "wide")
    assert " 0 missing" in prod.ok("cluster", "check", "prod")


def test_a_change_rolls_and_is_undone(prod: Prod) -> None:
    train = prod.project / "shipway.yaml"
    train.write_text(train.read_text().replace("hidden: 64", "hidden: 48").replace(", notWorseThan: champion", ""))
    assert prod.up()["services"][0]["model"]["version"] == 2
    assert "digits-00001" in prod.ok("undo", "services/digits")
    (service,) = (one for one in prod.home.json("services") if one["metadata"]["name"] == "digits")
    assert (service["spec"]["model"], service["status"]["model"]["version"]) == ("digits:1", 1)
    assert '"digit"' in prod.ok("predict", "digits", "--file", prod.project / "sample.json")


def _versions(namespace: str) -> dict[str, str]:
    """What a write would change."""
    kinds = "deployments,services,networkpolicies,serviceaccounts,secrets,configmaps"
    items = json.loads(kubectl("-n", namespace, "get", kinds, "-o", "json"))["items"]
    return {
        f"{one['kind']}/{one['metadata']['name']}": str(one["metadata"]["generation"])
        for one in items
        if "generation" in one["metadata"]
    }
