"""buildah as a helper, and as the one who says what Docker means: the same Dockerfiles give the same files."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from shipway.errors import DependencyFailed, Refused, UserError
from shipway.image.assemble import config
from shipway.image.bases import Bases, Image
from shipway.image.buildah import Buildah
from shipway.image.dockerfile.build import Source, Tools, prepared
from shipway.image.dockerfile.parse import parse
from shipway.image.layer import Entry
from shipway.image.platform import Platform
from shipway.image.recipe import Files
from shipway.image.view import View
from shipway.oci import Layout
from shipway.oci.leases import Lease
from shipway.transfer import Progress, Report, silent
from tests.image import made_base

AMD64 = Platform("amd64")
IMAGE = Image("oci:x", None, AMD64, {}, ())  # type: ignore[arg-type] # only handed through


class FakeImages:
    def __init__(self) -> None:
        self.read: list[str] = []

    async def image(self, name: str, platform: Platform, lease: Lease, report: Report) -> Image:
        self.read.append(name)
        return IMAGE


def fake(folder: Path, script: str) -> Mapping[str, str]:
    """An environment in which ``buildah`` is that shell script."""
    (folder / "bin").mkdir()
    program = folder / "bin" / "buildah"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}


def source(folder: Path, **more: Any) -> Source:
    path = folder / "Dockerfile"
    return Source(parse(path.read_text(), str(path)), folder, "app", **more)


def run(root: Path, inherited: Mapping[str, str], reports: list[Progress] | None = None, **more: Any) -> FakeImages:
    folder, room, images = root / "folder", root / "room", FakeImages()
    for one in (folder, room):
        one.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text("FROM a\n")
    (folder / "app.py").write_text("x")
    (folder / "app.py").chmod(0o600)
    report = silent if reports is None else reports.append
    with Layout(root / "oci").lease("test") as lease:
        helper = Buildah(images, lease, report, root / "storage", room, inherited)
        asyncio.run(helper.build(source(folder, **more), AMD64))
    return images


SAYS = """
for one in "$@"; do echo "$one" >> "$LOG"; folder=$one; done
case "$*" in
*" build "*)
    echo "STEP 1/2: FROM a"
    ls -l "$folder" >> "$LOG"
    while [ "$1" != --iidfile ]; do shift; done
    echo abc > "$2";;
