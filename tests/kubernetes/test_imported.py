"""The YAML of tutorials, imported and rendered, is taken by a real API server under Pod Security "restricted"."""

from __future__ import annotations

import pytest

from shipway.importing import written
from shipway.kinds.load import load
from shipway.rendering.lookup import Nowhere
from shipway.rendering.manifests import rendered, text
from shipway.rendering.world import Wanted
from tests.importing.samples import NAMES, imported
from tests.kubernetes.control_plane import ControlPlane
from tests.rendering.projects import parts


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_comes_back_as_objects_that_are_taken(control_plane: ControlPlane, name: str) -> None:
    objects = load(written(imported(name).objects, name))
    made = text(rendered(objects, Wanted(), Nowhere()))
    _take(control_plane, made)


def test_a_project_with_a_model_is_taken(control_plane: ControlPlane) -> None:
    _take(control_plane, text(parts()))


def _take(control_plane: ControlPlane, made: str) -> None:
    """Without a change or a word: a field that the server does not know is an error, a Pod's breach a warning."""
    namespace = control_plane.namespace(enforce="restricted", warn="restricted")
    words = ("apply", "--server-side", "--validate=strict", "--warnings-as-errors", "-n", namespace, "-f", "-")
    applied = control_plane.kubectl(*words, stdin=made).splitlines()
    assert len(applied) == made.count("\n---\n")
    assert all(one.endswith("serverside-applied") for one in applied)
