"""Which RUNs are packages, and what becomes of all others."""

from __future__ import annotations

import pytest

from shipway.image.dockerfile.parse import parse
from shipway.image.dockerfile.pip import Asked, NotPackages
from shipway.image.dockerfile.run import asks


def run(command: str, **variables: str) -> Asked:
    return asks(parse(f"FROM x\nRUN {command}\n", "Dockerfile").sections[0].instructions[0], variables)


@pytest.mark.parametrize(
    ("command", "requirements", "files"),
    [
        ("pip install flask", ("flask",), ()),
        ("pip3 install --no-cache-dir -r requirements.txt", (), ("requirements.txt",)),
        ("pip3.11 install -rreq.txt", (), ("req.txt",)),
        ("/usr/local/bin/pip --no-cache-dir install flask", ("flask",), ()),
        ("python -m pip install -U -q --root-user-action=ignore 'flask>=3' \"gunicorn[gevent]==23\"", None, ()),
        ("python3 -m pip install --requirement=a.txt --requirement b.txt", (), ("a.txt", "b.txt")),
        ("uv pip install --system --no-cache -r requirements.txt", (), ("requirements.txt",)),
        ("uv --no-cache pip install --python /opt/venv/bin/python flask", ("flask",), ()),
        ("pip install --upgrade pip && pip install flask", ("flask",), ()),
        ("pip install --upgrade pip setuptools wheel", ("setuptools", "wheel"), ()),
        ("set -eux; pip install flask; rm -rf /root/.cache/pip ~/.cache", ("flask",), ()),
        ("PIP_NO_CACHE_DIR=1 pip install flask # the server", ("flask",), ()),
        ("--mount=type=cache,target=/root/.cache/pip pip install flask", ("flask",), ()),
        ("uv pip install --python /opt/venv/bin/python --python=python3 flask", ("flask",), ()),
        ('["pip", "install", "flask"]', ("flask",), ()),
        ("pip install flask==$V $MORE", ("flask==3", "a", "b"), ()),
        ('pip install "flask==$V"', ("flask==3",), ()),
        ("python -m venv /opt/venv && . /opt/venv/bin/activate && pip install flask", ("flask",), ()),
        ("pip install 'a @ https://x.org/a-1-py3-none-any.whl'", ("a @ https://x.org/a-1-py3-none-any.whl",), ()),
        ("pip cache purge && pip check", (), ()),
        ("pip install --require-hashes -r requirements.txt --trusted-host a", (), ("requirements.txt",)),
    ],
)
def test_packages(command: str, requirements: tuple[str, ...] | None, files: tuple[str, ...]) -> None:
    found = run(command, V="3", MORE="a b")
    assert requirements in (None, found.requirements)
    assert found.files == files


@pytest.mark.parametrize(
    ("command", "reason", "advice"),
    [
        ("apt-get update && apt-get install -y gcc", "apt-get is not run here", "Wheels need no compiler"),
        ("pip install flask && flask db upgrade", "flask is not run here", ""),
        ("useradd -m app", "useradd is not run here", "USER 10001"),
        ("pip install flask>=3", "'>' as a file", "'flask>=3'"),
        ("pip install a | tee log", "needs a shell", ""),
        ("pip install $(cat a)", "needs a shell", ""),
        ("pip install a || true", "needs a shell", ""),
        ("pip install .", "is a path", "requirements file"),
        ("pip install -e .", "is built from its source", "requirements file"),
        ("pip install ./dist/a-1-py3-none-any.whl", "is a path", ""),
        ("pip install /wheels/*", "is a path", ""),
        ("pip install git+https://github.com/a/b", "is not a released version", "flask==3.1.3"),
        ("pip install --target /x a", "--target of pip install", "--with buildah"),
        ("pip install --pre a", "--pre", "Name the one"),
        ("uv pip install --python 3.12 a", "is another interpreter", "the base's"),
        ("PIP_INDEX_URL=https://me:secret@x.org/simple pip install a", "has a user or a password", "pip config set"),
        ("pip install -r", "--requirement of pip install needs a value", ""),
        ("pip wheel -r a.txt", "pip wheel is not done here", ""),
        ("pip uninstall a", "pip uninstall is not done here", ""),
        ("uv sync --frozen", "uv sync reads a project", "uv export"),
        ("poetry install", "poetry is not run here", "poetry export"),
        ("python -m venv .venv", "would be .venv", "/opt/venv"),
        ("python manage.py collectstatic", "python is not run here", ""),
        ("pip install -i https://me:secret@x.org/simple a", "has a user or a password", "pip config set"),
        ("--mount=type=ssh pip install a", "--mount=type=ssh is not done here", ""),
        ("--mount=type=bind,from=x,target=y pip install a", "from another stage", ""),
        ("pip install 'a", "needs a shell", ""),
        ("<<EOF\npip install a\nEOF", "a here-document is not read", "&&"),
    ],
)
def test_what_is_not_packages_is_refused_with_what_to_do(command: str, reason: str, advice: str) -> None:
    with pytest.raises(NotPackages, match=reason.replace("(", r"\(").replace(".", r"\.")) as caught:
        run(command)
    assert advice in caught.value.advice
    assert "secret" not in str(caught.value)


def test_where_pip_looks_and_would_put_it() -> None:
    found = run("pip install --user --index-url https://a/simple --extra-index-url=https://b/simple -c c.txt flask")
    assert found.options == ("--index-url https://a/simple", "--extra-index-url https://b/simple")
    assert (found.constraints, found.into) == (("c.txt",), ("~/.local",))
    assert run("pip install --prefix=/install flask").into == ("/install",)


def test_what_variables_say_comes_before_what_the_command_says() -> None:
    known = {"PIP_INDEX_URL": "https://a/s", "UV_INDEX": "n=https://b/s https://c/s", "PIP_NO_INDEX": "off"}
    known |= {"PIP_CONSTRAINT": "/c.txt", "PIP_NO_CACHE_DIR": "1", "PIP_PRE": "1", "PIP_VERSION": "24", "PIPX": "1"}
    found = run("PIP_FIND_LINKS=https://f/ PIP_INDEX_URL=https://d/s pip install -i https://e/s flask", **known)
    assert found.options == (
        "--index-url https://a/s",
        "--extra-index-url https://b/s",
        "--extra-index-url https://c/s",
        "--find-links https://f/",
        "--index-url https://d/s",
        "--index-url https://e/s",
    )
    assert (found.constraints, found.notes) == (("/c.txt",), ("PIP_PRE is passed over",))
    assert run("pip cache purge", **known).options == ()


def test_a_pip_that_is_not_upgraded_is_told() -> None:
    assert "pip is not upgraded" in run("pip install -U 'pip>=24'").notes[0]