esac
"""


def test_the_whole_dockerfile_is_handed_over_without_a_secret_on_the_command_line(tmp_path: Path) -> None:
    log, reports = tmp_path / "log", list[Progress]()
    environment = {**fake(tmp_path, SAYS), "LOG": str(log)}
    images = run(tmp_path, environment, reports, arguments={"TOKEN": "supersecret"}, target="last")
    said = log.read_text()
    assert "--build-arg=TOKEN" in said
    assert "--omit-history" in said  # else a RUN's line in it would have the value
    assert "supersecret" not in said
    assert "-rw-r--r--" in said  # whatever the umask of the user was
    assert "STEP 1/2: FROM a" in [one.note for one in reports]
    assert images.read == [f"oci:{tmp_path / 'room' / 'image'}:image"]


def test_a_failure_has_the_end_of_the_log_without_secrets(tmp_path: Path) -> None:
    environment = fake(tmp_path, 'echo "https://me:pass@host $TOKEN"; echo "Error: make: not found"; exit 3')
    with pytest.raises(DependencyFailed, match="exit code 3") as caught:
        run(tmp_path, environment, arguments={"TOKEN": "supersecret"})
    assert "Error: make: not found" in caught.value.message
    assert "supersecret" not in str(caught.value)
    assert "pass@" not in str(caught.value)


def test_without_buildah_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DependencyFailed, match="not installed") as caught:
        run(tmp_path, {"PATH": str(tmp_path)})
    assert "apt-get install buildah" in caught.value.next_step


def test_what_is_refused_before_it_starts(tmp_path: Path) -> None:
    environment = fake(tmp_path, "exit 1")
    with pytest.raises(UserError, match="--build-arg LD_PRELOAD would change buildah"):
        run(tmp_path, environment, arguments={"LD_PRELOAD": "x"})
    body = "q7Rt2mXw9KpL4sVz8YbN3hJd6GfCa1Eu5ToiQnBvMxZkHyWjDrSgPlFc0UeAIO2q"
    key = f"-----BEGIN {'PRIVATE'} KEY-----\n{body}\n{body}\n-----END {'PRIVATE'} KEY-----\n"
    (tmp_path / "folder" / "key.pem").write_text(key)
    with pytest.raises(Refused, match=r"key\.pem"):
        run(tmp_path, environment)


def test_who_gives_up_leaves_no_process_behind(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    environment = {**fake(tmp_path, 'echo $$ > "$LOG"; echo "STEP 1/1: RUN x"; exec sleep 1000'), "LOG": str(pid)}
    (tmp_path / "room").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "Dockerfile").write_text("FROM a\n")

    async def given_up(lease: Lease) -> None:
        begun = asyncio.Event()

        def report(progress: Progress) -> None:
            if progress.note.startswith("STEP"):
                begun.set()

        helper = Buildah(FakeImages(), lease, report, tmp_path / "storage", tmp_path / "room", environment)
        task = asyncio.create_task(helper.build(source(tmp_path / "folder"), AMD64))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with Layout(tmp_path / "oci").lease("test") as lease:
        asyncio.run(given_up(lease))
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


TREE = {"a.txt": "a", "b.txt": "b", "src/m.py": "m", "src/deep/n.py": "n", "we ird/w": "w", ".dockerignore": "b.txt\n"}
# Not compared: SHELL and ranges of EXPOSE, where Docker and we do more than buildah 1.28.
DOCKERFILES = {
    "files": "COPY a.txt /x\nCOPY a.txt /y/\nCOPY src/m.py /etc/",
    "folders": "COPY src /x\nCOPY src /y/z/\nCOPY src/deep/ /etc",
    "everything": "WORKDIR /app\nCOPY . .",
    "patterns": "COPY *.txt src/*.p? /x/\nCOPY sr[a-d] /z/",
    "workdir": "WORKDIR a\nWORKDIR b\nCOPY a.txt .\nWORKDIR ../c\nCOPY a.txt ./d",
    "json": 'COPY ["we ird/w", "/x y/"]\nENTRYPOINT ["a", "b c"]\nCMD ["--d"]',
    "env": 'ENV A=1 B="2 3" C=x\\ y\nENV D=$A$B OLD=${NO:-d}\nENV PATH=/x:$PATH\nENV S \'q\' "r"',
    "args": "ARG V=1\nARG W\nENV X=$V Y=${W:+w}\nLABEL v=$V",
    "labels": "LABEL a=1 \"b c\"='d e'\nLABEL a=2",
    "runs": "USER nobody\nEXPOSE 80 81/udp\nVOLUME /data /more\nSTOPSIGNAL SIGINT\nCMD python app.py",
    "entry": "CMD b\nENTRYPOINT a",
    "stages": "COPY src /out\nENV A=1\nFROM stage\nENV B=2\nCOPY --from=stage /out/m.py /etc/passwd /x/",
    "over": "COPY a.txt /x\nCOPY src/m.py /x\nCOPY src /etc/y\nCOPY a.txt /etc/y/deep",
    "lines": "CMD x \\\n  # between\n  y",
}


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("buildah")


@pytest.mark.realtool
@pytest.mark.skipif(shutil.which("buildah") is None, reason="buildah is not installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="without root, buildah needs /etc/subuid")
@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_same_files_and_the_same_config_as_buildah(tmp_path: Path, storage: Path, name: str) -> None:
    made_base.image(Layout(tmp_path / "base"), AMD64, made_base.base_files(AMD64), tag="base")
    text = f"FROM oci:{tmp_path / 'base'}:base AS stage\n{DOCKERFILES[name]}\n"
    folder = tmp_path / "folder"
    for path, content in {**TREE, "Dockerfile": text}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    layout, cache = Layout(tmp_path / "oci"), tmp_path / "cache"
    room, other = tmp_path / "room", tmp_path / "other"
    room.mkdir()
    other.mkdir()

    async def both(lease: Lease) -> tuple[Any, Any, Image]:
        bases = Bases(layout, None, cache, os.environ)  # type: ignore[arg-type] # no registry is asked
        tools = Tools(bases, layout, lease, silent, room, cache, AMD64, lambda recipe, on: None)
        ours = await prepared(source(folder), AMD64, tools)
        base = await bases.get(ours.recipe.base, AMD64, lease, silent)
        helper = Buildah(bases, lease, silent, storage, other, os.environ)
        return ours, base, await helper.build(source(folder), AMD64)

    with layout.lease("test") as lease:
        ours, base, theirs = asyncio.run(both(lease))
        below, seen = View(layout, base.layers), View(layout, theirs.layers)
        entries = {one.name: one for step in ours.recipe.steps if isinstance(step, Files) for one in step.entries}
        assert {name: _content(one) for name, one in entries.items()} == {
            stat.path: None if stat.kind == "folder" else seen.read(stat.path, 1000)
            for stat in seen.walk()
            if (there := below.find(stat.path, follow=False)) is None or there.digest != stat.digest
        }
    ran = json.loads(config(base, (), ours.recipe.runs))["config"]
    said = {key: value for key, value in theirs.config["config"].items() if value}
    said["Env"], ran["Env"] = sorted(said["Env"]), sorted(ran["Env"])
    assert ran == said


def _content(entry: Entry) -> bytes | None:
    if entry.kind == "folder":
        return None
    return entry.content.read_bytes() if isinstance(entry.content, Path) else entry.content
