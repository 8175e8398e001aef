"""Where things are: the home folder and what the environment says. The one place that reads os.environ."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from shipway.errors import UserError

# sun_path holds 108 bytes on Linux and 104 on macOS, the final NUL included.
LONGEST_SOCKET_PATH = 100
LONGEST_IN_SOCKETS = len("/supervisors/") + 40  # of a path below the folder for sockets


@dataclass(frozen=True, slots=True)
class Settings:
    """One home. Two homes never meet: every path, socket and port hangs on ``home``."""

    home: Path
    gateway_port: int | None = None  # None: the home's own, chosen once
    temporary: Path = Path("/tmp")  # not TMPDIR: another shell must find the same sockets
    registry: str = ""  # where models go that are pushed without a reference: "ghcr.io/team"
    base: str = ""  # what images stand on when neither they nor their locks say it: "python:3.11-slim"
    docker_config: Path | None = None  # Docker's config.json, with the credentials of registries
    encryption_key: Path | None = None  # a file with the key of the OCI layout; None: it is not encrypted

    @property
    def store(self) -> Path:
        return self.home / "store.db"

    @property
    def journal(self) -> Path:
        return self.home / "journal.db"

    @property
    def oci(self) -> Path:
        return self.home / "oci"

    @property
    def cache(self) -> Path:
        """Materialised artifacts and environments: may be deleted when nothing runs."""
        return self.home / "cache"

    @property
    def workloads(self) -> Path:
        return self.home / "workloads"

    @property
    def secrets(self) -> Path:
        return self.home / "secrets"

    @property
    def gateway(self) -> Path:
        return self.home / "gateway"

    @property
    def hub_log(self) -> Path:
        return self.home / "hub.log"

    @property
    def hub_failure(self) -> Path:
        """Why the last hub could not serve, for the commands; absent when it could."""
        return self.home / "hub.failed"

    @property
    def hub_lock(self) -> Path:
        return self.home / "hub.lock"

    @property
    def token(self) -> Path:
        return self.home / "token"

    @property
    def sockets(self) -> Path:
        """The folder for sockets: in the home, or a short one of this user where the home's path is too long."""
        inside = self.home / "run"
        if len(os.fsencode(inside)) + LONGEST_IN_SOCKETS <= LONGEST_SOCKET_PATH:
            return inside
        short = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]
        return self.temporary / f"shipway-{os.getuid()}" / short

    @property
    def hub_socket(self) -> Path:
        return self.sockets / "hub.sock"


def read() -> Settings:
    """The settings of this process: ``SHIPWAY_HOME`` (default: XDG state dir), ``SHIPWAY_GATEWAY_PORT``,
    ``SHIPWAY_REGISTRY``, ``SHIPWAY_BASE``, ``SHIPWAY_ENCRYPTION_KEY_FILE``, and Docker's ``DOCKER_CONFIG``."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    home = Path(os.environ.get("SHIPWAY_HOME") or state / "shipway").expanduser().absolute()
    key = os.environ.get("SHIPWAY_ENCRYPTION_KEY_FILE")
    return Settings(
        home=home,
        gateway_port=_port(os.environ.get("SHIPWAY_GATEWAY_PORT", "")),
        registry=os.environ.get("SHIPWAY_REGISTRY", ""),
        base=os.environ.get("SHIPWAY_BASE", ""),
        docker_config=Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker").absolute() / "config.json",
        encryption_key=Path(key).expanduser().absolute() if key else None,
    )


def loopback(text: str) -> tuple[str, int]:
    """``127.0.0.1:PORT`` as host and port. Raises UserError for any other place: the hub serves this machine only."""
    host, _, port = text.rpartition(":")
    if host not in ("127.0.0.1", "localhost") or not port.isdigit() or not 0 < int(port) < 65536:
        raise UserError(
            f"--listen {text}: the hub listens on this machine only",
            next_step="write 127.0.0.1:PORT; from elsewhere, use an SSH tunnel",
        )
    return "127.0.0.1", int(port)


def _port(text: str) -> int | None:
    if not text:
        return None
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise UserError(f"SHIPWAY_GATEWAY_PORT={text!r} is not a port: allowed is a number from 1 to 65535")
    return int(text)


def no_colour() -> bool:
    """Whether the user wants no colours anywhere (https://no-color.org): ``NO_COLOR`` is set and not empty."""
    return bool(os.environ.get("NO_COLOR"))


def inherited() -> dict[str, str]:
    """A copy of this process's environment, for the programs that Shipway calls."""
    return dict(os.environ)
