"""A bug report of a home full of secrets has none of them in it."""

from __future__ import annotations

import gzip
import json
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest

from shipway.doctor import Bundle, judge, write_bundle
from shipway.errors import UserError
from shipway.settings import Settings
from tests.doctor.homes import QUIET, home_of, plant
from tests.doctor.test_verdict import WELL

pytestmark = pytest.mark.slow  # pip tells its configuration

INDEX = "https://ada:index-password@pypi.example/simple"
PROXY = "http://bob:proxy%2Dpassword@proxy.example:3128"
ENVIRONMENT = {**QUIET, "PIP_INDEX_URL": INDEX, "HTTPS_PROXY": PROXY, "CI_TOKEN": "token-of-the-shell"}
SECRETS = (
    "stored-secret-value",
    "first-line-of-a-key",
    "second-line-of-it",
    "api-token-of-the-home",
    "index-password",
    "proxy%2Dpassword",
    "proxy-password",
    "token-of-the-shell",
    "plain-value-of-env",
    "key-in-plain-yaml",
    "token-of-command",
    "hunter2",
    "abcdefgh12345678",
)
# What careless code prints. The value of PLAIN is not among it: it is no secret by its name, and only its place tells.
PRINTED = "\n".join(
    [
        *(one for one in SECRETS[:9] if one != "plain-value-of-env"),
        "key-in-plain-yaml",
        INDEX,
        PROXY,
        "connecting to postgres://app:hunter2@db/prod",
        "Authorization: Bearer abcdefgh12345678",
        "harmless words stay",
    ]
)


def bundle_of(where: Settings, file: Path) -> Bundle:
    return write_bundle(file, where, ENVIRONMENT, WELL, judge(WELL))


def members(file: Path) -> dict[str, str]:
    with tarfile.open(file) as archive:
        found = {one.name.removeprefix("shipway-doctor/"): archive.extractfile(one) for one in archive.getmembers()}
        return {name: stream.read().decode() for name, stream in found.items() if stream}


def test_no_secret_is_in_the_bytes(tmp_path: Path) -> None:
    where = home_of(tmp_path)
    plant(where, PRINTED)
    bundle = bundle_of(where, tmp_path / "report.tar.gz")
    data = gzip.decompress(bundle.path.read_bytes())
    assert [one for one in SECRETS if one.encode() in data] == []
    texts = members(bundle.path)
    logs = [text for name, text in texts.items() if name.endswith((".log", ".log.1"))]
    assert len(logs) == 4
    assert all("harmless words stay" in one for one in logs), "what is no secret is there"
    assert "harmless words stay" in texts["journal.json"]


def test_a_report_says_what_is_inside(tmp_path: Path) -> None:
    where = home_of(tmp_path)
    plant(where, "hello")
    bundle = bundle_of(where, tmp_path / "report.tar.gz")
    texts = members(bundle.path)
    assert [name for name, _ in bundle.contents] == list(texts)
    assert all(name in texts["README.txt"] and about in texts["README.txt"] for name, about in bundle.contents[1:])
    assert stat.S_IMODE(bundle.path.stat().st_mode) == 0o600
    assert "plan.json" not in {Path(name).name for name in texts}, "it has the values of variables"


def test_the_parts_can_be_read(tmp_path: Path) -> None:
    where = home_of(tmp_path)
    plant(where, "hello")
    texts = members(bundle_of(where, tmp_path / "report.tar.gz").path)
    documents: dict[str, Any] = {name: json.loads(text) for name, text in texts.items() if name.endswith(".json")}
    (service,) = documents["objects.json"]
    assert service["spec"]["env"] == {"PLAIN": "***", "MY_API_KEY": "***"}
    assert service["spec"]["command"] == ["./serve", "--token", "***"]
    assert [one["message"] for one in documents["journal.json"]] == ["all traffic goes to digits-00001", "hello"]
    assert documents["journal.json"][0]["at"] == "2026-01-01T00:00:00+00:00"
    assert documents["doctor.json"][0]["topic"] == "interpreter"
    assert documents["versions.json"]["packages"]["click"]
    assert "- secrets/db/password" in texts["files.txt"], "the size of a secret is not told"


def test_a_damaged_home_can_be_reported(tmp_path: Path) -> None:
    where = home_of(tmp_path)
    plant(where, "hello")
    where.store.write_bytes(b"no database")
    (where.workloads / "digits-00001" / "status.json").write_text("{")
    texts = members(bundle_of(where, tmp_path / "report.tar.gz").path)
    assert "error" in json.loads(texts["objects.json"])
    assert "error" in json.loads(texts["workloads/digits-00001/status.json"])
    assert "store.db cannot be read" in texts["README.txt"]


def test_a_home_that_does_not_exist_can_be_reported(tmp_path: Path) -> None:
    where = Settings(home=tmp_path / "home", temporary=tmp_path)
    texts = members(bundle_of(where, tmp_path / "report.tar.gz").path)
    assert list(texts) == ["README.txt", "doctor.txt", "doctor.json", "versions.json"]
    assert not where.home.exists()


def test_half_a_line_at_the_cut_is_left_out(tmp_path: Path) -> None:
    where = home_of(tmp_path)
    plant(where, "hello")
    where.hub_log.write_text("x" * 9 + "stored-secret-value" + "y" * (256 * 1024 - 8) + "\nlast line\n")
    texts = members(bundle_of(where, tmp_path / "report.tar.gz").path)
    assert texts["hub.log"] == "last line\n"


def test_a_file_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    where = home_of(tmp_path)
    file = tmp_path / "report.tar.gz"
    file.write_text("mine")
    with pytest.raises(UserError, match=r"report\.tar\.gz exists"):
        bundle_of(where, file)
    assert file.read_text() == "mine"
    with pytest.raises(UserError, match="cannot write"):
        bundle_of(where, tmp_path / "nowhere" / "report.tar.gz")
