"""Images for a cluster: which programs they hold, and under which name they are known there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shipway import program, settings
from shipway.building import on_cluster
from shipway.building.asked import Asked
from shipway.building.place import Place
from shipway.bundle import Environment
from shipway.errors import UserError
from shipway.program import Program
from shipway.transfer import silent

DIGEST = "sha256:" + "1" * 64


class Made:
    names = ("d:latest",)

    def __init__(self, *places: str) -> None:
        self.places = places


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Asked, str]]:
    """What was asked of a build, and for which registry; it makes nothing."""
    asked: list[tuple[Asked, str]] = []

    def build(one: Asked, place: Place, inherited: Any, report: Any) -> tuple[Made, ...]:
        asked.append((one, place.where.registry))
        registry = place.where.registry
        names = [word.partition("/")[2] for word in one.only] or [one.name]
        return tuple(Made(f"oci:/h/oci:image/{name}", f"{registry}/{name}:latest@{DIGEST}") for name in names)

    monkeypatch.setenv("SHIPWAY_HOME", str(tmp_path))
    monkeypatch.setattr(on_cluster, "build", build)
    return asked


def test_images_by_digest_and_without_a_tag(built: list[tuple[Asked, str]]) -> None:
    wanted = on_cluster.Wanted(
        Path("shipway.yaml"), ("job/d", "service/e"), "r.io:5000/t", plain_http=True, mode="locked"
    )
    assert on_cluster.images(wanted, silent) == {
        "job/d": f"r.io:5000/t/d@{DIGEST}",
        "service/e": f"r.io:5000/t/e@{DIGEST}",
    }
    asked, registry = built[0]
    assert (registry, asked.goals.push, asked.mode) == ("r.io:5000/t", "", "locked")
    assert asked.goals.plain_http == "r.io:5000"  # and not the registry of its base
    assert ([str(one) for one in asked.platforms], asked.any_version) == (["linux/amd64"], True)
    assert settings.read().registry == ""


def test_the_courier_for_the_nodes_platforms(built: list[tuple[Asked, str]]) -> None:
    platforms = ("linux/amd64", "linux/arm64")
    image = on_cluster.courier_image("r.io/t", plain_http=False, platforms=platforms, report=silent)
    assert image == f"r.io/t/shipway-courier@{DIGEST}"
    assert (built[0][0].courier, len(built[0][0].platforms)) == (True, 2)


def test_a_cluster_without_a_registry(built: list[tuple[Asked, str]]) -> None:
    with pytest.raises(UserError, match="the cluster names no registry"):
        on_cluster.courier_image("", plain_http=False, report=silent)


@pytest.mark.parametrize(
    ("requirements", "features", "after"),
    [
        ((), (), ("onnx",)),
        ((), ("grpc",), ("onnx", "grpc")),
        (("onnxruntime-gpu==1.2",), (), ()),
        ((), ("onnx", "grpc"), ("onnx", "grpc")),
    ],
)
def test_a_server_for_versions_that_are_not_made_yet(
    requirements: tuple[str, ...], features: tuple[str, ...], after: tuple[str, ...]
) -> None:
    one = Program(("python",), {}, {}, Environment(requirements, features=features))
    assert program.for_any_version(one).environment.features == after
