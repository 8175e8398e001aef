"""Against a real S3 endpoint: what is pinned, what is fetched, and what each failure says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from shipway.data import Access, DataSets, ObjectStores, Remote
from shipway.errors import Conflict, EnvironmentFault, NotFound, Refused, ShipwayError, UserError
from shipway.oci import Digest, Layout
from shipway.testing.clock import FakeClock
from shipway.transfer import Progress
from tests.data.material import noise
from tests.data.weed import Weed, served

pytestmark = [pytest.mark.extras, pytest.mark.slow, pytest.mark.timeout(120)]

MB = 1 << 20
A, B = noise(9 * MB, "a"), noise(5 * MB, "b")


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    with served(tmp_path_factory.mktemp("weed")) as running:
        yield running


@pytest.fixture
def sets(layout: Layout, weed: Weed) -> DataSets:
    secrets: Mapping[str, Mapping[str, str]] = {
        "right": weed.variables,
        "wrong": {**weed.variables, "AWS_SECRET_ACCESS_KEY": "not-the-key"},
        "strange": {"PASSWORD": "hunter2"},
        "unknown": {**weed.variables, "AWS_NO_SUCH_THING": "x"},
    }
    return DataSets(layout, FakeClock(), ObjectStores(Access({}, secrets.__getitem__)))


@pytest.fixture
def prefix(weed: Weed, request: pytest.FixtureRequest) -> str:
    made = request.node.name.replace("[", "-").replace("]", "")
    for name, data in {"a.csv": A, "deep/b.csv": B, "empty": b""}.items():
        weed.put(f"{made}/{name}", data)
    weed.put(f"{made}-other/c.csv", b"another prefix")
    return f"s3://models/{made}"


def key(prefix: str, name: str) -> str:
    return f"{prefix.removeprefix('s3://models/')}/{name}"


def test_a_prefix_is_pinned_and_fetched(sets: DataSets, layout: Layout, prefix: str, tmp_path: Path) -> None:
    told: list[Progress] = []
    version, _ = sets.add("raw", Remote(prefix, secret="right"), {"residency": "eu"}, told.append, copy=False)
    assert (version.files, version.size, version.remote) == (3, 14 * MB, Remote(f"{prefix}/", secret="right"))
    assert told[-1].done == 14 * MB
    files = {one.name: one for one in sets.files("raw")}
    assert {name: one.digest for name, one in files.items()} == {
        "a.csv": Digest.of(A),
        "deep/b.csv": Digest.of(B),
        "empty": Digest.of(b""),
    }
    assert all(one.etag for one in files.values())
    assert sum(one.stat().st_size for one in layout.blobs.folder.iterdir()) < 10_000
    assert b"sk-secret" not in b"".join(one.read_bytes() for one in layout.blobs.folder.iterdir())
    sets.write(sets.descriptor("raw"), tmp_path / "out")
    assert (tmp_path / "out" / "a.csv").read_bytes() == A
    assert (tmp_path / "out" / "deep" / "b.csv").read_bytes() == B
    assert sets.add("raw", Remote(prefix, secret="right"), {"residency": "eu"}, copy=False)[1] is False
    assert sets.add("raw", Remote(f"{prefix}/", secret="right"), {"residency": "eu"}, copy=False)[1] is False


def test_a_copy_is_what_a_folder_with_these_files_is(sets: DataSets, prefix: str, tmp_path: Path) -> None:
    copied, _ = sets.add("raw", Remote(prefix, secret="right"), {}, copy=True)
    sets.write(sets.descriptor("raw"), tmp_path / "out")
    local, new = sets.add("raw", tmp_path / "out", {})
    assert (local.digest, new, copied.remote) == (copied.digest, False, None)


def test_one_object_is_a_data_set_of_one_file(sets: DataSets, prefix: str, tmp_path: Path) -> None:
    sets.add("raw", Remote(f"{prefix}/deep/b.csv", secret="right"), {}, copy=False)
    sets.write(sets.descriptor("raw"), tmp_path / "out")
    assert (tmp_path / "out" / "b.csv").read_bytes() == B


def test_an_object_that_changed_is_named_with_expected_and_found(
    sets: DataSets, weed: Weed, prefix: str, tmp_path: Path
) -> None:
    sets.add("raw", Remote(prefix, secret="right"), {}, copy=False)
    weed.put(key(prefix, "a.csv"), B)
    with pytest.raises(Conflict) as caught:
        sets.write(sets.descriptor("raw"), tmp_path / "out")
    assert f"{prefix}/a.csv changed: expected {len(A)} bytes with {Digest.of(A)}" in caught.value.message
    assert f"found {len(B)} bytes" in caught.value.message
    changed = noise(9 * MB, "as long")
    weed.put(key(prefix, "a.csv"), changed)
    with pytest.raises(Conflict, match=str(Digest.of(changed))):
        sets.write(sets.descriptor("raw"), tmp_path / "out")


@pytest.mark.parametrize("name", ["a.csv", "empty"])
def test_an_object_that_went_is_named(sets: DataSets, weed: Weed, prefix: str, tmp_path: Path, name: str) -> None:
    sets.add("raw", Remote(prefix, secret="right"), {}, copy=False)
    weed.delete(key(prefix, name))
    with pytest.raises(NotFound, match=rf"{name}: expected \d+ bytes with sha256:\w+, found no object"):
        sets.write(sets.descriptor("raw"), tmp_path / "out")


def test_an_object_that_is_replaced_after_it_was_listed(weed: Weed, prefix: str) -> None:
    place = ObjectStores(Access({}, lambda name: weed.variables)).open(Remote(prefix, secret="right"))
    found = place.found()
    weed.put(key(prefix, "deep/b.csv"), noise(5 * MB, "as long"))
    with pytest.raises(Conflict, match=r"deep/b\.csv changed while it was read"):
        list(place.stream(found))


@pytest.mark.parametrize(
    ("remote", "error", "told"),
    [
        (Remote("s3://models/nothing-here", secret="right"), NotFound, "holds no object"),
        (Remote("s3://no-such-bucket/x", secret="right"), NotFound, "s3://no-such-bucket/x is not there"),
        (Remote("s3://models/a", secret="wrong"), Refused, "the store refused these credentials"),
        (Remote("s3://models/a", secret="strange"), UserError, "has the key 'PASSWORD'"),
        (Remote("s3://models/a", secret="unknown"), UserError, "aws_no_such_thing"),
        (Remote("s3://models/a", "http://127.0.0.1:9", "right"), EnvironmentFault, "cannot be reached"),
    ],
)
def test_what_a_failure_says(sets: DataSets, remote: Remote, error: type[ShipwayError], told: str) -> None:
    with pytest.raises(error, match=told) as caught:
        sets.add("raw", remote, {}, copy=False)
    assert "sk-secret" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.next_step
