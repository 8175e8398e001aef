"""COPY: files, folders, patterns, trailing slashes, owners; as Docker does it, row by row."""

from __future__ import annotations

import io
import tarfile

import pytest

from shipway.errors import Refused, UserError
from tests.image import made_base
from tests.image.dockerfile.kitchen import Kitchen, content, entries, files

TREE = {"a.txt": "a", "b.txt": "b", "src/m.py": "m", "src/deep/n.py": "n", "other/o.py": "o", "we ird/w": "w"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("COPY a.txt /x", ["x"]),
        ("COPY a.txt /x/", ["x/a.txt"]),
        ("COPY a.txt .", ["srv/a.txt"]),
        ("COPY ./a.txt ./", ["srv/a.txt"]),
        ("COPY /a.txt y/z", ["srv/y/z"]),
        ("COPY a.txt /etc", ["etc/a.txt"]),  # a folder of the base, without a slash
        ("COPY a.txt b.txt /x/", ["x/a.txt", "x/b.txt"]),
        ("COPY *.txt /x/", ["x/a.txt", "x/b.txt"]),
        ("COPY [ab].txt /etc", ["etc/a.txt", "etc/b.txt"]),
        ("COPY a.tx? /x", ["x"]),
        ("COPY src /x", ["x/deep/n.py", "x/m.py"]),
        ("COPY src /x/", ["x/deep/n.py", "x/m.py"]),
        ("COPY src/ .", ["srv/deep/n.py", "srv/m.py"]),
        ("COPY src other /x/", ["x/deep/n.py", "x/m.py", "x/o.py"]),
        ("COPY s* /x/", ["x/deep/n.py", "x/m.py"]),
        ("COPY src/*.py /x/", ["x/m.py"]),
        ("COPY */*.py /x/", ["x/m.py", "x/o.py"]),
        ("COPY a.txt nothing* /x/", ["x/a.txt"]),
        ('COPY ["we ird/w", "/x y/"]', ["x y/w"]),
        ("COPY a.txt /bin/", ["usr/bin/a.txt"]),  # /bin is a link in the base
        ("COPY src /bin", ["usr/bin/deep/n.py", "usr/bin/m.py"]),
        ("COPY a.txt /x\nCOPY b.txt /x", ["x"]),
        ("COPY src /x\nCOPY a.txt /x", ["x/a.txt", "x/deep/n.py", "x/m.py"]),
        ("WORKDIR sub\nCOPY a.txt .", ["srv/sub/a.txt"]),
        ("ADD a.txt /x", ["x"]),
        ("COPY empty /x", []),
    ],
)
def test_where_files_go(kitchen: Kitchen, line: str, expected: list[str]) -> None:
    kitchen.bases.files = {"usr/bin": made_base.Made(folder=True), "bin": made_base.Made(link="usr/bin")}
    kitchen.write(TREE)
    (kitchen.folder / "empty").mkdir()
    assert files(kitchen.prepare(f"FROM base\nWORKDIR /srv\n{line}\n")) == expected


def test_a_whole_folder_without_what_dockerignore_names(kitchen: Kitchen) -> None:
    kitchen.write({**TREE, ".dockerignore": "other\n*.txt\n!b.txt\n", "pylock.app.toml": "x"})
    found = files(kitchen.prepare("FROM base\nCOPY . /x\n"))
    assert "x/b.txt" in found
    assert not {"x/a.txt", "x/other/o.py", "x/pylock.app.toml"} & set(found)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("COPY nowhere /x", "Dockerfile:2: COPY: nowhere is not there"),
        ("COPY ../up /x", "leads out of the build's folder"),
        ("COPY *.txt /x", "2 sources match, and /x is no folder"),
        ("COPY src /etc/passwd", "is a folder, and /etc/passwd is a file"),
        ("COPY a.txt /etc/passwd/", "must be a folder, and is a file"),
        ("COPY a.txt /etc/passwd/x", "/etc/passwd must be a folder, and is a file"),
        ("COPY src /etc/clash", "/etc/clash/m.py is a folder in the image, and src/m.py is none"),
        ("COPY a.txt /etc/clash2/", "/etc/clash2/a.txt is a folder in the image"),
        ("COPY a.txt gone /x/", "gone is not there"),
        ("COPY [ /x/", "'\\[' is not closed"),
        ("WORKDIR /etc/passwd", "/etc/passwd is a file in the image"),
        ("COPY --chown=nobodyelse a.txt /x", "'nobodyelse' is not in the image's /etc/passwd"),
        ("COPY --chown=99999999999 a.txt /x", "is no number of a user"),
    ],
)
def test_what_cannot_be(kitchen: Kitchen, lines: str, message: str) -> None:
    kitchen.bases.files = {"etc/clash/m.py/x": "x", "etc/clash2/a.txt/x": "x"}
    kitchen.write({**TREE, "gone/x": "x", ".dockerignore": "gone"})
    with pytest.raises(UserError, match=message):
        kitchen.prepare(f"FROM base\n{lines}\n")


@pytest.mark.parametrize(
    ("flags", "owner", "mode"),
    [
        ("", (0, 0), None),
        ("--chown=10001", (10001, 10001), None),
        ("--chown=1:2 --chmod=600", (1, 2), 0o600),
        ("--chown=nobody:nogroup", (65534, 65534), None),
        ("--chown=:nogroup", (0, 65534), None),
        ("--chown=nobody", (65534, 65534), None),
    ],
)
def test_owner_and_mode(kitchen: Kitchen, flags: str, owner: tuple[int, int], mode: int | None) -> None:
    kitchen.write(TREE)
    found = entries(kitchen.prepare(f"FROM base\nCOPY {flags} src /new/x/\n"))
    assert {one.owner for one in found.values()} == {owner}
    assert {one.mode for name, one in found.items() if name != "new"} == {mode}  # as Docker: of folders, too
    assert found["new"].mode is None
    assert sorted(found) == ["new", "new/x", "new/x/deep", "new/x/deep/n.py", "new/x/m.py"]


