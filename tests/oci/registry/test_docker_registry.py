"""Against Debian's docker-registry, with a password too, and skopeo as the second reader."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from shipway.errors import RegistryRefused
from shipway.oci import EMPTY_CONFIG, Layout, Manifest
from shipway.oci.reference import Reference
from shipway.oci.registry import Anonymous, DockerCredentials, Limits, Registry
from shipway.transfer import Progress, Report
from tests.oci.registry.faulty import LIMITS, REPOSITORY, Artifact, artifact, nothing_is_wrong
from tests.testing.docker_registry import DockerRegistry, docker_registry

pytestmark = [pytest.mark.realtool, pytest.mark.slow]

# As of `htpasswd -nbB -C 4 ann secret`, which is in another package.
HTPASSWD = "ann:$2b$04$QVuFVklZ0YQKlLmI0BmkQecDQWbli64hOA1J1wJeRNXZD0wPBFuxq\n"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    (tmp_path / "registry").mkdir()
    with docker_registry(tmp_path / "registry") as running:
        yield running


@pytest.fixture
def made(tmp_path: Path) -> Artifact:
    return artifact(tmp_path / "made")


def test_there_and_back_with_referrers_and_skopeo(registry: DockerRegistry, made: Artifact, tmp_path: Path) -> None:
    at = Reference.parse(f"{registry.host}/{REPOSITORY}:1")
    layer = made.layout.put_blob(b"signed")
    signature = made.layout.attach(Manifest(EMPTY_CONFIG, (layer,), "application/x-sign", subject=made.root))
    pulled = Layout(tmp_path / "pulled")

    async def run() -> None:
        async with Registry(Anonymous(), limits=LIMITS) as asking:
            await asking.push(made.layout, made.root, at)
            with pulled.lease("test") as lease:
                assert (await asking.pull(at, pulled, lease, referrers=True)).digest == made.root.digest
            assert set(await asking.tags(at)) == {"1", f"sha256-{made.root.digest.hex}"}
            assert [one.digest for one in await asking.referrers(at)] == [signature.digest]
            assert (await asking.resolve(at)).digest == made.root.digest

    asyncio.run(run())
    assert made.is_in(pulled) and [one.digest for one in pulled.referrers(made.root.digest)] == [signature.digest]
    command = ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{at}"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == made.layout.read_blob(made.root)


def test_chunks_mounts_and_deletion(registry: DockerRegistry, made: Artifact) -> None:
    base, at = (Reference.parse(f"{registry.host}/{name}:1") for name in ("base/digits", REPOSITORY))
    made.layout.tag(made.root, "digits:1")
    told: list[Progress] = []

    async def run() -> None:
        async with Registry(Anonymous(), limits=Limits(small=1_000, chunk=7_000)) as asking:
            await asking.push(made.layout, made.root, base)
            with made.layout.edit() as edit:
                edit.index = edit.index.with_tag_annotated("digits:1", "dev.shipway.pushed", json.dumps([str(base)]))
            await asking.push(made.layout, made.root, at, told.append)
            await asking.delete(at.pinned(made.root.digest))
            with pytest.raises(RegistryRefused, match="404"):
                await asking.resolve(at)

    asyncio.run(run())
    assert {one.note for one in told if one.over and one.note} == {"mounted from base/digits"}


def test_a_password_from_dockers_file(tmp_path: Path, made: Artifact) -> None:
    folder = tmp_path / "registry"
    folder.mkdir()
    (folder / "htpasswd").write_text(HTPASSWD)
    with docker_registry(folder, htpasswd=folder / "htpasswd") as registry:
        at = Reference.parse(f"{registry.host}/{REPOSITORY}:1")

        async def push(password: str) -> None:
            auth = base64.b64encode(f"ann:{password}".encode()).decode()
            (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": auth}}}))
            async with Registry(DockerCredentials(tmp_path / "config.json"), limits=LIMITS) as asking:
                await asking.push(made.layout, made.root, at)

        with pytest.raises(RegistryRefused, match="401") as refused:
            asyncio.run(push("wrong"))
        assert f"docker login {registry.host}" in refused.value.next_step
        asyncio.run(push("secret"))


PROGRAM = """
import asyncio, sys
from pathlib import Path
from shipway.oci import Layout
from shipway.oci.reference import Reference
from shipway.oci.registry import Anonymous, Limits, Registry

async def main(what, root, at):
    layout = Layout(Path(root))
    limits = Limits(part=4 << 20)
    async with Registry(Anonymous(), limits=limits) as registry:
        with layout.lease("test") as lease:
            if what == "push":
                await registry.push(layout, layout.resolve("big"), at, lambda told: print(told.done, flush=True))
            else:
                await registry.pull(at, layout, lease, lambda told: print(told.done, flush=True))

asyncio.run(main(sys.argv[1], sys.argv[2], Reference.parse(sys.argv[3])))
"""


@pytest.mark.thorough
@pytest.mark.timeout(180)
@pytest.mark.parametrize("what", ["push", "pull"])
def test_kill_9_again_and_again(registry: DockerRegistry, tmp_path: Path, what: str) -> None:
    """However often it is killed, the next one goes on, and what is there in the end is right."""
    made = artifact(tmp_path / "big", (40 << 20, 30 << 20, 5_000_000))
    made.layout.tag(made.root, "big")
    at = f"{registry.host}/{REPOSITORY}:1"
    target = tmp_path / "pulled"
    if what == "pull":
        subprocess.run(
            [sys.executable, "-c", PROGRAM, "push", str(made.layout.root), at], check=True, capture_output=True
        )
    root = made.layout.root if what == "push" else target
    Layout(root)
    for reports in (1, 5, 20, 40):
        with subprocess.Popen([sys.executable, "-c", PROGRAM, what, str(root), at], stdout=subprocess.PIPE) as process:
            assert process.stdout
            for _ in range(reports):
                process.stdout.readline()
            process.kill()
        if what == "pull":
            nothing_is_wrong(Layout(root))
    subprocess.run([sys.executable, "-c", PROGRAM, what, str(root), at], check=True, capture_output=True)
    if what == "pull":
        assert made.is_in(Layout(target))
    else:
        pulled = Layout(tmp_path / "check")
        subprocess.run([sys.executable, "-c", PROGRAM, "pull", str(pulled.root), at], check=True, capture_output=True)
        assert made.is_in(pulled)


@pytest.mark.thorough
@pytest.mark.timeout(180)
def test_a_registry_that_is_killed_half_way_and_comes_back(registry: DockerRegistry, tmp_path: Path) -> None:
    made = artifact(tmp_path / "big", (60 << 20, 30 << 20))
    at = Reference.parse(f"{registry.host}/{REPOSITORY}:1")
    pulled = Layout(tmp_path / "pulled")

    async def half_way(work: Callable[[Registry, Report], Awaitable[object]]) -> None:
        killed = False

        def report(told: Progress) -> None:
            nonlocal killed
            if not killed and told.done > 10 << 20:
                killed = True
                registry.kill()
                asyncio.get_running_loop().call_later(0.5, registry.start)

        async with Registry(Anonymous()) as asking:
            await work(asking, report)
        assert killed

    asyncio.run(half_way(lambda asking, report: asking.push(made.layout, made.root, at, report)))
    with pulled.lease("test") as lease:
        asyncio.run(half_way(lambda asking, report: asking.pull(at, pulled, lease, report)))
    assert made.is_in(pulled)
