"""A minimal Debian with Python, made by mmdebstrap: for where no registry can be reached, or is wanted.

No package script is run and nothing is chrooted into, so every user can make it, and for another architecture too; what
those scripts would have done stands in :mod:`shipway.image.bases.root`. Equal packages give equal bytes.
Source: mmdebstrap(1), "--variant=extract", "--mode=chrootless".
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from shipway.errors import DependencyFailed, EnvironmentFault
from shipway.image.bases import apt_sources, root
from shipway.image.bases.bring import Bringing
from shipway.image.bases.suites import SUITES, packages
from shipway.image.platform import Platform
from shipway.oci import Descriptor, Manifest, disk
from shipway.oci.manifest import canonical
from shipway.oci.scratch import scratch
from shipway.packages.pip_configuration import redact
from shipway.transfer import Progress

_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
# Every program that reads images reads gzip, those before 2023 no zstd; and it is 2 MB more.
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
_LEVEL = 6
_EPOCH = "1970-01-01T00:00:00Z"
_APT = Path("/etc/apt")
_TAIL = 15  # lines of what failed that are told
# A scanner of images reads there what is installed, where there is no dpkg; so distroless images have it.
_HOOK = (
    'mkdir -p "$1/var/lib/dpkg/status.d"; for deb in "$1"/var/cache/apt/archives/*.deb; do '
    'dpkg-deb --field "$deb" > "$1/var/lib/dpkg/status.d/$(dpkg-deb --field "$deb" Package)" || exit 1; done'
)


async def make(
    suite: str, platform: Platform, to: Bringing, cache: Path, inherited: Mapping[str, str], apt: Path = _APT
) -> Descriptor:
    """Make the base, and put it into the layout; its manifest, not tagged.

    Raises EnvironmentFault without mmdebstrap, DependencyFailed with its last lines when it fails.
    """
    program = shutil.which("mmdebstrap", path=inherited.get("PATH"))
    if program is None:
        raise EnvironmentFault(
            f"the base debian:{suite} is made by mmdebstrap, which is not installed",
            next_step="Install it (apt-get install mmdebstrap), or name another base: --base python:3.11-slim",
        )
    name = f"debian:{suite} for {platform}"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with scratch(cache) as folder:
        made = folder / "root"
        sources = folder / "sources.list"
        sources.write_text("".join(f"{line}\n" for line in apt_sources.lines(_texts(apt), suite)))
        environment = {**inherited, "SOURCE_DATE_EPOCH": "0", "TMPDIR": str(folder), "LC_ALL": "C.UTF-8"}
        await _run(_command(program, suite, platform, made, sources), environment, name, to)
        if os.uname().machine == platform.machine:
            to.report(Progress(name, 0, None, "compiling its standard library"))
            await _run(_compile(made), {"PYTHONHOME": str(made / "usr"), "PYTHONHASHSEED": "0"}, name, to)
        to.report(Progress(name, 0, None, "packing"))
        return await to.in_thread(partial(_pack, made, folder / "layer", suite, platform))


def _command(program: str, suite: str, platform: Platform, target: Path, sources: Path) -> list[str]:
    options = {
        "mode": "chrootless",
        "variant": "extract",
        "format": "directory",
        "architectures": platform.architecture,
        "include": ",".join(packages(suite)),
        "extract-hook": _HOOK,
    }
    # Where apt knows nothing of the release, mmdebstrap's own mirrors are taken.
    mirror = [str(sources)] if sources.stat().st_size else []
    return [program, *(f"--{name}={value}" for name, value in options.items()), suite, str(target), *mirror]


def _compile(made: Path) -> list[str]:
    """Without this each start of a container would compile what it imports: 0.4 s."""
    folders = [one for one in (*made.glob("lib/*-linux-gnu"), *made.glob("usr/lib/*-linux-gnu")) if one.is_dir()]
    loader = next(one for folder in folders for one in sorted(folder.glob("ld-linux-*.so.*")))
    library = next(one for one in made.glob("usr/lib/python3.*") if (one / "os.py").exists())
    return [
        *(str(loader), "--library-path", ":".join(map(str, folders)), str(made / "usr" / "bin" / library.name)),
        *("-s", "-S", "-B", "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash"),
        *("-s", str(made), "-p", "/", str(library)),
    ]


async def _run(command: Sequence[str], environment: Mapping[str, str], name: str, to: Bringing) -> None:
    """Run it to its end; cancelled, it is killed with what it started."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(environment),
        start_new_session=True,
    )
    lines: list[str] = []
    try:
        assert process.stdout is not None
        async for line in process.stdout:
            lines = [*lines, redact(line.decode(errors="replace").rstrip())][-_TAIL:]
            if lines[-1].startswith("I: "):
                to.report(Progress(name, 0, None, lines[-1].removeprefix("I: ")))
        status = await process.wait()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    if status != 0:
        raise DependencyFailed(
            f"the base {name} could not be made (exit code {status})\n" + "\n".join(lines),
            next_step="Check that apt's mirror answers and knows the release (apt-get update), and that "
            "debian-archive-keyring is installed; or name another base: --base python:3.11-slim",
        )


def _pack(made: Path, target: Path, suite: str, platform: Platform, to: Bringing) -> Descriptor:
    with disk.faults(f"write {target}"), target.open("w+b") as file:
        with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0, compresslevel=_LEVEL) as packed:
            hashed = _Hashed(cast("BinaryIO", packed))
            root.write(made, cast("BinaryIO", hashed), SUITES[suite])
        file.seek(0)
        layer = to.layout.put_blob(file, _LAYER_TYPE, lease=to.lease)
    said = {
        "created": _EPOCH,
        **platform.document(),
        "config": {
            "Cmd": [f"/usr/bin/python{SUITES[suite]}"],
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashed.hasher.hexdigest()}"]},
        "history": [{"created": _EPOCH, "created_by": f"shipway: {', '.join(packages(suite))} of Debian {suite}"}],
    }
    config = to.layout.put_blob(canonical(said), _CONFIG_TYPE, lease=to.lease)
    return to.layout.put_manifest(Manifest(config, (layer,)), lease=to.lease)


class _Hashed:
    """Writes on, and hashes what went by."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self.hasher = hashlib.sha256()

    def write(self, data: bytes, /) -> int:
        self.hasher.update(data)
        return self._target.write(data)


def _texts(apt: Path) -> dict[str, str]:
    found = [
        apt / "sources.list",
        *(apt / "sources.list.d").glob("*.list"),
        *(apt / "sources.list.d").glob("*.sources"),
    ]
    return {str(one): one.read_text(errors="replace") for one in found if one.is_file() and os.access(one, os.R_OK)}
