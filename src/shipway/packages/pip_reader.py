"""Asks the user's pip for its configuration, once for as long as pip's files stay as they are."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from shipway.errors import DependencyFailed
from shipway.packages.pip_configuration import PipConfiguration, parse, redact

_TIMEOUT = 60.0  # seconds; pip needs 0.3 on an idle machine
_Stamps = tuple[tuple[str, int], ...]


class PipReader:
    """Reads from our own interpreter's pip, else from the first ``pip`` on ``PATH``, else from ``PIP_*`` alone."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._read: tuple[_Stamps, PipConfiguration] | None = None

    def known(self) -> PipConfiguration | None:
        """The configuration if it was read and no file of pip changed since; takes microseconds."""
        if self._read is None or self._read[0] != self._stamps():
            return None
        return self._read[1]

    def read(self) -> PipConfiguration:
        """The configuration now. Raises DependencyFailed when pip cannot read its own files."""
        known = self.known()
        if known is not None:
            return known
        stamps = self._stamps()
        configuration = parse(self._listing(), self._environ, str(Path.home()))
        self._read = (stamps, configuration)
        return configuration

    def _listing(self) -> str:
        on_path = shutil.which("pip", path=self._environ.get("PATH"))
        command = [sys.executable, "-m", "pip"] if find_spec("pip") else [on_path] if on_path else None
        if command is None:
            return ""
        try:
            done = subprocess.run(
                [*command, "config", "list"],
                env={**self._environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            words = getattr(error, "stderr", None) or str(error)
            raise DependencyFailed(
                f"pip could not list its configuration: {redact(words.strip())}",  # it quotes the line
                next_step="run `pip config list` and mend the file that it names",
            ) from error
        return done.stdout

    def _stamps(self) -> _Stamps:
        return tuple((str(path), path.stat().st_mtime_ns) for path in self._files() if path.is_file())

    def _files(self) -> list[Path]:
        # https://pip.pypa.io/en/stable/topics/configuration/#location
        home, get = Path.home(), self._environ.get
        folders = [Path(one) / "pip" for one in (get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")]
        folders += [Path("/etc"), home / ".pip", Path(get("XDG_CONFIG_HOME") or home / ".config") / "pip"]
        own = [Path(sys.prefix) / "pip.conf", Path(get("PIP_CONFIG_FILE") or "/dev/null")]
        return [folder / "pip.conf" for folder in folders] + own
