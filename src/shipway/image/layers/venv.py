"""The virtual environment of an image, made of entries: no interpreter runs for it. Pure.

It looks as ``python -m venv`` leaves it (PEP 405), without pip. What Shipway itself puts into an image lies apart from
the user's packages, in :data:`SHIPWAY`, and is found by a ``.pth`` file: so the runtime's layer is the same blob for
every version of Python.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from shipway.image.layer import Entry
from shipway.image.platform import Python

ROOT = "opt/venv"
BIN = f"{ROOT}/bin"
PYTHON = f"/{BIN}/python"
SHIPWAY = "opt/shipway"


def site_packages(python: Python) -> str:
    """Where packages lie: absolute in the image, without the leading slash."""
    return f"{ROOT}/lib/python{python.minor}/site-packages"


def skeleton(python: Python, system_site: bool) -> tuple[Entry, ...]:
    """The environment without a package. ``system_site``: what the base has installed can be imported too."""
    home = PurePosixPath(python.executable).parent
    settings = {
        "home": home,
        "include-system-site-packages": str(system_site).lower(),
        "version": python.version,
        "executable": python.executable,
    }
    text = "".join(f"{name} = {value}\n" for name, value in settings.items())
    folders = ("opt", ROOT, BIN, f"{ROOT}/lib", f"{ROOT}/lib/python{python.minor}", site_packages(python))
    return (
        *(Entry(name, "folder") for name in folders),
        Entry(f"{ROOT}/pyvenv.cfg", content=text.encode()),
        Entry(f"{ROOT}/lib64", "link", target="lib"),  # Fedora's Python looks for compiled packages there
        Entry(f"{BIN}/python", "link", target=python.executable),
        Entry(f"{BIN}/python3", "link", target="python"),
        Entry(f"{BIN}/python{python.minor}", "link", target="python"),
        Entry(f"{site_packages(python)}/shipway.pth", content=f"/{SHIPWAY}\n".encode()),
    )


def script(name: str, module: str, attribute: str) -> Entry:
    """The program of an entry point ``name = module:attribute``. Source: PyPA, "Entry points specification"."""
    first = attribute.partition(".")[0]
    text = (
        f"#!{PYTHON}\nimport sys\n\nfrom {module} import {first}\n\n"
        f'if __name__ == "__main__":\n    sys.exit({attribute}())\n'
    )
    return Entry(f"{BIN}/{name}", content=text.encode(), executable=True)
