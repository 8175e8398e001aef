"""Python environments: our own interpreter when it has everything, else one that uv makes and that is kept.

``ROOT/<key>/`` is a virtual environment, made in place: its scripts hold its absolute path. ``lock.txt`` in it is
written last, so its presence means that the environment is complete; a folder without it is the rest of a builder
that was killed, and is made anew. ``ROOT/<key>.lock`` is locked by whoever builds or removes, uv itself included: a
uv that outlives the hub which started it keeps the lock until it has written its last file.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib import metadata
from pathlib import Path

from packaging.markers import default_environment

from shipway.bundle import Environment
from shipway.cluster.local.interpreter import Interpreter
from shipway.cluster.local.requirements import Installed, Python, closure, lacking, normalised
from shipway.errors import DependencyFailed
from shipway.packages.body import body_requirements, make_body
from shipway.packages.pip_configuration import PipConfiguration, redact, uv_environment
from shipway.packages.pip_reader import PipReader
from shipway.packages.uv import start_uv, uv_failure

_LOCK = "lock.txt"
_CLOSED_POLL = 0.05  # seconds between two looks at a lock that somebody else holds
_TRIES = 3  # when uv is killed; a machine without memory for it must come to an end


class _Killed(Exception):
    """Somebody ended uv with -9: that says nothing about the requirements. Never leaves this file."""

    def __init__(self, failure: DependencyFailed) -> None:
        super().__init__(failure)
        self.failure = failure


class UvEnvironments:
    """Environments of this machine, shared by all hubs of a home. Safe for threads and processes."""

    def __init__(
        self,
        *,
        root: Path,
        bodies: Path,
        uv: Path,
        pip: PipReader,
        inherited: Mapping[str, str],
        python: Path = Path(sys.executable),
    ) -> None:
        """``python`` must be the interpreter that runs this code; ``inherited`` goes to uv and pip."""
        self._root, self._bodies, self._uv, self._pip, self._inherited = root, bodies, uv, pip, inherited
        self._python = python
        self._identity = Python(sys.implementation.name, platform.python_version(), sysconfig.get_platform())
        self._closed = threading.Event()
        self._running: set[subprocess.Popen[str]] = set()

    def existing(self, environment: Environment) -> Interpreter | None:
        """The interpreter, when it is there; never starts a process.

        None also while pip's configuration is not known yet: then :meth:`build` returns soon.
        Raises UserError for a line that cannot be read.
        """
        reason = self._own_lacks(environment)
        if reason is None:
            return self._own(environment)
        configuration = self._pip.known()
        if configuration is None:
            return None
        folder = self._folder(environment, configuration)
        with suppress(FileNotFoundError):  # another hub of the home may prune it just now
            return self._interpreter(folder, environment, reason) if _complete(folder) else None
        return None

    def build(self, environment: Environment) -> Interpreter:
        """The interpreter, made when it is not there; may take minutes. Idempotent.

        Raises UserError for a line that cannot be read, DependencyFailed when pip or uv fails.
        """
        reason = self._own_lacks(environment)
        if reason is None:
            return self._own(environment)
        configuration = self._pip.read()
        folder = self._folder(environment, configuration)
        with self._locked(folder) as lock:
            if not _complete(folder):
                self._make(folder, environment, configuration, lock)
            return self._interpreter(folder, environment, reason)

    def prune(self, in_use: set[str], now: datetime, *, idle: float = 3600.0) -> list[str]:
        """Remove environments that nobody asked for in the last ``idle`` seconds, but not those ``in_use``.

        ``in_use`` holds paths of interpreters, as ``str(Interpreter.python)``. Returns the keys that were removed.
        """
        removed = []
        for folder in sorted(path for path in self._root.glob("*") if path.is_dir()):
            if str(_python(folder)) in in_use:
                continue
            with _open_lock(folder) as lock:
                used = folder / _LOCK if _complete(folder) else folder
                if _try_lock(lock) and now.timestamp() - used.stat().st_mtime >= idle:
                    _remove(folder)
                    removed.append(folder.name)
        return removed

    def close(self) -> None:
        """End what is being built; a waiting :meth:`build` raises DependencyFailed."""
        self._closed.set()
        for process in tuple(self._running):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)

    def _own_lacks(self, environment: Environment) -> str | None:
        markers = _markers()
        return lacking(environment.requirements, _installed, markers, pinned=True) or lacking(
            body_requirements(environment), _installed, markers, pinned=False
        )

    def _own(self, environment: Environment) -> Interpreter:
        count = len(environment.requirements)
        found = f"{_counted(count, 'requirement')} satisfied" if count else "no requirements declared"
        # From a checkout on PYTHONPATH Shipway is importable for us, and not for the workload.
        body = environment.runtime and _installed("shipway") is None
        return Interpreter(
            python=self._python,
            description=f"Shipway's own Python {self._identity.version} ({'all ' if count else ''}{found})",
            python_path=(str(make_body(self._bodies)),) if body else (),
            # Not kept for the next time (it takes some 10 ms): pip may change our packages while the hub runs.
            lock=closure(environment.requirements, _installed, _markers()),
        )

    def _interpreter(self, folder: Path, environment: Environment, reason: str) -> Interpreter:
        with suppress(OSError):
            os.utime(folder / _LOCK)  # for prune: asked for now
        count = _counted(len(environment.requirements), "requirement")
        return Interpreter(
            python=_python(folder),
            description=f"Python {self._identity.version} with {count}, made by uv (Shipway's own: {reason})",
            python_path=(str(make_body(self._bodies)),) if environment.runtime else (),
            lock=tuple(sorted(redact((folder / _LOCK).read_text("utf-8")).splitlines())),
        )

    def _folder(self, environment: Environment, configuration: PipConfiguration) -> Path:
        needed = [*environment.requirements, *body_requirements(environment)]
        constraints = [[path, _content_hash(Path(path))] for path in configuration.constraints]
        key = [normalised(needed), str(self._identity), configuration.sources(), constraints]
        return self._root / hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]

    def _make(self, folder: Path, environment: Environment, configuration: PipConfiguration, lock: int) -> None:
        tries = 1
        while True:
            try:
                self._make_once(folder, environment, configuration, lock)
                break
            except _Killed as killed:
                if tries == _TRIES:
                    raise killed.failure from None
                tries += 1

    def _make_once(self, folder: Path, environment: Environment, configuration: PipConfiguration, lock: int) -> None:
        _remove(folder)
        try:
            self._run_uv(["venv", "--no-project", "--python", str(self._python), str(folder)], configuration, lock)
            requirements = folder / "requirements.txt"
            _write(
                requirements,
                "".join(f"{line}\n" for line in (*environment.requirements, *body_requirements(environment))),
            )
            into = ["--python", str(_python(folder))]
            offline = ["--no-index"] if configuration.no_index else []
            self._run_uv(["pip", "install", *into, *offline, "-r", str(requirements)], configuration, lock)
            _write(folder / _LOCK, self._run_uv(["pip", "freeze", *into], configuration, lock))
        except BaseException:
            _remove(folder)
            raise

    def _run_uv(self, arguments: list[str], configuration: PipConfiguration, lock: int) -> str:
        process = start_uv(
            self._uv,
            arguments,
            uv_environment(configuration, self._inherited),
            self._root,
            pass_fds=(lock,),
            own_session=True,  # so that close() reaches the compilers that uv may have started
        )
        self._running.add(process)
        try:
            if self._closed.is_set():
                self.close()
            output, words = process.communicate()
        finally:
            self._running.discard(process)
        if self._closed.is_set():
            raise _interrupted()
        if process.returncode != 0:
            failure = uv_failure(configuration.redact(words + output), process.returncode)
            raise _Killed(failure) if process.returncode == -signal.SIGKILL else failure
        return output

    @contextmanager
    def _locked(self, folder: Path) -> Iterator[int]:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _open_lock(folder) as lock:
            while not _try_lock(lock):
                if self._closed.wait(_CLOSED_POLL):
                    raise _interrupted()
            yield lock


def _interrupted() -> DependencyFailed:
    return DependencyFailed("the environment was not finished: the hub is stopping", next_step="run it again")


def _markers() -> dict[str, str]:
    return {name: str(value) for name, value in default_environment().items()}


def _installed(name: str) -> Installed | None:
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    return Installed(found.version, tuple(found.requires or ()))


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _complete(folder: Path) -> bool:
    # The interpreter is a link: it dangles when the Python that it was made from was removed.
    return (folder / _LOCK).is_file() and _python(folder).exists()


def _remove(folder: Path) -> None:
    (folder / _LOCK).unlink(missing_ok=True)  # first: whoever is killed here leaves no environment that looks whole
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _open_lock(folder: Path) -> Iterator[int]:
    # The file stays when its environment goes: one that is removed and made again would be two locks.
    descriptor = os.open(folder.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(path: Path, text: str) -> None:
    making = path.with_suffix(".making")
    making.touch(mode=0o600)
    making.write_text(text, "utf-8")
    making.rename(path)


def _content_hash(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""  # a URL, or missing: uv will say so


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
