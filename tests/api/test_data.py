"""Data sets through the API: added, listed, compared, written, removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shipway.deploy.data import data_of, version_of, versions_of
from shipway.deploy.operation import operate
from shipway.errors import InvalidObject, NotFound, UserError
from tests.api.served_hub import Hub


def add(hub: Hub, path: Path, **more: Any) -> Any:
    return operate(hub.client, versions_of("raw"), {"path": str(path), **more})


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    made = tmp_path / "raw"
    made.mkdir()
    (made / "a.csv").write_text("1,2\n")
    return made


def test_a_version_comes_is_looked_at_and_goes(hub: Hub, raw: Path, tmp_path: Path) -> None:
    assert hub.client.get("/v1/data") == {"versions": []}
    assert add(hub, raw, labels={"residency": "eu"})["version"] == 1
    (raw / "b.csv").write_text("3,4\n")
    assert add(hub, raw)["version"] == 2
    [latest] = hub.client.get("/v1/data")["versions"]
    assert (latest["name"], latest["number"], latest["files"], latest["source"]) == ("raw", 2, 2, str(raw))
    assert [one["labels"] for one in hub.client.get(versions_of("raw"))["versions"]] == [{"residency": "eu"}, {}]
    assert hub.client.get(version_of("raw:1"))["version"]["size"] == 4
    assert [one["name"] for one in hub.client.get(f"{version_of('raw')}/files")["files"]] == ["a.csv", "b.csv"]
    found = hub.client.get(f"{version_of('raw')}/diff?against=raw:1")
    assert found["added"] == [{"name": "b.csv", "before": None, "after": 4}]
    written = operate(hub.client, f"{version_of('raw:1')}/write", {"path": str(tmp_path / "out")})
    assert written["files"] == 1
    assert (tmp_path / "out" / "a.csv").read_text() == "1,2\n"
    assert hub.client.delete(version_of("raw:1")) == {"removed": ["raw:1"]}
    assert hub.client.delete(data_of("raw")) == {"removed": ["raw:2"]}
    with pytest.raises(NotFound, match="no data set 'raw'"):
        hub.client.get(versions_of("raw"))


def test_what_is_wrong_is_said(hub: Hub, raw: Path) -> None:
    with pytest.raises(InvalidObject, match="give either path"):
        operate(hub.client, versions_of("raw"), {})
    with pytest.raises(UserError, match="matches nothing"):
        add(hub, raw / "nowhere")
    with pytest.raises(UserError, match="is not a reference"):
        operate(hub.client, versions_of("raw"), {"reference": "raw"})
    add(hub, raw)
    with pytest.raises(UserError, match="against"):
        hub.client.get(f"{version_of('raw')}/diff")
    with pytest.raises(NotFound, match="no version '7'"):
        hub.client.get(version_of("raw:7"))
