"""digits as ONNX: the same answers from an image that has no scikit-learn, and is smaller."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest

from tests.realtools.images import Images
from tests.realtools.podman import Podman
from tests.realtools.test_run_digits import READY, SAMPLE, STRICT, expected

pytestmark = [pytest.mark.extras, pytest.mark.thorough]

SERVICE = """\
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata:
  name: digits-onnx
spec:
  model: digits-onnx
"""


def test_the_same_answers_without_scikit_learn(images: Images, podman: Podman, tmp_path: Path) -> None:
    number = images.onnx_model()
    (tmp_path / "shipway.yaml").write_text(SERVICE)
    tag = images.built("digits-onnx", tmp_path, "--model", f"digits-onnx:{number}")
    image = podman.load(images.oci, tag)
    with podman.running(image, options=(*STRICT, "--memory=256m"), port=8097) as container:
        container.answers(READY)
        rows = (numpy.array(SAMPLE["input"]) / 16).tolist()
        told = container.ask("POST", "/predict", {"input": rows}).json()["output"]
        assert told["probabilities"] == pytest.approx(expected(images.trained), abs=1e-5)
        for package, code in (("sklearn", 1), ("onnxruntime", 0)):
            assert container.execute("/opt/venv/bin/python", "-c", f"import {package}").returncode == code
    assert images.size(tag) < images.size(images.digits())
