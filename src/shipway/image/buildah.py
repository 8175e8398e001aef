"""A whole Dockerfile, done by buildah, for what is more than copies and packages; its image is read into the layout.

buildah gets the files that an image may have (the rules of :mod:`shipway.image.context`) in a folder of their own, with
modes that depend on no umask, and a storage of its own in HOME/cache. It isolates by chroot, which needs no runtime,
no cgroup and no daemon; RUN has the network of this machine. Sources: buildah-build(1), buildah-push(1).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from shipway.errors import DependencyFailed, NotFound, UserError
from shipway.image.bases import Image
from shipway.image.context import Context, context
from shipway.image.platform import Platform
from shipway.oci.cancelling import in_thread
from shipway.oci.leases import Lease
from shipway.packages.pip_configuration import redact
from shipway.transfer import Progress, Report

_TAIL = 25  # lines of its log in an error
_LINE = 1 << 20  # bytes; a progress bar of a RUN is one line
_PATIENCE = 10.0  # seconds that it gets to unmount what it mounted
_SECRET = 8  # characters from which on a --build-arg may be one
_OUT = "image"
# As variables they would change buildah itself, and a --build-arg goes to it as a variable.
_RESERVED = ("BUILDAH_", "CONTAINERS_", "DBUS_", "LD_", "REGISTRY_", "STORAGE_", "XDG_")
_OWN = frozenset({"HOME", "PATH", "TMPDIR", "USER"})


class ImageSource(Protocol):
    """What reads an image of a layout."""

    async def image(self, name: str, platform: Platform, lease: Lease, report: Report) -> Image: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A Dockerfile for buildah. ``scanned`` as :func:`context` has it."""

    file: Path
    folder: Path
    platform: Platform
    arguments: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    allow: tuple[str, ...] = ()
    scanned: Path | None = None


@dataclass(frozen=True, slots=True)
class Buildah:
    """``storage`` is kept between builds (its layers are their cache), ``room`` goes away after one."""

    images: ImageSource
    lease: Lease
    report: Report
    storage: Path
    room: Path
    inherited: Mapping[str, str]

    async def build(self, asked: Asked) -> Image:
        """The image, in the layout and held by the lease. The same Dockerfile gives the same image as far as its RUNs
        do: times are 1970.

        Raises DependencyFailed when buildah is missing or fails, with the end of its log; UserError; Refused for
        files that must not get into an image.
        """
        program = shutil.which("buildah", path=self.inherited.get("PATH"))
        if program is None:
            raise DependencyFailed(
                "buildah is not installed",
                next_step="apt-get install buildah, or dnf install buildah; see https://buildah.io. Linux only.",
            )
        _check(asked)
        found = await in_thread(lambda _: _staged(asked, self.room / "context"), self.report)
        self.report(Progress(f"buildah {asked.file.name}", 0, None, f"{len(found.files)} files"))
        self.storage.mkdir(mode=0o700, parents=True, exist_ok=True)
        stores = [*self._apart(), program, "--root", str(self.storage), "--runroot", str(self.room / "run")]
        iid = self.room / "iid"
        await self._run([*stores, *_command(asked, self.room / "context", iid)], asked)
        out = f"oci:{self.room / _OUT}:{_OUT}"
        await self._run([*stores, "push", "--quiet", "--format", "oci", iid.read_text().strip(), out], asked)
        return await self.images.image(out, asked.platform, self.lease, self.report)

    def _apart(self) -> list[str]:
        """What is mounted for a build goes with its process, killed or not: else a home could not be removed. Without
        root buildah sees to that by itself."""
        unshare = shutil.which("unshare", path=self.inherited.get("PATH")) if os.geteuid() == 0 else None
        return [unshare, "--mount", "--propagation", "private"] if unshare else []

    async def _run(self, command: Sequence[str], asked: Asked) -> None:
        environment = {**self.inherited, **asked.arguments, "BUILDAH_ISOLATION": "chroot", "TMPDIR": str(self.room)}
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
            limit=_LINE,
            start_new_session=True,
        )
        try:
            tail = await self._heard(process, asked)
            status = await process.wait()
        finally:
            await _ended(process)
        if status != 0:
            raise DependencyFailed(
                f"buildah could not build {asked.file} (exit code {status})\n" + "\n".join(tail),
                next_step="The lines above are the end of its log; the first error in them is what to mend.",
            )

    async def _heard(self, process: asyncio.subprocess.Process, asked: Asked) -> list[str]:
        assert process.stdout is not None
        tail: list[str] = []
        while data := await _line(process.stdout):
            line = _without_secrets(data.decode(errors="replace").rstrip(), asked)
            if line:
                tail = [*tail, line][-_TAIL:]
            if line.startswith("STEP "):
                self.report(Progress(f"buildah {asked.file.name}", 0, None, line))
        return tail


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # longer than the limit: a progress bar, of which nobody wants the beginning
        return b"...\n"


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Its whole group, first with the chance to unmount."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), _PATIENCE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _command(asked: Asked, folder: Path, iid: Path) -> list[str]:
    """No value of a --build-arg stands in it: other users of the machine can read the command lines of processes."""
    options = ["build", "--format", "oci", "--isolation", "chroot", "--layers", "--force-rm", "--timestamp", "0"]
    options += ["--identity-label=false", "--platform", str(asked.platform), "--iidfile", str(iid)]
    options += [f"--build-arg={name}" for name in asked.arguments]
    options += ["--target", asked.target] if asked.target else []
    return [*options, "--file", str(asked.file.resolve()), str(folder)]


def _check(asked: Asked) -> None:
    if not asked.file.is_file():
        raise NotFound(f"there is no {asked.file}", next_step="Name the Dockerfile: -f PATH.")
    for name in asked.arguments:
        if name in _OWN or name.startswith(_RESERVED):
            raise UserError(f"--build-arg {name} would change buildah itself", next_step="Give the ARG another name.")


def _staged(asked: Asked, folder: Path) -> Context:
    """The files that an image may have, copied to a folder: .dockerignore has had its say already."""
    found = context(
        asked.folder, ("**", "!pylock.*.toml"), asked.allow, dockerfile=asked.file.name, scanned=asked.scanned
    )
    folder.mkdir(mode=0o755)
    for file in found.files:
        path = folder / file.name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        shutil.copyfile(file.path, path)
        path.chmod(0o755 if file.executable else 0o644)
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
    (folder / ".dockerignore").unlink(missing_ok=True)
    return found


def _without_secrets(line: str, asked: Asked) -> str:
    for value in asked.arguments.values():
        if len(value) >= _SECRET:
            line = line.replace(value, "***")
    return redact(line)
