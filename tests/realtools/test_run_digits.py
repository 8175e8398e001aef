"""The digits image in podman: with its model inside, as little as it may, and until it is asked to end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import pytest

from tests.realtools.images import EXAMPLES, Images
from tests.realtools.podman import Container, Podman

SAMPLE = json.loads((EXAMPLES / "digits" / "sample.json").read_text())
STRICT = ("--read-only", "--user=10001", "--cap-drop=all", "--security-opt=no-new-privileges", "--pids-limit=64")
READY = "/v2/health/ready"


@pytest.fixture(scope="session")
def digits(images: Images, podman: Podman) -> str:
    return podman.load(images.oci, images.digits())


@pytest.fixture(scope="module")
def serving(digits: str, podman: Podman) -> Iterator[Container]:
    """A container with all the limits that a careful cluster sets."""
    with podman.running(digits, options=(*STRICT, "--memory=256m"), port=8081) as container:
        container.answers(READY)
        yield container


def expected(trained: Path) -> Any:
    """What the model itself says, asked here."""
    import numpy

    model = joblib.load(trained / "model.joblib")
    return model.predict_proba(numpy.array(SAMPLE["input"]) / 16)


def test_the_answers_are_the_models_own(serving: Container, images: Images) -> None:
    told = serving.ask("POST", "/predict", SAMPLE).json()["output"]
    right = expected(images.trained)
    assert told["digit"] == right.argmax(axis=1).tolist() == [0, 1, 2]
    assert told["probabilities"] == pytest.approx(right, abs=1e-6)


def test_the_open_inference_protocol(serving: Container, images: Images) -> None:
    rows = [value for row in SAMPLE["input"] for value in row]
    tensor = {"name": "pixels", "datatype": "FP64", "shape": [3, 64], "data": rows}
    said = serving.ask("POST", "/v2/models/digits/infer", {"inputs": [tensor]}).json()
    outputs = {one["name"]: one["data"] for one in said["outputs"]}
    assert outputs["digit"] == [0, 1, 2]
    about = serving.ask("GET", "/v2/models/digits").json()
    assert about["versions"] == [str(images.model())]


def test_it_has_no_rights_and_needs_none(serving: Container) -> None:
    """Read-only, no capability, a number for a user; and nothing of it can be written."""
    status = serving.status()
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["Uid"].split() == ["10001"] * 4 and status["NoNewPrivs"] == "1"
    done = serving.execute("/opt/venv/bin/python", "-c", "open('/app/x', 'w')")
    assert done.returncode == 1 and "Read-only file system" in done.stderr


def test_too_little_memory_is_told_by_137(digits: str, podman: Podman) -> None:
    with podman.running(digits, options=("--memory=40m", "--memory-swap=40m"), port=8082) as container:
        assert container.wait() == 137


def test_other_settings_come_from_the_environment(digits: str, podman: Podman) -> None:
    with podman.running(digits, options=("--env=PORT=9090",), port=8083, inside=9090) as container:
        assert container.answers(READY).status == 200


def test_what_is_under_way_is_answered_after_sigterm(images: Images, podman: Podman) -> None:
    """Requests that take two seconds each, when the container is told to end; it ends by itself, and with 0."""
    image = podman.load(images.oci, slow(images))
    with podman.running(image, port=8084) as container, ThreadPoolExecutor(3) as pool:
        container.answers(READY)
        asked = [pool.submit(container.ask, "POST", "/predict", SAMPLE) for _ in range(3)]
        container.until_logged("slow: begun")
        container.stop(grace=20)
        assert [one.result().status for one in asked] == [200] * 3
        assert asked[0].result().json()["output"]["digit"] == [0, 1, 2]
        assert container.wait() == 0, container.logs()
        assert container.state["ExitCode"] == 0


def slow(images: Images) -> str:
    """digits with a predictor that takes its time; everything but its code is the layers of digits."""

    def edit(project: Path) -> None:
        predictor = project / "predictor.py"
        begun = "import time\n        print('slow: begun', flush=True)\n        time.sleep(2)\n        probabilities ="
        predictor.write_text(predictor.read_text().replace("probabilities =", begun, 1))

    return images.built("slow", EXAMPLES / "digits", "--model", f"digits:{images.model()}", edit=edit)


def test_there_is_no_shell_in_it(digits: str, podman: Podman) -> None:
    """Nothing that serves needs one, and who breaks in finds none."""
    for shell in ("sh", "/bin/sh", "bash", "/usr/bin/env"):
        done = podman.once(digits, "-c", "true", options=(f"--entrypoint={shell}",))
        assert done.returncode == 127, done
