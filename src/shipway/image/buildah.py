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
from dataclasses import dataclass
from pathlib import Path

from shipway.errors import DependencyFailed, UserError
from shipway.image.bases import Image
from shipway.image.context import Context, context
from shipway.image.dockerfile.build import ImageSource, Source
from shipway.image.dockerfile.folder import NOT_IN
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


@dataclass(frozen=True, slots=True)
class Buildah:
    """``cache`` is HOME/cache/image: buildah's storage in it is kept between builds (its layers are their cache), and
    ``scanned`` as :func:`context` has it. ``room`` goes away after a build."""

    images: ImageSource
    lease: Lease
    report: Report
    cache: Path
    room: Path
    inherited: Mapping[str, str]

    async def build(self, source: Source, platform: Platform) -> Image:
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
        _check(source)
        found = await in_thread(lambda _: _staged(source, self.cache / "scanned", self.room / "context"), self.report)
        self.report(Progress(_title(source), 0, None, f"{len(found.files)} files"))
        storage, iid, out = self.cache / "buildah", self.room / "iid", f"oci:{self.room / _OUT}:{_OUT}"
        storage.mkdir(mode=0o700, parents=True, exist_ok=True)
        stores = [*self._apart(), program, "--root", str(storage), "--runroot", str(self.room / "run")]
        await self._run([*stores, *_command(source, platform, self.room / "context", iid)], source)
        await self._run([*stores, "push", "--quiet", "--format", "oci", iid.read_text().strip(), out], source)
        return await self.images.image(out, platform, self.lease, self.report)

    def _apart(self) -> list[str]:
        """What is mounted for a build goes with its process, killed or not: else a home could not be removed. Without
        root buildah sees to that by itself."""
        unshare = shutil.which("unshare", path=self.inherited.get("PATH")) if os.geteuid() == 0 else None
        return [unshare, "--mount", "--propagation", "private"] if unshare else []

    async def _run(self, command: Sequence[str], source: Source) -> None:
        environment = {**self.inherited, **source.arguments, "BUILDAH_ISOLATION": "chroot", "TMPDIR": str(self.room)}
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
            tail = await self._heard(process, source)
            status = await process.wait()
        finally:
            await _ended(process)
        if status != 0:
            raise DependencyFailed(
                f"buildah could not build {source.dockerfile.name} (exit code {status})\n" + "\n".join(tail),
                next_step="The lines above are the end of its log; the first error in them is what to mend.",
            )

    async def _heard(self, process: asyncio.subprocess.Process, source: Source) -> list[str]:
        assert process.stdout is not None
        tail: list[str] = []
        while data := await _line(process.stdout):
            line = _without_secrets(data.decode(errors="replace").rstrip(), source)
            if line:
                tail = [*tail, line][-_TAIL:]
            if line.startswith("STEP "):
                self.report(Progress(_title(source), 0, None, line))
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


def _command(source: Source, platform: Platform, folder: Path, iid: Path) -> list[str]:
    """No value of a --build-arg stands in it: other users of the machine can read the command lines of processes."""
    options = ["build", "--format", "oci", "--isolation", "chroot", "--layers", "--force-rm", "--timestamp", "0"]
    options += ["--identity-label=false", "--platform", str(platform), "--iidfile", str(iid)]
    # A RUN's line of the image's history would have the values of all of them.
    options += ["--omit-history", *(f"--build-arg={name}" for name in source.arguments)] if source.arguments else []
    options += ["--target", source.target] if source.target else []
    return [*options, "--file", str(Path(source.dockerfile.name).resolve()), str(folder)]


def _title(source: Source) -> str:
    return f"buildah {Path(source.dockerfile.name).name}"


def _check(source: Source) -> None:
    for name in source.arguments:
        if name in _OWN or name.startswith(_RESERVED):
            raise UserError(f"--build-arg {name} would change buildah itself", next_step="Give the ARG another name.")


def _staged(source: Source, scanned: Path, folder: Path) -> Context:
    """The files that an image may have, copied to a folder: .dockerignore has had its say already."""
    name = Path(source.dockerfile.name).name
    found = context(source.folder, ("**", NOT_IN), source.allow, dockerfile=name, scanned=scanned)
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


def _without_secrets(line: str, source: Source) -> str:
    for value in source.arguments.values():
        if len(value) >= _SECRET:
            line = line.replace(value, "***")
    return redact(line)
