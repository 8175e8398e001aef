from __future__ import annotations

import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shipway.bundle import Environment
from shipway.packages.body import PACKAGE, body_requirements, make_body


@pytest.fixture
def package(tmp_path: Path) -> Path:
    package = tmp_path / "installed" / "shipway"
    for name, text in {
        "__init__.py": "WHOLE = True\n",
        "errors.py": "",
        "runtime/__init__.py": "",
        "runtime/server/protocol.py": "X = 1\n",
        "runtime/__pycache__/old.pyc": "",
        "runtime/requirements.txt": "# of the body\nhttptools>=0.6.4  # HTTP\n\nmsgspec>=0.19\n",
        "runtime/requirements-grpc.txt": "grpcio>=1.60\n",
    }.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    return package


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_only_the_runtime_is_in_it(tmp_path: Path, package: Path) -> None:
    body = make_body(tmp_path / "bodies", package)
    assert _files(body) == [
        "shipway/__init__.py",
        "shipway/runtime/__init__.py",
        "shipway/runtime/requirements-grpc.txt",
        "shipway/runtime/requirements.txt",
        "shipway/runtime/server/protocol.py",
    ]
    assert make_body(tmp_path / "bodies", package) == body


def test_changed_content_is_another_body_and_the_old_one_stays(tmp_path: Path, package: Path) -> None:
    old = make_body(tmp_path / "bodies", package)
    (package / "runtime/server/protocol.py").write_text("X = 2\n")
    new = make_body(tmp_path / "bodies", package)
    assert new != old
    assert (old / "shipway/runtime/server/protocol.py").read_text() == "X = 1\n"


def test_made_by_many_at_once_it_is_whole_and_one(tmp_path: Path, package: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        bodies = set(pool.map(lambda _: make_body(tmp_path / "bodies", package), range(16)))
    assert [path.name for path in (tmp_path / "bodies").iterdir()] == [next(iter(bodies)).name]


def test_a_body_that_cannot_be_written_says_so(tmp_path: Path, package: Path) -> None:
    (tmp_path / "bodies").write_text("a file is in the way")
    with pytest.raises(FileExistsError):
        make_body(tmp_path / "bodies", package)


def test_requirements_of_the_body_are_read_without_comments(package: Path) -> None:
    assert body_requirements(Environment(), package) == ("httptools>=0.6.4", "msgspec>=0.19")


def test_a_feature_adds_its_requirements_and_no_body_needs_none(package: Path) -> None:
    more = ("httptools>=0.6.4", "msgspec>=0.19", "grpcio>=1.60")
    assert body_requirements(Environment(features=("grpc",)), package) == more
    assert body_requirements(Environment(runtime=False, features=("grpc",)), package) == ()


def test_what_a_feature_requires_is_an_extra_of_the_package_too() -> None:
    extras = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for feature in ("grpc", "predictions", "tracing"):
        plain, more = Environment(), Environment(features=(feature,))
        assert extras[feature] == list(body_requirements(more)[len(body_requirements(plain)) :])


def test_the_real_body_is_importable_by_itself(tmp_path: Path) -> None:
    body = make_body(tmp_path / "bodies")
    code = "import shipway, sys; print(shipway.__file__, 'pydantic' in sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": str(body)}, capture_output=True, text=True, check=True
    )
    assert shown.stdout.split() == [str(body / "shipway/__init__.py"), "False"]
