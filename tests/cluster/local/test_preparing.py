"""Finding commands and secrets, copying files, and what the supervisor is told."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from shipway.bundle import Environment, HttpProbe, Workload
from shipway.cluster.local import Interpreter
from shipway.cluster.local.folder import Folder, copy_writable, sweep
from shipway.cluster.local.observation import observed
from shipway.cluster.local.plan import make_plan, minimal_environment
from shipway.cluster.local.prepare import Prepared, PreparingFailed, find_command, find_interpreter, find_secret
from shipway.errors import DependencyFailed
from tests.cluster.local.place import ThisPython


def program(path: Path, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def test_python_is_the_interpreter(tmp_path: Path) -> None:
    interpreter = Interpreter(tmp_path / "env/bin/python", "")
    assert find_command(("python",), tmp_path, interpreter, "/bin") == str(interpreter.python)
    assert find_command(("python3",), tmp_path, None, "/bin") == sys.executable


def test_programs_of_the_environment_come_first(tmp_path: Path) -> None:
    mine, other = program(tmp_path / "env/bin/flask"), program(tmp_path / "usr/flask")
    interpreter = Interpreter(tmp_path / "env/bin/python", "")
    assert find_command(("flask",), tmp_path, interpreter, str(other.parent)) == str(mine)
    assert find_command(("flask",), tmp_path, None, str(other.parent)) == str(other)


def test_files_of_the_source(tmp_path: Path) -> None:
    program(tmp_path / "run.sh")
    program(tmp_path / "data.sh", 0o644)
    assert find_command(("./run.sh",), tmp_path, None, "") == "./run.sh"
    assert find_command(("/bin/sh",), tmp_path, None, "") == "/bin/sh"
    assert find_command(("$(TOOL)",), tmp_path, None, "") == "$(TOOL)"
    for word, problem in (("./data.sh", "is not an executable file"), ("./run.hs", "does not exist")):
        with pytest.raises(PreparingFailed, match=problem):
            find_command((word,), tmp_path, None, "")


def test_an_unknown_command_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = str(program(tmp_path / "bin/gunicorn").parent)
    with pytest.raises(PreparingFailed) as failure:
        find_command(("gunicron",), tmp_path, None, path)
    assert failure.value.reason == "CommandNotFound"
    assert failure.value.message == "command 'gunicron' is not on the PATH; did you mean gunicorn?"
    with pytest.raises(PreparingFailed, match="command is empty"):
        find_command((), tmp_path, None, path)


def test_secrets(tmp_path: Path) -> None:
    file = program(tmp_path / "upstream/API_KEY", 0o600)
    assert find_secret(tmp_path, "upstream", "API_KEY") == file
    with pytest.raises(PreparingFailed, match="it has API_KEY"):
        find_secret(tmp_path, "upstream", "KEY")
    for secret, key in (("nothing", "KEY"), ("..", "x"), ("upstream", "../upstream/API_KEY")):
        with pytest.raises(PreparingFailed):
            find_secret(tmp_path, secret, key)


def test_a_failed_environment_shows_the_end_of_what_uv_said() -> None:
    environments = ThisPython()
    environments.failure = DependencyFailed("uv cannot install nosuch==1\nNo solution found")
    with pytest.raises(PreparingFailed) as failure:
        find_interpreter(Workload("w", "job", ("python",), environment=Environment(("nosuch==1",))), environments)
    assert (failure.value.reason, failure.value.message) == ("EnvironmentFailed", "uv cannot install nosuch==1")
    assert failure.value.tail.endswith("No solution found")


def test_a_copy_is_writable_and_leaves_the_artifact_alone(tmp_path: Path) -> None:
    source = tmp_path / "artifact"
    program(source / "sub/run.sh", 0o555)
    (source / "link").symlink_to("sub/run.sh")
    (source / "sub").chmod(0o555)
    copy_writable(source, tmp_path / "work")
    copied = tmp_path / "work/sub/run.sh"
    assert copied.stat().st_mode & 0o777 == 0o755
    assert copied.parent.stat().st_mode & 0o700 == 0o700
    assert (tmp_path / "work/link").is_symlink()
    assert (source / "sub").stat().st_mode & 0o777 == 0o555


def test_removal_that_was_cut_short_is_finished(tmp_path: Path) -> None:
    (tmp_path / ".removed-abc" / "w").mkdir(parents=True)
    (tmp_path / "kept").mkdir()
    assert [one.name for one in sweep(tmp_path)] == ["kept"]
    assert [one.name for one in tmp_path.iterdir()] == ["kept"]


def plan_of(workload: Workload, prepared: Prepared, home: Path) -> dict[str, object]:
    return make_plan(
        workload,
        prepared,
        Folder(home / workload.name),
        socket=home / "s",
        cgroup="c",
        ports=[20001],
        inherited={"PATH": "/bin"},
    )


def test_the_plan_of_a_job(tmp_path: Path) -> None:
    interpreter = Interpreter(tmp_path / "env/bin/python", "an env", ("/body",), ("a==1",))
    prepared = Prepared(("x", "$(KEY)"), interpreter, inputs={"data": Path("/in")}, secrets={"KEY": Path("/s/k")})
    workload = Workload("w", "job", ("x", "$(KEY)"), secret_env={"KEY": ("s", "k")}, timeout=5.0)
    plan = plan_of(workload, prepared, tmp_path)
    assert plan["contract"] == {
        "SHIPWAY_WORKLOAD": "w",
        "SHIPWAY_OUTPUT_DIR": str(tmp_path / "w/output"),
        "SHIPWAY_INPUTS": '{"data": "/in"}',
    }
    assert plan["inherited"] == {
        "PATH": f"{tmp_path}/env/bin:/bin",
        "PYTHONPATH": "/body",
        "PYTHONUNBUFFERED": "1",
        "PWD": str(tmp_path / "w/work"),
    }
    assert (plan["probes"], plan["timeout"], plan["environment"], plan["lock"]) == ({}, 5.0, "an env", ["a==1"])
    assert "$(KEY) is a secret" in str(plan["notes"])


def test_the_lock_is_observed_and_missing_in_a_plan_of_an_earlier_shipway(tmp_path: Path) -> None:
    interpreter = Interpreter(tmp_path / "env/bin/python", "an env", lock=("a==1", "b==2"))
    workload = Workload("w", "job", ("x",))
    plan = json.loads(json.dumps(plan_of(workload, Prepared(("x",), interpreter), tmp_path)))
    earlier = {key: value for key, value in plan.items() if key != "lock"}
    seen = [
        observed(workload, "sha256:0", Folder(tmp_path / "w"), plan=one, status=None, removing=False, tail="").lock
        for one in (plan, earlier, None)
    ]
    assert seen == [("a==1", "b==2"), (), ()]


def test_the_plan_of_a_server(tmp_path: Path) -> None:
    prepared = Prepared(("x",), model=Path("/model"))
    workload = Workload("w", "server", ("x",), serves=True, liveness=HttpProbe("/live"))
    plan = plan_of(workload, prepared, tmp_path)
    assert plan["contract"] == {
        "SHIPWAY_WORKLOAD": "w",
        "SHIPWAY_MODEL_DIR": "/model",
        "SHIPWAY_DATA_DIR": str(tmp_path / "w" / "data"),
    }
    connect = {"path": None, "period": 1.0, "timeout": 1.0, "failure_threshold": 3}
    assert plan["probes"] == {"startup": None, "readiness": connect, "liveness": {**connect, "path": "/live"}}


def test_little_is_inherited() -> None:
    kept = {
        "PATH": "p",
        "LC_ALL": "C",
        "OMP_NUM_THREADS": "2",
        "https_proxy": "x",
        "NO_PROXY": "y",
        "SSL_CERT_FILE": "z",
    }
    lost = {"AWS_SECRET_ACCESS_KEY": "k", "SHIPWAY_HOME": "h", "PYTHONPATH": "q", "PATHS": "p", "VIRTUAL_ENV": "v"}
    assert minimal_environment({**kept, **lost}) == kept
