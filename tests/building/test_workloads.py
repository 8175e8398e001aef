"""From a project to recipes: which workloads, with which command, variables and packages, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from shipway.building.asked import Asked
from shipway.building.workloads import InImage, Planned, planned
from shipway.errors import InvalidObject, NotFound, UserError
from shipway.image.recipe import Files, Model, Packages
from shipway.kinds import ResolvedModel
from shipway.oci import Descriptor, Digest

DIGEST = Digest.of(b"model")
MODEL = InImage(
    ResolvedModel(name="digits", version=2, digest=DIGEST, format="onnx"), Descriptor("application/x", DIGEST, 5)
)

JOB = """\
apiVersion: shipway.dev/v1alpha1
kind: ModelJob
metadata: {name: digits}
spec:
  command: [python, train.py]
  params: {epochs: 3}
  model: digits
  inputs: {table: {path: not-here.csv}}
"""
SERVICE = """\
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata: {name: digits}
spec:
  model: digits
  predictor: predictor.py:Digits
  requirements: [scikit-learn==1.9.1]
"""


def plan(
    folder: Path, yaml: str, files: Mapping[str, str] = {}, models: Mapping[str, InImage] = {}, **asked: object
) -> tuple[Planned, ...]:
    for name, text in {"train.py": "", "predictor.py": "", **files}.items():
        (folder / name).write_text(text)
    (folder / "shipway.yaml").write_text(yaml)
    return planned(Asked(folder, **asked), models, folder / "cache")  # type: ignore[arg-type]


def names(one: Planned) -> list[str]:
    """What of the folder gets into the image."""
    code = next((step for step in one.recipe.steps if isinstance(step, Files) and not step.body), None)
    return [] if code is None else [entry.name for entry in code.entries if entry.kind == "file"]


def test_services_are_built_and_jobs_only_where_there_is_no_service(tmp_path: Path) -> None:
    assert [one.recipe.name for one in plan(tmp_path, f"{JOB}---\n{SERVICE}")] == ["digits"]
    [job] = plan(tmp_path, JOB)
    assert job.recipe.runs.entrypoint == ("/opt/venv/bin/python", "train.py")
    assert job.recipe.runs.env["SHIPWAY_PARAMS"] == '{"epochs": 3}'
    assert job.recipe.runs.ports == ()


def test_a_job_beside_a_service_of_its_name_has_another_name(tmp_path: Path) -> None:
    both = plan(tmp_path, f"{JOB}---\n{SERVICE}", only=("job/digits", "ModelService/digits", "msvc/digits"))
    assert [one.recipe.name for one in both] == ["digits-job", "digits"]
    assert names(both[0]) == ["app/train.py"]  # the predictor is the service's
    assert names(both[1]) == ["app/predictor.py"]


def test_a_model_server_has_the_runtime_and_the_contracts_variables(tmp_path: Path) -> None:
    [one] = plan(tmp_path, SERVICE)
    runs, packages = one.recipe.runs, one.recipe.steps[1]
    assert runs.entrypoint == ("/opt/venv/bin/python", "-m", "shipway.runtime.server")
    assert runs.env["SHIPWAY_MODEL_DIR"] == "/model"
    assert runs.env["SHIPWAY_PREDICTOR"] == "predictor.py:Digits"
    assert runs.env["SHIPWAY_ALLOW_PICKLE"] == "0"
    assert isinstance(packages, Packages)
    assert packages.asked == ("scikit-learn==1.9.1",)
    assert any(line.startswith("uvloop") for line in packages.runtime)
    assert [step.title for step in one.recipe.steps if isinstance(step, Files) and step.body] == ["shipway runtime"]
    assert any("no model is in the image" in note for note in one.notes)


def test_a_version_in_the_image_brings_what_it_needs(tmp_path: Path) -> None:
    [one] = plan(tmp_path, SERVICE, models={"digits": MODEL})
    packages = one.recipe.steps[1]
    assert isinstance(packages, Packages)
    assert any(line.startswith("onnxruntime") for line in packages.runtime)
    assert one.recipe.steps[-1] == Model("digits:2", MODEL.version)
    assert one.recipe.runs.env["SHIPWAY_MODEL_VERSION"] == "2"
    assert one.recipe.runs.env["SHIPWAY_ALLOW_PICKLE"] == "1"  # it was trained here
    assert not one.notes


def test_features_of_the_server_block(tmp_path: Path) -> None:
    [one] = plan(tmp_path, SERVICE + "  server: {grpc: true}\n")
    packages = one.recipe.steps[1]
    assert isinstance(packages, Packages)
    assert any(line.startswith("hpack") for line in packages.runtime)
    assert one.recipe.runs.ports == ("8080/tcp", "8081/tcp")
    assert one.recipe.runs.env["SHIPWAY_GRPC_PORT"] == "8081"


def test_references_are_resolved_where_the_value_is_known(tmp_path: Path) -> None:
    yaml = """\
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata: {name: app}
spec:
  command: [serve, --at, $(URL), --key, $(KEY), $$(PORT), --node, $(NODE)]
  env:
    URL: http://$(HOST):$(PORT)/
    KEY: {secret: {name: app, key: key}}
"""
    [one] = plan(tmp_path, yaml)
    words = ("serve", "--at", "http://0.0.0.0:8080/", "--key", "$(KEY)", "$(PORT)", "--node", "$(NODE)")
    assert one.recipe.runs.entrypoint == words
    assert "KEY" not in one.recipe.runs.env
    assert one.notes == ("KEY is left out, its value is a secret: give it when the image runs",)
    [packages] = (step for step in one.recipe.steps if isinstance(step, Packages))
    assert packages == Packages()  # a server of one's own has nothing of Shipway in it


def test_models_that_nobody_serves_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no service that is built serves a model of that name") as error:
        plan(tmp_path, SERVICE, models={"other": MODEL})
    assert error.value.next_step == "They serve: digits."
    with pytest.raises(UserError, match="no service"):
        plan(tmp_path, JOB, models={"digits": MODEL})


def test_a_file_with_nothing_to_build(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="declares no service and no job"):
        plan(tmp_path, "apiVersion: shipway.dev/v1alpha1\nkind: Model\nmetadata: {name: digits}\nspec: {}\n")


def test_what_is_wrong_in_the_file_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidObject, match=r"shipway.yaml:7: spec.requirements: no.txt cannot be read"):
        plan(tmp_path, SERVICE.replace("[scikit-learn==1.9.1]", "no.txt"))
    digest = f"  source: {{digest: '{DIGEST}'}}\n"
    with pytest.raises(InvalidObject, match=r"spec.source.digest: a digest names files that only the hub has"):
        plan(tmp_path, SERVICE + digest)


def test_one_name_for_two_images(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--name x would name 2 images: job/digits, service/digits"):
        plan(tmp_path, f"{JOB}---\n{SERVICE}", only=("job/digits", "service/digits"), name="x")


def test_what_names_an_image_is_not_built(tmp_path: Path) -> None:
    imaged = SERVICE.replace("spec:\n", "spec:\n  image: app:1\n")
    (only,) = plan(tmp_path, f"{JOB}---\n{imaged}")
    assert only.recipe.runs.entrypoint is not None and only.recipe.runs.entrypoint[-1] == "train.py"
    with pytest.raises(UserError, match="names an image of its own: nothing to build"):
        plan(tmp_path, imaged)
    with pytest.raises(UserError, match="--only service/digits: it names the image app:1"):
        plan(tmp_path, f"{JOB}---\n{imaged}", only=("service/digits",))
