from __future__ import annotations

import stat
from pathlib import Path

import pytest

from shipway.errors import NotFound, UserError
from shipway.secrets import FileSecrets


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_value_is_kept_for_its_owner_only(tmp_path: Path) -> None:
    secrets = FileSecrets(tmp_path / "home" / "secrets")
    secrets.set("db", "PASSWORD", b"one")
    secrets.set("db", "PASSWORD", b"two\n")
    path = secrets.path("db", "PASSWORD")
    assert path.read_bytes() == b"two\n"
    assert [_mode(one) for one in (path, path.parent, path.parent.parent)] == [0o600, 0o700, 0o700]
    assert [file.name for file in path.parent.iterdir()] == ["PASSWORD"]


def test_names_are_listed_without_values(tmp_path: Path) -> None:
    secrets = FileSecrets(tmp_path / "secrets")
    assert secrets.names() == {}
    for name, key in (("db", "USER"), ("db", "PASSWORD"), ("api", "TOKEN")):
        secrets.set(name, key, b"x")
    (tmp_path / "secrets" / "db" / ".making-left-by-a-kill").touch()
    assert secrets.names() == {"api": ["TOKEN"], "db": ["PASSWORD", "USER"]}


def test_delete_one_key_then_all(tmp_path: Path) -> None:
    secrets = FileSecrets(tmp_path)
    for key in ("A", "B", "C"):
        secrets.set("db", key, b"x")
    secrets.delete("db", "A")
    assert secrets.names() == {"db": ["B", "C"]}
    secrets.delete("db")
    assert secrets.names() == {}
    assert not (tmp_path / "db").exists()
    with pytest.raises(NotFound, match="there is no secret 'db'"):
        secrets.delete("db")
    with pytest.raises(NotFound, match="there is no secret 'db'"):
        secrets.delete("db", "A")


def test_what_is_missing_names_the_nearest_and_the_next_step(tmp_path: Path) -> None:
    secrets = FileSecrets(tmp_path)
    secrets.set("database", "PASSWORD", b"x")
    with pytest.raises(NotFound, match="the nearest is 'database'") as found:
        secrets.path("databse", "PASSWORD")
    assert found.value.next_step == "store it: shipway secret set databse PASSWORD"
    with pytest.raises(NotFound, match="secret 'database' has no key 'PASSWRD'; the nearest is 'PASSWORD'"):
        secrets.path("database", "PASSWRD")
    with pytest.raises(NotFound, match="there is no secret 'zzz'") as found:
        secrets.path("zzz", "K")
    assert found.value.message == "there is no secret 'zzz'"


@pytest.mark.parametrize("name", ["", "..", ".", "a/b", "../x", "/etc", "UPPER", "a\n", "a" * 51, "-a", "a-", "a\0b"])
def test_a_name_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    secrets = FileSecrets(tmp_path / "secrets")
    for act in (lambda: secrets.set(name, "K", b""), lambda: secrets.path(name, "K"), lambda: secrets.delete(name)):
        with pytest.raises(UserError, match="not a valid name"):
            act()


@pytest.mark.parametrize("key", ["", "..", "a/b", "../../etc/passwd", "1A", "A B", "A\n", ".making-x"])
def test_a_key_cannot_leave_the_folder(tmp_path: Path, key: str) -> None:
    secrets = FileSecrets(tmp_path)
    secrets.set("db", "K", b"")
    for act in (
        lambda: secrets.set("db", key, b""),
        lambda: secrets.path("db", key),
        lambda: secrets.delete("db", key),
    ):
        with pytest.raises(UserError, match="not a valid key"):
            act()
