"""Whole Dockerfiles to recipes."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.errors import UserError
from shipway.image.recipe import Packages
from tests.image.dockerfile.kitchen import Kitchen, asked, files

EXAMPLE = Path(__file__).parents[3] / "examples" / "flask-app"


def test_the_tutorial_s_dockerfile_works_as_it_is(kitchen: Kitchen) -> None:
    kitchen.write({one.name: one.read_text() for one in EXAMPLE.iterdir() if one.is_file()})
    made = kitchen.prepare((EXAMPLE / "Dockerfile").read_text().replace("COPY app.py .", "COPY . ."))
    packages, requirements, code = made.recipe.steps
    assert isinstance(packages, Packages)
    assert (packages.asked, packages.sees_base) == (("flask==3.1.3",), True)
    assert [getattr(one, "title", "") for one in (requirements, code)] == ["COPY requirements.txt .", "COPY . ."]
    assert {"app/app.py", "app/requirements.txt"} <= set(files(made))
    assert made.recipe.base == "python:3.11-slim"
    assert made.recipe.runs.cmd is not None
    assert (made.recipe.runs.cmd[0], made.recipe.runs.ports) == ("flask", ("8080/tcp",))
    assert made.recipe.runs.env["PATH"].startswith("/opt/venv/bin:")
    assert "runs as root" in made.notes[-1]


def test_requirements_files_with_all_that_stands_in_them(kitchen: Kitchen) -> None:
    kitchen.write(
        {
            "req/all.txt": "# x\n-r more.txt\n--extra-index-url https://b/simple\n"
            "flask==3.1.3 \\\n    --hash=sha256:ab\n"
            "-c limits.txt\nnumpy ; python_version < '3.12'  # why\n",
            "req/more.txt": "gunicorn\r\n",
            "req/limits.txt": "werkzeug<4\n",
        }
    )
    made = kitchen.prepare("FROM base\nCOPY req /r\nWORKDIR /r\nRUN pip install -r all.txt -i https://a/simple\n")
    assert asked(made) == ("gunicorn", "flask==3.1.3     --hash=sha256:ab", "numpy ; python_version < '3.12'")
    packages = made.recipe.steps[0]
    assert isinstance(packages, Packages)
    assert packages.terms == (
        "--index-url https://a/simple",
        "--extra-index-url https://b/simple",
        "--constraint werkzeug<4",
    )
    assert made.pip["PIP_INDEX_URL"] == "https://a/simple"
    assert made.pip["PIP_EXTRA_INDEX_URL"] == "https://b/simple"
    assert Path(made.pip["PIP_CONSTRAINT"]).read_text() == "werkzeug<4\n"


def test_a_requirements_file_may_be_mounted_or_in_the_base(kitchen: Kitchen) -> None:
    kitchen.bases.files = {"srv/base.txt": "flask\n"}
    kitchen.put(**{"requirements.txt": "numpy\n"})
    made = kitchen.prepare(
        "FROM base\nWORKDIR /srv\nRUN --mount=type=bind,source=requirements.txt,target=r.txt pip install -r r.txt "
        "-r base.txt\n"
    )
    assert (asked(made), files(made)) == (("numpy", "flask"), [])
    for mount in ("target=/m", "source=/,target=/m", "source=./requirements.txt,target=/m/requirements.txt"):
        made = kitchen.prepare(f"FROM base\nRUN --mount=type=bind,{mount} pip install -r /m/requirements.txt\n")
        assert (asked(made), files(made)) == (("numpy",), [])


@pytest.mark.parametrize(
    ("runs", "main", "more"),
    [
        (("-i https://a/s x", "-i https://a/s y"), "https://a/s", ""),
        (("-i https://a/s x", "y"), "", "https://a/s"),
        (
            ("-i https://a/s x", "-i https://b/s --extra-index-url https://c/s y"),
            "https://a/s",
            "https://b/s https://c/s",
        ),
        (("x", "y"), "", ""),
        (("-i https://a/s -i https://b/s x",), "https://b/s", ""),
    ],
)
def test_of_runs_with_indexes_of_their_own_all_are_asked(
    kitchen: Kitchen, runs: tuple[str, ...], main: str, more: str
) -> None:
    made = kitchen.prepare("FROM base\nUSER 1\n" + "".join(f"RUN pip install {one}\n" for one in runs))
    assert (made.pip.get("PIP_INDEX_URL", ""), made.pip.get("PIP_EXTRA_INDEX_URL", "")) == (main, more)
    assert [note for note in made.notes if "from all of their indexes" in note] == list(made.notes)
    assert len(made.notes) == (len(set(runs)) > 1 and bool(more))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("RUN pip install -r r.txt\nCOPY r.txt .", "Dockerfile:2: RUN: /r.txt is not in the image yet"),
        ("COPY r.txt .\nRUN pip install -r r.txt", "/r.txt includes itself"),
        ("COPY e.txt .\nRUN pip install -r e.txt", "/e.txt: -e .: "),
        ("COPY u.txt .\nRUN pip install -r u.txt", "cannot be read as UTF-8"),
        ("RUN pip install -r https://x/r.txt", "is not fetched"),
        ("COPY b.txt .\nRUN pip install -r b.txt", "Dockerfile:3: RUN: /b.txt: .*flask="),
        ("USER 1\nRUN pip install 'flask>>3'", "Dockerfile:3: RUN: .*flask>>3"),
        ("COPY c.txt .\nRUN pip install x -c c.txt", "Dockerfile:3: RUN: /c.txt: .*\\*\\*\\*@h"),
    ],
)
def test_requirements_that_cannot_be_read(kitchen: Kitchen, text: str, message: str) -> None:
    kitchen.put(
        **{"r.txt": "-r r.txt\n", "e.txt": "-e .\n", "b.txt": "flask=\n", "c.txt": "a @ https://u:pw@h/a.whl\n"}
    )
    (kitchen.folder / "u.txt").write_bytes("flask\n".encode("utf-16"))
    with pytest.raises(UserError, match=message):
        kitchen.prepare(f"FROM base\n{text}\n")


@pytest.mark.parametrize(
    ("install", "copy"),
    [
        ("python -m venv /opt/venv && /opt/venv/bin/pip install flask", "/opt/venv /opt/venv"),
        ("pip install --user flask", "/root/.local /root/.local"),
        ("pip install --prefix=/install flask", "/install /usr/local"),
        ("pip install flask", "/usr/local/lib/python3.11/site-packages /usr/local/lib/python3.11/site-packages"),
        ("pip install flask", "/usr/local/bin/gunicorn /usr/local/bin/gunicorn"),
    ],
)
def test_packages_of_a_builder_stage_come_along(kitchen: Kitchen, install: str, copy: str) -> None:
    made = kitchen.prepare(
        f"FROM base AS builder\nRUN {install}\nFROM base\nRUN pip install x\nCOPY --from=builder {copy}\n"
    )
    assert asked(made) == ("x", "flask")
    assert any("the packages of stage builder come along" in note for note in made.notes)
    assert files(made) == []


def test_other_things_of_a_builder_stage_come_without_its_packages(kitchen: Kitchen) -> None:
    kitchen.put(a="a", tool="t")
    builder = "FROM base AS builder\nRUN pip install flask\nCOPY a /out/\nCOPY tool /usr/local/bin/\n"
    made = kitchen.prepare(f"{builder}FROM base\nCOPY --from=builder /out /out\n")
    assert (asked(made), files(made)) == ((), ["out/a"])
    made = kitchen.prepare(f"{builder}FROM base\nCOPY --from=builder /usr/local/bin /usr/local/bin\n")
    assert (asked(made), files(made)) == (("flask",), ["usr/local/bin/tool"])


def test_a_stage_on_top_has_the_packages_and_files_of_the_one_below(kitchen: Kitchen) -> None:
    kitchen.put(a="a")
    made = kitchen.prepare("FROM base AS one\nRUN pip install flask\nCOPY a /a\nFROM one\nRUN pip install x\nUSER 1\n")
    assert (asked(made), files(made), made.notes) == (("flask", "x"), ["a"], ())
    assert kitchen.bases.asked == ["base"]


@pytest.mark.parametrize(
    ("command", "runs"),
    [
        ('["/usr/local/bin/python3", "a.py"]', ("/opt/venv/bin/python3", "a.py")),
        ('["/usr/local/bin/gunicorn", "a"]', ("/opt/venv/bin/gunicorn", "a")),
        ('["/usr/local/bin/tool"]', ("/usr/local/bin/tool",)),
        ("/usr/local/bin/python a.py", ("/bin/sh", "-c", "/opt/venv/bin/python a.py")),
        ("exec /usr/local/bin/python a.py", ("/bin/sh", "-c", "exec /opt/venv/bin/python a.py")),
        ('["/usr/local/bin/python", "-c", "1"]', ("/opt/venv/bin/python", "-c", "1")),
        ('["/usr/bin/python", "a.py"]', ("/usr/bin/python", "a.py")),
        ('["python", "a.py"]', ("python", "a.py")),
    ],
)
def test_the_base_s_interpreter_by_its_path_becomes_the_one_that_sees_the_packages(
    kitchen: Kitchen, command: str, runs: tuple[str, ...]
) -> None:
    kitchen.put(tool="t")
    made = kitchen.prepare(f"FROM base\nCOPY tool /usr/local/bin/\nRUN pip install x\nUSER 1\nCMD {command}\n")
    assert made.recipe.runs.cmd == runs
    assert len(made.notes) == ("/opt/venv" in "".join(runs))
    assert kitchen.prepare(f"FROM base\nUSER 1\nCMD {command}\n").recipe.runs.cmd == (
        *(one.replace("/opt/venv", "/usr/local") for one in runs),
    )


def test_notes_are_said_once(kitchen: Kitchen) -> None:
    made = kitchen.prepare("FROM base\nRUN pip install -U pip\nHEALTHCHECK NONE\n", arguments={"A": "1"})
    assert [note.partition(":")[0] for note in made.notes] == [
        "Dockerfile",
        "Dockerfile",
        "the image runs as root, for no USER says otherwise",
        "--build-arg A",
    ]
    assert made.recipe.steps == ()


def test_equal_inputs_give_an_equal_recipe(kitchen: Kitchen) -> None:
    kitchen.put(**{"a": "a", "requirements.txt": "flask\n"})
    text = "FROM base\nCOPY . /app\nRUN pip install -r /app/requirements.txt -c /app/a\n"
    assert kitchen.prepare(text).recipe == kitchen.prepare(text).recipe
