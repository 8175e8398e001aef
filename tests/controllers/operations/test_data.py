"""Data sets come and go: what an operation asks for, does and gives, over registries of the test's own process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shipway.controllers.listings import Listings
from shipway.controllers.operations.data import DataAddRequest, DataPullRequest, DataTransfers, DataWriteRequest
from shipway.controllers.operations.requests import PushRequest
from shipway.data import Access, DataSets, ObjectStores
from shipway.errors import NotFound, Refused, UserError
from shipway.models import Snapshots
from shipway.oci.sweep import Marks, sweep
from shipway.testing.registry import FakeRegistry
from tests.controllers.operations.conftest import Home


def transfers(home: Home) -> DataTransfers:
    sets = DataSets(home.layout, home.clock, ObjectStores(Access({}, lambda name: {})))
    return DataTransfers(sets, home.layout, home.parts.registry, home.parts.recorder)


def test_files_of_this_machine_become_a_version(home: Home) -> None:
    folder = home.files("raw", a_csv=b"1,2\n")
    data = transfers(home)
    asked = DataAddRequest(path=str(folder), labels={"residency": "eu"})
    made = asyncio.run(data.add("raw", asked, "me", home.report))
    assert (made["version"], made["there"], made["latest"], made["files"], made["kept"]) == (1, False, 1, 1, True)
    assert home.reports[-1].over
    assert asyncio.run(data.add("raw", asked, "me", home.report))["there"]
    assert data.resolve("raw").labels == {"residency": "eu"}


def test_what_a_uri_names_is_pinned_and_written_from_where_it_lies(home: Home) -> None:
    folder = home.files("raw", a_csv=b"1,2\n")
    data, out = transfers(home), home.folder / "out"
    made = asyncio.run(data.add("raw", DataAddRequest(uri=folder.as_uri()), "me", home.report))
    assert made["kept"] is False
    written = asyncio.run(data.write("raw:latest", DataWriteRequest(path=str(out)), home.report))
    assert (written["files"], written["bytes"], written["there"]) == (1, 4, 0)
    assert (out / "a.csv").read_bytes() == b"1,2\n"


@pytest.mark.parametrize("wrong", [{}, {"path": "/a", "uri": "s3://b"}, {"path": "/a", "secret": "s"}, {"path": "a"}])
def test_what_is_asked_for_is_checked(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="path"):
        DataAddRequest.model_validate(wrong)


def test_a_listing_is_a_snapshots_or_a_data_sets(home: Home) -> None:
    data = transfers(home)
    asyncio.run(data.add("raw", DataAddRequest(path=str(home.files("raw", a_csv=b"1,2\n"))), "me", home.report))
    listings = Listings(Snapshots(home.layout), data.sets)
    [(name, (digest, size))] = listings.of(data.resolve("raw").digest).items()
    assert (name, len(digest), size) == ("a.csv", 64, 4)
    with pytest.raises(NotFound):
        listings.of("sha256:" + "0" * 64)


def test_what_was_pushed_is_pulled_elsewhere(home: Home, tmp_path: Path) -> None:
    data = transfers(home)
    asyncio.run(data.add("raw", DataAddRequest(path=str(home.files("raw", a_csv=b"1,2\n"))), "me", home.report))
    with FakeRegistry() as registry:
        pushed = asyncio.run(data.push("raw:1", PushRequest(reference=f"{registry.host}/team/raw"), "me", home.report))
        assert pushed["tags"] == ["1"]
        assert data.resolve("raw").pushed == (pushed["reference"],)
        other = Home(tmp_path / "other")
        elsewhere = transfers(other)
        asked = DataPullRequest(reference=f"{registry.host}/team/raw:1")
        made = asyncio.run(elsewhere.pull("mine", asked, "me", other.report))
        assert asyncio.run(elsewhere.pull("mine", asked, "me", other.report))["there"]
    assert (made["version"], made["digest"], made["there"]) == (1, pushed["digest"], False)
    assert not sweep(other.layout, Marks(other.layout.blobs)).blobs
    assert elsewhere.files("mine") == data.files("raw")
    assert elsewhere.resolve("mine").source == pushed["reference"]
    assert asyncio.run(elsewhere.remove("mine", "me")) == ("mine:1",)
    assert [reason for reason, _ in home.ledger("raw", "Data")] == ["Added", "Pushed"]
    told = other.ledger("mine", "Data")
    assert [(reason, data["version"], data["by"]) for reason, data in told] == [
        ("Pulled", 1, "me"),
        ("VersionRemoved", 1, "me"),
    ]


def test_a_model_is_no_data_set(home: Home) -> None:
    asyncio.run(home.trained("digits", model_onnx=b"onnx"))
    data = transfers(home)
    with FakeRegistry() as registry:
        target = PushRequest(reference=f"{registry.host}/team/digits")
        asyncio.run(home.transfers.push("digits", "1", target, "me", home.report))
        with pytest.raises(Refused, match="not a data set"):
            asyncio.run(
                data.pull("raw", DataPullRequest(reference=f"{registry.host}/team/digits:1"), "me", home.report)
            )
    assert data.latest() == ()


def test_a_reference_that_is_none(home: Home) -> None:
    with pytest.raises(UserError, match="is not a reference"):
        asyncio.run(transfers(home).pull("raw", DataPullRequest(reference="raw:1"), "me", home.report))
