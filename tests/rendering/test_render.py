"""A project's objects as YAML, as a Kustomize base, as a chart: equal to the golden files, and to each other."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from shipway.errors import UserError
from shipway.kinds.load import load
from shipway.rendering.chart import chart
from shipway.rendering.folder import write
from shipway.rendering.kustomize import kustomization
from shipway.rendering.lookup import Nowhere
from shipway.rendering.manifests import rendered, text
from shipway.rendering.world import Wanted
from tests.rendering.helm import helm
from tests.rendering.projects import DIGEST, GOLDEN, PROJECT, WANTED, files, parts
from tests.rendering.templates import filled


def objects(yaml_text: str) -> dict[tuple[str, str], Any]:
    """By kind and name. An empty ``resources`` says what none says."""
    found = {}
    for one in yaml.safe_load_all(yaml_text):
        if one:
            found[one["kind"], one["metadata"]["name"]] = _without_empty(one)
    return found


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_empty(one) for name, one in value.items() if (name, one) != ("resources", {})}
    return [_without_empty(one) for one in value] if isinstance(value, list) else value


def test_files_are_the_golden_ones_to_the_byte() -> None:
    made = files()
    assert {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*") if path.is_file()} == made.keys()
    assert {path: (GOLDEN / path).read_text() for path in made} == made


def test_a_secret_is_named_and_its_value_never_asked_for() -> None:
    found = objects(text(parts()))
    assert not [kind for kind, _ in found if kind == "Secret"]
    [container] = found["Deployment", "front-end"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "front", "key": "token"}}} in container["env"]
    assert parts()[2].secrets == (("front", "token"),)


def test_objects_have_no_mark_of_a_hub_and_no_namespace() -> None:
    made = text(parts())
    assert "shipway.dev/owner" not in made
    assert "shipway.dev/bundle" not in made
    assert "namespace:" not in made


def test_a_namespace_is_that_of_all_objects() -> None:
    made = objects(text(parts(replace(WANTED, namespace="ml"))))
    assert {one["metadata"].get("namespace") for one in made.values()} == {"ml"}


def test_without_a_courier_a_model_is_an_image_volume() -> None:
    wanted = replace(WANTED, courier="", only=("service/digits",), images={"digits": "ghcr.io/team/digits:1"})
    [service] = rendered(load(PROJECT), wanted, Nowhere())
    [deployment] = [one for one in service.manifests if one["kind"] == "Deployment"]
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    assert f"ghcr.io/team/models/digits@{DIGEST}" in [one.get("image", {}).get("reference") for one in volumes]


@pytest.mark.parametrize(
    "wanted, message",
    [
        (Wanted(), "job 'digits' makes versions of the model 'digits'"),
        (replace(WANTED, images={}), "job 'digits' has no image, and this home pushed none called 'digits-job'"),
        (replace(WANTED, models={}), "service 'digits' serves the model 'digits:2', and this home does not know where"),
        (replace(WANTED, models={"digits": "ghcr.io/team/digits:2"}), "has no digest"),
        (replace(WANTED, models={"other": f"ghcr.io/o@{DIGEST}"}), "--model other=...: nothing that is rendered has"),
        (replace(WANTED, images={"nobody": "x.io/y"}), "--image nobody=...: nothing that is rendered has that name"),
        (replace(WANTED, only=("service/nobody",)), "--only service/nobody: there is no such workload"),
    ],
)
def test_what_nobody_said_is_asked_for_by_its_option(wanted: Wanted, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parts(wanted)
    assert message in caught.value.message
    assert caught.value.next_step


def test_inputs_need_a_hub() -> None:
    spec = "{command: [x], inputs: {d: d.csv}}"
    job = f"{{apiVersion: shipway.dev/v1alpha1, kind: ModelJob, metadata: {{name: a}}, spec: {spec}}}"
    with pytest.raises(UserError, match="reads inputs"):
        rendered(load(job), Wanted(), Nowhere())


def test_the_chart_with_its_own_values_is_what_yaml_says() -> None:
    made = chart(parts(), "vision", "0.1.0")
    values = yaml.safe_load(made["values.yaml"])
    templates = [filled(one, values) for path, one in made.items() if path.startswith("templates/")]
    assert objects("".join(templates)) == objects(text(parts()))


def test_values_of_the_chart_reach_their_places() -> None:
    made = chart(parts(), "vision", "0.1.0")
    values = yaml.safe_load(made["values.yaml"])
    values["services"]["digits"] |= {"replicas": 7, "image": "x.io/y:1", "resources": {"limits": {"cpu": "3"}}}
    deployment = objects(filled(made["templates/service-digits.yaml"], values))["Deployment", "digits"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert (deployment["spec"]["replicas"], container["image"]) == (7, "x.io/y:1")
    assert container["resources"] == {"limits": {"cpu": "3"}}
    values["services"]["front-end"]["maxReplicas"] = 9
    scaled = objects(filled(made["templates/service-front-end.yaml"], values))
    assert scaled["HorizontalPodAutoscaler", "front-end"]["spec"]["maxReplicas"] == 9


def test_what_is_written_again_replaces_and_removes_its_own_only(tmp_path: Path) -> None:
    first = kustomization(parts(), "ml")
    write(tmp_path, first, once=("overlays/production/kustomization.yaml",))
    (tmp_path / "base/mine.yaml").write_text("# mine\n")
    (tmp_path / "overlays/production/kustomization.yaml").write_text("# mine, too\n")
    one = kustomization(parts()[2:], "ml")
    write(tmp_path, one, once=("overlays/production/kustomization.yaml",))
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*one, "base/mine.yaml"}
    assert (tmp_path / "overlays/production/kustomization.yaml").read_text() == "# mine, too\n"


def test_what_is_not_ours_is_not_overwritten_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("mine: 1\n")
    with pytest.raises(UserError, match=r"values.yaml is not of `shipway render`"):
        write(tmp_path, chart(parts(), "vision", "0.1.0"))
    assert [one.name for one in tmp_path.iterdir()] == ["values.yaml"]


@pytest.mark.realtool
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="KUBEBUILDER_ASSETS: kubectl is not installed")
def test_kubectl_builds_the_overlay(tmp_path: Path) -> None:
    write(tmp_path, kustomization(parts(), "ml"))
    done = subprocess.run(
        ["kubectl", "kustomize", str(tmp_path / "overlays/production")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert objects(done.stdout) == objects(text(parts(replace(WANTED, namespace="ml"))))


@pytest.mark.realtool
@pytest.mark.thorough
def test_helm_lints_and_renders_the_chart(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    program = helm(tmp_path_factory)
    write(tmp_path, chart(parts(), "vision", "0.1.0"))
    lint = subprocess.run([program, "lint", "--strict", tmp_path], capture_output=True, text=True, check=False)
    assert lint.returncode == 0, lint.stdout + lint.stderr
    assert objects(_template(program, tmp_path)) == objects(text(parts()))
    changed = objects(_template(program, tmp_path, "--set", "services.front-end.image=x.io/y:2"))
    [container] = changed["Deployment", "front-end"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "x.io/y:2"


def _template(program: str, folder: Path, *options: str) -> str:
    words = [program, "template", "release", str(folder), *options]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout
