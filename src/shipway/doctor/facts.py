"""What the doctor found: frozen values, no opinion. A probe that failed leaves a :class:`Trouble`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Trouble:
    """A probe could not tell; ``words`` say why."""

    words: str


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python that runs this command, and so the hub."""

    implementation: str  # "CPython"
    version: tuple[int, int, int]
    bits: int
    libc: str  # "glibc 2.36", "musl"; empty where it cannot be told
    executable: str
    virtual: bool  # in a virtual environment


@dataclass(frozen=True, slots=True)
class Package:
    """One of our own requirements; ``found`` is None where it is not installed."""

    wanted: str
    found: str | None
    satisfied: bool


@dataclass(frozen=True, slots=True)
class Program:
    """A program of a wheel, and what it answers to ``--version``."""

    path: str
    version: str


@dataclass(frozen=True, slots=True)
class Cgroups:
    """Which limits are kept here; ``missing``: controller to the reason why not."""

    version: int
    enforced: tuple[str, ...]
    missing: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Disk:
    """Room below ``path``, bytes and inodes that we may use; a file system without inodes has 0 of 0."""

    path: str
    free: int
    size: int
    free_inodes: int
    inodes: int


@dataclass(frozen=True, slots=True)
class Listener:
    """Who listens on a port of this machine."""

    ours: bool  # this home's Envoy
    who: str


@dataclass(frozen=True, slots=True)
class Ports:
    """The gateway's port: None until the first hub chooses it. ``asked``: SHIPWAY_GATEWAY_PORT says so."""

    port: int | None
    asked: bool
    listener: Listener | None
    loopback: bool  # a connection to 127.0.0.1 arrives


@dataclass(frozen=True, slots=True)
class Sockets:
    """The folder for sockets; ``uid`` and ``mode`` are None while there is none."""

    folder: str
    longest: int  # bytes of the longest path that will be made in it
    limit: int
    uid: int | None
    mode: int | None


@dataclass(frozen=True, slots=True)
class Time:
    """The wall clock; ``leap`` is how many seconds it left the monotonic one by while we looked."""

    now: datetime
    leap: float
    synchronised: bool | None  # None: the kernel does not say
    newest: datetime | None  # last time in the home's journal


@dataclass(frozen=True, slots=True)
class Limits:
    """``ulimit``: soft and hard for open files, soft for processes; None is unlimited."""

    files: int | None
    most_files: int | None
    processes: int | None


@dataclass(frozen=True, slots=True)
class Home:
    """The home, or (``exists`` is False) the nearest folder above it."""

    path: str
    exists: bool
    uid: int
    mode: int
    writable: bool
    file_system: str


@dataclass(frozen=True, slots=True)
class Database:
    """A SQLite file of the home; ``damage`` is empty when it can be read. ``rows`` is None where there is no file."""

    path: str
    rows: int | None
    damage: str = ""


@dataclass(frozen=True, slots=True)
class Hub:
    """What the home's hub says; ``hangs``: somebody has the home and does not answer."""

    answers: bool
    hangs: bool = False
    version: str = ""
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Gateway:
    """``envoy``: its admin socket answers. The rest is the hub's view; ``live`` is None without a hub."""

    envoy: bool
    live: bool | None = None
    url: str = ""
    reason: str = ""
    message: str = ""
    wanted: bool = False  # there is a route to serve


@dataclass(frozen=True, slots=True)
class Place:
    """A cluster or a registry that is configured."""

    name: str
    ready: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Pip:
    """Where packages come from, without credentials."""

    sources: tuple[str, ...]
    no_index: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything, of one moment. ``uid`` and ``shipway`` are ours: user and version."""

    uid: int
    shipway: str
    interpreter: Interpreter | Trouble
    packages: tuple[Package, ...] | Trouble
    envoy: Program | Trouble
    uv: Program | Trouble
    cgroups: Cgroups | Trouble
    disks: tuple[Disk, ...] | Trouble
    ports: Ports | Trouble
    sockets: Sockets | Trouble
    time: Time | Trouble
    limits: Limits | Trouble
    home: Home | Trouble
    store: Database | Trouble
    journal: Database | Trouble
    hub: Hub | Trouble
    gateway: Gateway | Trouble
    pip: Pip | Trouble
    clusters: tuple[Place, ...] | Trouble = ()
    registries: tuple[Place, ...] | Trouble = ()  # none can be configured yet; gather.py is the place
    proxies: tuple[str, ...] | Trouble = ()  # names of variables, never their values
