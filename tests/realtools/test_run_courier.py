"""The courier in podman: Shipway itself, with Envoy and uv, as a user that owns nothing but its home."""

from __future__ import annotations

import pytest

from shipway import __version__
from tests.realtools.images import Images
from tests.realtools.podman import Podman

STRICT = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--memory=256m")
SHIPWAY = "/opt/venv/bin/shipway"
HUB = ("-m", "shipway.app")


@pytest.fixture(scope="module")
def courier(images: Images, podman: Podman) -> str:
    return podman.load(images.oci, images.courier())


def test_it_is_this_shipway_and_all_of_it_is_there(courier: str, podman: Podman) -> None:
    said = podman.once(courier, "--version", options=STRICT)
    assert (said.returncode, said.stdout) == (0, f"shipway {__version__}\n"), said.stderr
    doctor = podman.once(courier, "doctor", options=STRICT)
    assert doctor.returncode == 0 and "0 missing" in doctor.stdout, doctor.stdout + doctor.stderr
    for line in ("envoy        ok", "uv           ok", "packages     ok"):
        assert line in doctor.stdout


def test_a_hub_in_it_serves_and_ends_when_it_is_told(courier: str, podman: Podman) -> None:
    with podman.running(courier, *HUB, options=(*STRICT, "--entrypoint=/opt/venv/bin/python"), port=8095) as container:
        container.until_logged("serves /var/lib/shipway")
        said = container.execute(SHIPWAY, "status")
        assert said.returncode == 0 and "pid 1, home /var/lib/shipway" in said.stdout, said.stderr
        container.stop()
        assert container.wait() == 0
