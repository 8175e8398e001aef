"""Both clients against a real hub in a home of its own: it is started, it trains, it serves."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from shipway.errors import NotFound, WorkloadFailed
from tests.e2e.home import Home, Project, fresh_home
from tests.sdk.clients import COLOURS, client

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.thorough, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with fresh_home() as made, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHIPWAY_HOME", str(made.path))
        yield made


@pytest.mark.parametrize("colour", COLOURS)
def test_from_a_folder_to_a_prediction(home: Home, colour: str, capfd: pytest.CaptureFixture[str]) -> None:
    name = f"line-{colour}"
    project = Project.line(home.projects, name)
    seen: list[str] = []
    before = "IPython" in sys.modules  # another test of this process may have loaded it
    with client(colour) as shipway:
        made = shipway.up(
            project.folder, timeout=60, on_progress=lambda state, _: seen.extend(one.state for one in state.steps)
        )
        assert (made.versions, made.up_to_date) == ((f"{name}:1",), False)
        assert {"running", "done"} <= set(seen)
        assert made.predict([[1.5]]) == [3.0]
        assert shipway.predict(name, {"x": [[2.0]]}) == [4.0]
        assert shipway.up(project.folder, timeout=60).up_to_date

        assert shipway.wait("service", name, timeout=60).status.url == made.url
        assert shipway.metrics(name)["accuracy"].values == (0.95,)
        assert "learned the slope 2" in [line.text for line in shipway.logs("job", name)]
        with closing(shipway.watch("service")) as changes:
            assert next(changes).type == "ADDED"

        project.edit("train.py", "print(", "raise ValueError('broken here')\nprint(")
        with pytest.raises(WorkloadFailed, match=rf"ModelJob/{name}(.|\n)*broken here"):
            shipway.up(project.folder, timeout=60)
        assert shipway.predict(name, [[1.0]]) == [2.0], "what serves goes on serving"

        assert f"ModelService/{name}" in shipway.down(project.folder)
        with pytest.raises(NotFound):
            shipway.get("service", name)
        shipway.delete("model", name)
    assert capfd.readouterr() == ("", ""), "a library prints nothing"
    assert ("IPython" in sys.modules) == before


@pytest.mark.parametrize("colour", COLOURS)
def test_a_hub_that_ended_is_started_again(home: Home, colour: str) -> None:
    with client(colour) as shipway:
        before = shipway.list("clusters")
        home.ok("hub", "stop")
        assert [one.name for one in shipway.list("clusters")] == [one.name for one in before]