def test_folders_that_are_there_get_the_owner_of_what_is_copied_over_them(kitchen: Kitchen) -> None:
    kitchen.write(TREE)
    found = entries(kitchen.prepare("FROM base\nCOPY src /app\nCOPY --chown=7 --chmod=700 src /app\n"))
    assert (found["app"].owner, found["app"].mode) == ((0, 0), None)
    assert (found["app/deep"].owner, found["app/deep"].mode) == ((7, 7), 0o700)


def test_a_mode_goes_along_to_the_next_stage_and_an_owner_does_not(kitchen: Kitchen) -> None:
    kitchen.write(TREE)
    made = kitchen.prepare("FROM base AS a\nCOPY --chmod=600 --chown=7 src /s\nFROM base\nCOPY --from=a /s /t\n")
    assert {(one.mode, one.owner) for one in entries(made).values()} == {(0o600, (0, 0))}


def test_folders_without_files_come_along_but_for_ignored_ones(kitchen: Kitchen) -> None:
    kitchen.write({"a.txt": "a", "log/x": "x", ".dockerignore": "log/*\nno\n"})
    for name in ("deep/er", "no/er"):
        (kitchen.folder / name).mkdir(parents=True)
    found = entries(kitchen.prepare("FROM base\nCOPY . /x\n"))
    assert {name for name, one in found.items() if one.kind == "folder"} == {"x", "x/deep", "x/deep/er", "x/log"}
    assert list(entries(kitchen.prepare("FROM base\nCOPY deep /y\n"))) == ["y", "y/er"]


def test_folders_of_workdir_lie_in_the_next_layer_and_belong_to_the_user(kitchen: Kitchen) -> None:
    kitchen.write(TREE)
    made = kitchen.prepare("FROM base\nUSER nobody\nWORKDIR /a/b\nCOPY a.txt .\nWORKDIR /c\nUSER ghost\nWORKDIR /d\n")
    assert [(step.title, sorted(one.name for one in step.entries)) for step in made.recipe.steps] == [  # type: ignore[union-attr]
        ("COPY a.txt .", ["a", "a/b", "a/b/a.txt"]),
        ("WORKDIR /d", ["c", "d"]),
    ]
    found = entries(made)
    assert (found["a/b"].owner, found["a/b/a.txt"].owner, found["d"].owner) == ((65534, 65534), (0, 0), (0, 0))


def test_an_archive_is_added_by_nobody_and_copied_as_it_is(kitchen: Kitchen) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("x"))
    kitchen.folder.joinpath("odd.name").write_bytes(out.getvalue())
    kitchen.folder.joinpath("new.zst").write_bytes(b"\x28\xb5\x2f\xfd")
    for name in ("odd.name", "new.zst"):
        with pytest.raises(Refused, match=rf"{name} is an archive"):
            kitchen.prepare(f"FROM base\nADD {name} /x/\n")
    assert files(kitchen.prepare("FROM base\nCOPY odd.name /x/\n")) == ["x/odd.name"]


def test_files_of_another_stage_and_of_another_image(kitchen: Kitchen) -> None:
    kitchen.write(TREE)
    made = kitchen.prepare(
        "FROM base AS tools\nCOPY src /out\nCOPY a.txt /etc/os-release\n"
        "FROM base\nCOPY --from=tools /out/*.py /etc/os-release /etc/group /x/\nCOPY --from=other/image:1 /etc /y\n"
    )
    assert files(made) == ["x/group", "x/m.py", "x/os-release", "y/group", "y/os-release", "y/passwd"]
    assert content(made, "x/os-release") == b"a"
    assert content(made, "x/group") == made_base.GROUP.encode()
    assert content(made, "y/os-release") == b"ID=madeup\n"
    assert kitchen.bases.without_python == ["other/image:1"]


def test_secrets_are_refused_and_what_no_copy_names_is_not_looked_at(kitchen: Kitchen) -> None:
    body = "q7Rt2mXw9KpL4sVz8YbN3hJd6GfCa1Eu5ToiQnBvMxZkHyWjDrSgPlFc0UeAIO2q"
    key = f"-----BEGIN {'PRIVATE'} KEY-----\n{body}\n{body}\n-----END {'PRIVATE'} KEY-----\n"
    kitchen.write({"a.txt": "a", "key.pem": key})
    assert files(kitchen.prepare("FROM base\nCOPY a.txt /x\n")) == ["x"]
    with pytest.raises(Refused, match=r"key\.pem"):
        kitchen.prepare("FROM base\nCOPY . /x\n")


def test_links_of_an_image_stay_links(kitchen: Kitchen) -> None:
    kitchen.bases.files = {"opt/t/real": "r", "opt/t/link": made_base.Made(link="real")}
    made = kitchen.prepare("FROM base\nCOPY --from=x/y /opt/t /t\nCOPY --from=x/y /opt/t/link /one\n")
    found = entries(made)
    assert (found["t/link"].kind, found["t/link"].target) == ("link", "real")
    assert content(made, "one") == b"r"  # a source that is a link is what it leads to
