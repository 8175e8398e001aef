"""UvEnvironments with a uv of our own: a shell script that answers in milliseconds and notes how it was called."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest

from shipway.bundle import Environment
from shipway.cluster.local.environments import UvEnvironments
from shipway.errors import DependencyFailed, UserError
from shipway.packages.pip_reader import PipReader
from shipway.packages.uv import uv_failure

# No version of six is this one, so our own interpreter never has it.
SIX = Environment(("six==0.0.1",), runtime=False)

_UV = """#!/bin/sh
echo "$*" >> "{calls}"
case "$1 $2" in
"pip install") env > "{calls}.env"; {install} ;;
"pip freeze") echo six==0.0.1 ;;
*) for last; do :; done; mkdir -p "$last/bin"; ln -s "{python}" "$last/bin/python" ;;
esac
"""


class Place:
    """A root of environments whose uv does ``install`` when it should install."""

    def __init__(self, folder: Path, install: str = ":", **pip: str) -> None:
        self.root, self.bodies, self.calls, uv = (folder / name for name in ("root", "bodies", "calls", "uv"))
        uv.write_text(_UV.format(calls=self.calls, install=install, python=sys.executable))
        uv.chmod(0o700)
        inherited = {"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull, **pip}
        self.environments = UvEnvironments(
            root=self.root, bodies=self.bodies, uv=uv, pip=PipReader(inherited), inherited=inherited
        )

    def commands(self) -> list[str]:
        """The first words of every call of uv."""
        return [" ".join(line.split()[:2]) for line in self.calls.read_text().splitlines()]

    def installs(self) -> int:
        return self.commands().count("pip install")


def test_our_own_interpreter_is_used_when_nothing_is_asked_for(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for environment in (Environment(), Environment(runtime=False)):
        found = place.environments.existing(environment)
        assert found is not None
        assert found == place.environments.build(environment)
        assert found.python == Path(sys.executable)
        assert (found.python_path, found.lock) == ((), ())
        assert found.description.startswith("Shipway's own Python 3.")
        assert found.description.endswith("(no requirements declared)")
    assert not place.root.exists()


def test_our_own_interpreter_is_used_when_it_has_exactly_what_is_asked_for(tmp_path: Path) -> None:
    lines = (f"pytest=={version('pytest')}", f"PyYAML=={version('pyyaml')}", "six==0.0.1; python_version < '3'")
    found = Place(tmp_path).environments.existing(Environment(lines))
    assert found is not None
    assert found.description.endswith("(all 3 requirements satisfied)")


def test_the_lock_of_our_own_interpreter_is_all_that_the_requirements_need(tmp_path: Path) -> None:
    found = Place(tmp_path).environments.existing(Environment((f"scikit-learn=={version('scikit-learn')}",)))
    assert found is not None
    needed = {f"{name}=={version(name)}" for name in ("joblib", "numpy", "scikit-learn", "scipy", "threadpoolctl")}
    assert needed <= set(found.lock)
    assert list(found.lock) == sorted(found.lock)
    assert not any(line.startswith(("pytest", "httptools")) for line in found.lock)


def test_a_bad_line_is_the_users_error(tmp_path: Path) -> None:
    environments = Place(tmp_path).environments
    for ask in (environments.existing, environments.build):
        with pytest.raises(UserError, match=r"'-r more\.txt' is an option"):
            ask(Environment(("-r more.txt",)))


@pytest.mark.slow
def test_an_environment_is_made_once_and_found_again(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert place.environments.existing(SIX) is None
    made = place.environments.build(SIX)
    assert made.python.parent.parent.parent == place.root
    assert "with 1 requirement, made by uv (Shipway's own: six" in made.description
    assert made.python_path == ()
    assert (made.python.parent.parent / "lock.txt").read_text() == "six==0.0.1\n"
    assert made.lock == ("six==0.0.1",)
    assert place.commands() == ["venv --no-project", "pip install", "pip freeze"]
    assert place.environments.existing(SIX) == place.environments.build(SIX) == made
    assert place.installs() == 1


@pytest.mark.slow
def test_the_body_and_its_requirements_come_with_the_runtime(tmp_path: Path) -> None:
    place = Place(tmp_path)
    made = place.environments.build(Environment(SIX.requirements, runtime=True))
    assert [Path(path).parent for path in made.python_path] == [place.bodies]
    lines = (made.python.parent.parent / "requirements.txt").read_text().splitlines()
    assert lines[0] == "six==0.0.1"
    assert any(line.startswith("httptools") for line in lines)


@pytest.mark.slow
def test_settings_of_pip_go_to_uv_by_its_environment_and_make_another_key(tmp_path: Path) -> None:
    plain = Place(tmp_path).environments.build(SIX).python
    url = "https://me:secret@127.0.0.1:1/simple"
    place = Place(tmp_path, PIP_INDEX_URL=url, PIP_FIND_LINKS="/a /b", PIP_NO_INDEX="0", HTTPS_PROXY="http://p")
    with_index = place.environments.build(SIX).python
    environ = place.calls.with_suffix(".env").read_text().splitlines()
    assert {f"UV_DEFAULT_INDEX={url}", "UV_FIND_LINKS=/a,/b", "HTTPS_PROXY=http://p"} <= set(environ)
    assert "secret" not in place.calls.read_text()
    without_index = Place(tmp_path, PIP_NO_INDEX="1", PIP_FIND_LINKS="/a").environments.build(SIX).python
    assert place.calls.read_text().splitlines()[-2].split()[:2] == ["pip", "install"]
    assert "--no-index" in place.calls.read_text()
    assert len({plain, with_index, without_index}) == 3


@pytest.mark.slow
def test_a_changed_constraints_file_makes_another_key(tmp_path: Path) -> None:
    constraints = tmp_path / "constraints.txt"
    place = Place(tmp_path, PIP_CONSTRAINT=str(constraints))
    made = set()
    for text in (None, "six<1\n", "six<2\n"):
        if text:
            constraints.write_text(text)
        made.add(place.environments.build(SIX).python)
    assert len(made) == 3


@pytest.mark.slow
def test_asked_for_by_many_threads_it_is_built_once(tmp_path: Path) -> None:
    place = Place(tmp_path, install="sleep 0.2")
    with ThreadPoolExecutor(6) as pool:
        made = set(pool.map(lambda _: place.environments.build(SIX).python, range(6)))
    assert len(made) == 1
    assert place.installs() == 1


_BUILDER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_environments import SIX, Place
Place(Path({folder!r}), install={install!r}).environments.build(SIX)
"""


