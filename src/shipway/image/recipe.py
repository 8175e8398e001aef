"""What an image is to be made of: the one form in which a project's workload and a Dockerfile reach the builder. Pure.

A recipe says nothing of a machine and holds no digests but a model's: the same recipe is built for every platform.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from shipway.image.assemble import Runs
from shipway.image.layer import Compression, Entry
from shipway.oci import Descriptor

VENV = "/opt/venv"
WORKDIR = "/app"
MODEL_DIR = "/model"
USER = 10001  # a number that no base gives to anybody; Kubernetes' runAsNonRoot can judge a number only


@dataclass(frozen=True, slots=True)
class Packages:
    """Requirements, resolved together for the base's Python into ``/opt/venv``, a layer for each group of wheels.

    ``asked`` are lines of a requirements file; ``runtime`` the lines that Shipway's own body adds to them.
    ``sees_base``: what the base has installed stays importable, as pip in a Dockerfile leaves it. ``terms``: what else
    decides which are chosen (``--constraint urllib3<2``, ``--index-url URL``); the lock has them, who resolves knows.
    """

    asked: tuple[str, ...] = ()
    runtime: tuple[str, ...] = ()
    sees_base: bool = False
    terms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Files:
    """Files that are at hand, in one layer. ``title`` is what the image's history says of it: ``code``; ``body``: they
    are Shipway's own."""

    title: str
    entries: tuple[Entry, ...]
    body: bool = False


@dataclass(frozen=True, slots=True)
class User:
    """A name for the number in the base's ``/etc/passwd`` and ``/etc/group``: programs look themselves up."""

    uid: int = USER


@dataclass(frozen=True, slots=True)
class Model:
    """A model version's own blobs, and links to its files in ``/model``."""

    name: str  # "digits:2"
    version: Descriptor  # what names it in the layout


Step: TypeAlias = Packages | Files | User | Model


@dataclass(frozen=True, slots=True)
class Recipe:
    """An image to be: ``steps`` on a ``base``, each a layer or more, from what seldom changes to what often does.

    ``name`` is the image's, and that of its lock. ``runs`` says what a container does; what it leaves open is the
    base's word.
    """

    name: str
    base: str
    steps: tuple[Step, ...] = ()
    runs: Runs = field(default_factory=Runs)
    compression: Compression = "zstd"
    bytecode: bool = False
