"""The courier: Shipway itself as an image, with all that it needs, Envoy included.

One image for what runs beside workloads on a cluster: it brings models, it is a gateway, it is a hub.
"""

from __future__ import annotations

from shipway import __version__
from shipway.building.asked import Asked
from shipway.building.place import Place
from shipway.building.workloads import TITLE, VERSION, Planned
from shipway.errors import UserError
from shipway.image.assemble import Runs
from shipway.image.layer import Entry
from shipway.image.layers import body
from shipway.image.recipe import USER, VENV, Files, Packages, Recipe, User
from shipway.oci import disk
from shipway.packages.body import PACKAGE

NAME = "courier"
HOME = "/var/lib/shipway"


def courier(asked: Asked, place: Place) -> Planned:
    """Its recipe, made of the Shipway that runs this. Its lock lies in the home. Raises UserError."""
    for option, given in (("--model", asked.models), ("--only", asked.only), ("--file", asked.dockerfile)):
        if given:
            raise UserError(f"{option} and --courier: the courier holds Shipway, and nothing of a project")
    runs = Runs(
        entrypoint=(f"{VENV}/bin/shipway",),
        cmd=("--help",),
        env={"SHIPWAY_HOME": HOME, "PYTHONUNBUFFERED": "1"},
        workdir=HOME,
        user=f"{USER}:{USER}",
        labels={TITLE: "shipway-courier", VERSION: __version__},
        volumes=(HOME,),
        stop_signal="SIGTERM",
    )
    recipe = Recipe(
        name=asked.name or NAME,
        base=asked.base,
        steps=(
            User(),
            Packages((), body.requirements()),
            Files(
                "shipway", (*body.whole(PACKAGE), Entry(HOME[1:], "folder", owner=(USER, USER), mode=0o700)), body=True
            ),
        ),
        runs=runs,
        compression=asked.compression,
        bytecode=asked.bytecode,
    )
    locks = place.cache / "locks"
    with disk.faults(f"make {locks}"):
        locks.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Planned(recipe, locks)
