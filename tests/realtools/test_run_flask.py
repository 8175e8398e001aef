"""The Flask app in podman: from its shipway.yaml, and from the Dockerfile that every tutorial has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.realtools.images import Images
from tests.realtools.podman import Container, Podman

STRICT = ("--read-only", "--user=10001", "--cap-drop=all", "--memory=128m")


@pytest.fixture(scope="module")
def serving(images: Images, podman: Podman) -> Iterator[Container]:
    with podman.running(podman.load(images.oci, images.flask()), options=STRICT, port=8091) as container:
        container.answers()
        yield container


@pytest.fixture(scope="module")
def by_dockerfile(images: Images, podman: Podman) -> Iterator[Container]:
    image = podman.load(images.oci, images.flask_by_dockerfile())
    with podman.running(image, options=STRICT, port=8092) as container:
        container.answers()
        yield container


def test_the_right_answers_come_back(serving: Container) -> None:
    _answers_rightly(serving)


def test_the_tutorials_dockerfile_makes_an_image_that_answers(by_dockerfile: Container) -> None:
    _answers_rightly(by_dockerfile)


def _answers_rightly(serving: Container) -> None:
    said = serving.ask("POST", "/predict", {"input": [1, 2, 3]})
    assert said.status == 200 and said.json() == {"output": [3, 5, 7]}
    refused = serving.ask("POST", "/predict", {"input": "x"})
    assert refused.status == 400 and "numbers" in refused.json()["error"]


def test_its_name_for_itself(serving: Container) -> None:
    """Programs that look up who they are find a name, and a folder that they may read."""
    done = serving.execute(
        "/usr/bin/python3", "-c", "import os, pwd; print(pwd.getpwuid(os.getuid()).pw_name, os.getcwd())"
    )
    assert done.stdout.split() == ["shipway", "/app"], done.stderr