def _builder(folder: Path, install: str) -> subprocess.Popen[bytes]:
    code = _BUILDER.format(tests=str(Path(__file__).parent), folder=str(folder), install=install)
    return subprocess.Popen([sys.executable, "-c", code])


def _wait_for(path: Path) -> None:
    give_up = time.monotonic() + 15
    while not path.exists():
        assert time.monotonic() < give_up, f"{path} did not appear"
        time.sleep(0.01)


@pytest.mark.slow
def test_asked_for_by_two_processes_it_is_built_once(tmp_path: Path) -> None:
    builders = [_builder(tmp_path, "sleep 0.5") for _ in range(2)]
    assert [builder.wait(20) for builder in builders] == [0, 0]
    assert Place(tmp_path).installs() == 1


@pytest.mark.slow
def test_what_a_killed_builder_left_is_built_anew_once_its_uv_has_ended(tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    builder = _builder(tmp_path, f"touch '{tmp_path}/begun'; sleep 1; touch '{ended}'")
    _wait_for(tmp_path / "begun")
    builder.send_signal(signal.SIGKILL)
    builder.wait(10)
    place = Place(tmp_path)
    (folder,) = (path for path in place.root.iterdir() if path.is_dir())
    (folder / "left-over").touch()
    assert place.environments.existing(SIX) is None
    made = place.environments.build(SIX)
    assert ended.exists(), "the orphaned uv was still writing when the folder was made anew"
    assert made.python.parent.parent == folder
    assert not (folder / "left-over").exists()


@pytest.mark.slow
def test_an_environment_whose_python_was_removed_is_made_anew(tmp_path: Path) -> None:
    place = Place(tmp_path)
    python = place.environments.build(SIX).python
    python.unlink()
    python.symlink_to(tmp_path / "gone")
    assert place.environments.existing(SIX) is None
    assert place.environments.build(SIX).python.exists()
    assert place.installs() == 2


@pytest.mark.slow
def test_a_failure_shows_the_end_of_what_uv_said_and_leaves_nothing(tmp_path: Path) -> None:
    url = "https://me:secret@127.0.0.1:1/simple"
    place = Place(tmp_path, install=f"echo 'no answer from {url}' >&2; exit 2", PIP_INDEX_URL=url)
    with pytest.raises(DependencyFailed) as found:
        place.environments.build(SIX)
    assert "(exit code 2)\nno answer from https://***@127.0.0.1:1/simple" in found.value.message
    assert not [path for path in place.root.iterdir() if path.is_dir()]


@pytest.mark.slow
@pytest.mark.slow
def test_a_uv_that_was_killed_is_asked_again(tmp_path: Path) -> None:
    place = Place(tmp_path, install=f'[ -e "{tmp_path}/again" ] || {{ touch "{tmp_path}/again"; kill -9 $$; }}')
    assert place.environments.build(SIX).lock == ("six==0.0.1",)
    assert place.installs() == 2


@pytest.mark.slow
def test_a_uv_that_is_killed_each_time_is_told(tmp_path: Path) -> None:
    place = Place(tmp_path, install="kill -9 $$")
    with pytest.raises(DependencyFailed, match=r"uv could not install the requirements \(exit code -9\)"):
        place.environments.build(SIX)
    assert place.installs() == 3
    assert [path for path in place.root.iterdir() if path.is_dir()] == []


def test_a_uv_that_is_not_there(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (tmp_path / "uv").unlink()
    with pytest.raises(DependencyFailed, match="uv cannot be started"):
        place.environments.build(SIX)


@pytest.mark.slow
def test_close_ends_the_build_and_those_that_wait_for_it(tmp_path: Path) -> None:
    place = Place(tmp_path, install=f"touch '{tmp_path}/begun'; sleep 30")
    with ThreadPoolExecutor(2) as pool:
        builds = [pool.submit(place.environments.build, SIX) for _ in range(2)]
        _wait_for(tmp_path / "begun")
        place.environments.close()
        for build in builds:
            with pytest.raises(DependencyFailed, match="the hub is stopping"):
                build.result(20)


@pytest.mark.slow
def test_prune_keeps_what_is_in_use_and_what_was_asked_for_lately(tmp_path: Path) -> None:
    place = Place(tmp_path)
    used, other = (
        place.environments.build(Environment((line,), False)).python for line in ("six==0.0.1", "six==0.0.2")
    )
    now = datetime.now(UTC)
    assert place.environments.prune({str(used)}, now) == []
    assert place.environments.prune({str(used)}, now + timedelta(days=1)) == [other.parent.parent.name]
    assert (used.exists(), other.exists()) == (True, False)
    assert place.environments.prune(set(), now + timedelta(days=1)) == [used.parent.parent.name]


def test_prune_of_nothing(tmp_path: Path) -> None:
    assert Place(tmp_path).environments.prune(set(), datetime.now(UTC)) == []


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            "error: No solution found when resolving dependencies\n  cause: Because nope was not found in the package "
            "registry and you require nope==1.0, we can conclude that your requirements are unsatisfiable.",
            "requirement nope cannot be found\nerror: No solution",
        ),
        (
            "  \u00d7 No solution found when resolving dependencies:\n  ╰─▶ Because there is no version of\n"
            "      six==99.17.0 and you require six==99.17.0, we can conclude",
            "requirement six==99.17.0 cannot be found\n",
        ),
        (
            "error: Failed to fetch: https://h/simple/six/",
            "uv could not install the requirements (exit code 2)\nerror: F",
        ),
        ("\n".join(f"line {number}" for number in range(100)), "(exit code 2)\nline 80\n"),
    ],
)
def test_the_requirement_that_cannot_be_found_is_named(output: str, message: str) -> None:
    failure = uv_failure(output, 2)
    assert message in failure.message
    assert "pip config list" in failure.next_step
