"""From a folder to objects with digests: which files count for what, and where an error is told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from shipway.errors import InvalidObject, NotFound, UserError
from shipway.kinds import Model, ModelJob, ModelService
from shipway.project import Project, declared, read, requirement_lines

HEAD = "apiVersion: shipway.dev/v1alpha1\nmetadata: {name: digits}\n"
JOB = HEAD + "kind: ModelJob\nspec:\n  command: [python, train.py]\n  model: digits\n"
SERVICE = HEAD + "kind: ModelService\nspec:\n  model: digits\n"
SERVER = HEAD + "kind: ModelService\nspec:\n  command: [python, app.py]\n"


def folder(tmp_path: Path, yaml: str, **files: str) -> Path:
    """A project: ``train_py="..."`` is train.py."""
    (tmp_path / "shipway.yaml").write_text(yaml)
    for name, text in files.items():
        (tmp_path / name.replace("_", ".")).write_text(text)
    return tmp_path


def job_of(project: Project) -> ModelJob:
    return next(one for one in project.objects if isinstance(one, ModelJob))


def service_of(project: Project) -> ModelService:
    return next(one for one in project.objects if isinstance(one, ModelService))


def names(project: Project, digest: str | None) -> list[str]:
    return [file.name for file in project.snapshots[digest or ""].files]


def test_a_job_gets_all_files_but_shipway_yaml(tmp_path: Path) -> None:
    project = read(folder(tmp_path, JOB, train_py="1", data_csv="1,2"))
    assert names(project, job_of(project).spec.source.digest) == ["data.csv", "train.py"]


def test_editing_the_predictor_does_not_touch_the_job(tmp_path: Path) -> None:
    yaml = f"{JOB}---\n{SERVICE}  predictor: predictor.py:Digits\n"
    before = read(folder(tmp_path, yaml, train_py="1", predictor_py="1"))
    service = service_of(before)
    assert service.spec.source is not None
    assert service.spec.source.files == ("predictor.py",)
    assert names(before, service.spec.source.digest) == ["predictor.py"]
    assert names(before, job_of(before).spec.source.digest) == ["train.py"]
    (tmp_path / "predictor.py").write_text("2")
    after = read(tmp_path)
    assert job_of(after) == job_of(before)
    assert service_of(after) != service


@pytest.mark.parametrize("files", ['["*.py"]', '["./app.py", train.py]', '["**"]', '["*", "!app.py"]'])
def test_a_job_keeps_the_files_that_its_command_names(tmp_path: Path, files: str) -> None:
    yaml = f"{JOB}---\n{SERVER}  source: {{files: {files}}}\n"
    project = read(folder(tmp_path, yaml, train_py="1", app_py="1"))
    assert "train.py" in names(project, job_of(project).spec.source.digest)


def test_a_job_may_say_its_files(tmp_path: Path) -> None:
    yaml = JOB + "  source: {files: [train.py, shipway.yaml]}\n"
    project = read(folder(tmp_path, yaml, train_py="1", other_py="1"))
    assert names(project, job_of(project).spec.source.digest) == ["shipway.yaml", "train.py"]


def test_a_server_gets_all_files_and_a_model_alone_none(tmp_path: Path) -> None:
    server = service_of(read(folder(tmp_path, SERVER, app_py="1")))
    assert server.spec.source is not None
    assert server.spec.source.digest is not None
    assert service_of(read(folder(tmp_path, SERVICE))).spec.source is None


def test_a_model_of_files(tmp_path: Path) -> None:
    yaml = HEAD + 'kind: Model\nspec:\n  source: {files: ["*.onnx"]}\n---\n' + HEAD + "kind: Cluster\n"
    project = read(folder(tmp_path, yaml, m_onnx="1"))
    model = project.objects[0]
    assert isinstance(model, Model)
    assert model.spec.source is not None
    assert names(project, model.spec.source.digest) == ["m.onnx"]


def test_inputs_become_digests(tmp_path: Path) -> None:
    project = read(folder(tmp_path, JOB + "  inputs: {rows: {path: data.csv}}\n", train_py="1", data_csv="1"))
    given = job_of(project).spec.inputs["rows"]
    assert given.path == "data.csv"
    assert names(project, given.digest) == ["data.csv"]


def test_a_digest_that_is_there_already_needs_no_files(tmp_path: Path) -> None:
    digest = "sha256:" + "1" * 64
    yaml = JOB + f"  source: {{digest: {digest}}}\n  inputs: {{rows: {{path: gone.csv, digest: {digest}}}}}\n"
    project = read(folder(tmp_path, yaml))
    assert project.snapshots == {}
    assert job_of(project).spec.source.digest == digest


def test_requirements_txt_counts_unless_another_is_named(tmp_path: Path) -> None:
    yaml = f"{JOB}---\n{SERVICE}  requirements: [numpy==2.0]\n"
    project = read(folder(tmp_path, yaml, train_py="1", requirements_txt="flask==3.1.3  # web\n\n# no\n"))
    assert job_of(project).spec.requirements == ("flask==3.1.3",)
    assert service_of(project).spec.requirements == ("numpy==2.0",)
    (tmp_path / "requirements.txt").unlink()
    assert job_of(read(tmp_path)).spec.requirements is None


def test_requirements_files_in_files_and_lines_that_go_on(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("b==1\n")
    file = tmp_path / "requirements.txt"
    file.write_text("-r more.txt\n--requirement=more.txt\na==1 \\\n  --hash=sha256:0\n--no-index\n")
    assert requirement_lines(file) == ("b==1", "b==1", "a==1   --hash=sha256:0", "--no-index")
    (tmp_path / "more.txt").write_text("-r requirements.txt\n")
    with pytest.raises(UserError, match=r"requirements\.txt includes itself"):
        requirement_lines(file)


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        (JOB + "  requirements: deps.txt\n", r"7: spec.requirements: deps.txt cannot be read: No such file"),
        (JOB + "  source: {files: [tran.py]}\n", r"7: spec.source.files: tran.py matches nothing in "),
        (JOB + "  inputs: {rows: {path: rows.csv}}\n", r"7: spec.inputs.rows.path: rows.csv matches nothing in "),
        (SERVICE + "  predictor: digits.py:Digits\n", r"6: spec.predictor: digits.py matches nothing in "),
        (SERVICE + "  predictor: digits\n", r"6: spec.predictor: 'digits' is not a predictor: write FILE.py:Class"),
        (f"{JOB}---\n{SERVICE}  predictor: digits.py:Digits\n", r"13: spec.predictor: digits.py matches nothing in "),
    ],
)
def test_a_missing_file_is_told_where_it_is_named(tmp_path: Path, yaml: str, message: str) -> None:
    folder(tmp_path, yaml, train_py="1")
    with pytest.raises(InvalidObject, match=f"shipway.yaml:{message}"):
        read(tmp_path)


def test_without_shipway_yaml_the_next_step_is_init(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"there is no shipway.yaml in ") as caught:
        read(tmp_path)
    assert caught.value.next_step == f"shipway init {tmp_path} writes one"
    with pytest.raises(NotFound, match="does not exist"):
        read(tmp_path / "nowhere")


def test_a_file_of_another_name_and_text_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(SERVICE)
    assert read(file).file == file
    assert [one.key for one in declared(file)] == [("ModelService", "digits")]
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="is not UTF-8 text"):
        read(file)
    file.write_text("")
    with pytest.raises(InvalidObject, match="holds no object: it is empty"):
        read(file)


def test_a_snapshot_is_written_once_more_for_the_upload(tmp_path: Path) -> None:
    project = read(folder(tmp_path, JOB, train_py="1"))
    ((digest, snapshot),) = project.snapshots.items()
    with snapshot.open() as tar:
        assert "sha256:" + hashlib.sha256(tar.read()).hexdigest() == digest
    (tmp_path / "train.py").write_text("2")
    with pytest.raises(UserError, match="changed while it was being uploaded"), snapshot.open():
        pass


BY_IMAGE = "  image: app:1\n"


@pytest.mark.parametrize("yaml, of", [(JOB, job_of), (SERVER, service_of)])
def test_who_names_an_image_has_no_snapshot_on_a_cluster(
    tmp_path: Path, yaml: str, of: Callable[[Project], ModelJob | ModelService]
) -> None:
    """The image has the code: what lies in the folder must neither train again nor be sent."""
    project = read(folder(tmp_path, yaml + BY_IMAGE, train_py="1"))
    assert of(project).spec.source is not None and project.snapshots  # on this machine the files are what runs
    placed = project.on("prod")
    source = of(placed).spec.source
    assert (source is None or source.digest is None) and not placed.snapshots
    declared_there = read(folder(tmp_path, f"{yaml}{BY_IMAGE}  cluster: prod\n"))
    assert (of(declared_there), declared_there.snapshots) == (of(placed), {})
    assert names(read(folder(tmp_path, yaml)).on("prod"), of(project).spec.source.digest) == ["train.py"]  # type: ignore[union-attr]


def test_what_the_hub_wrote_keeps_its_digest(tmp_path: Path) -> None:
    """`shipway get -o yaml` has the image that was built, and the source that it was built of."""
    digest = "sha256:" + "a" * 64
    yaml = f"{JOB}{BY_IMAGE}  cluster: prod\n  source: {{digest: '{digest}'}}\n"
    assert job_of(read(folder(tmp_path, yaml))).spec.source.digest == digest
