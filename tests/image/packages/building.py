"""A process that makes the layers of :func:`odd` and some more, and prints their digests: to be run in odd places.

``python -m tests.image.packages.building ROOT UV_CACHE COMPRESSION``
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from shipway.image.layer import Compression
from shipway.image.layers import compress
from shipway.packages.pip_configuration import PipConfiguration
from tests.image.made_layers import Counting, Workshop, odd, wheel
from tests.image.made_wheels import DEBIAN, Place


def build(root: Path, uv_cache: Path, compression: str) -> list[str]:
    """The digests, of layer and tar."""
    compress.BLOCK = 64 << 10  # some blocks also of small wheels
    wheels = root / "wheels"
    for folder in (wheels, root / "scratch"):
        folder.mkdir(exist_ok=True)
    environ = {"PATH": os.environ["PATH"], "HOME": str(root), "UV_CACHE_DIR": str(uv_cache)}
    place = Place(wheels, PipConfiguration(no_index=True, find_links=(str(wheels),)), environ)
    files = {f"many/file{number}.txt": str(number) * 5000 for number in range(40)}
    packages = (wheel(place, "many", files=files), odd(place), wheel(place, "shared", files={"odd/shared.txt": "x"}))
    workshop = Workshop(root / "home", Counting(place))
    python = replace(DEBIAN.python, version=f"{sys.version_info.major}.{sys.version_info.minor}.0")
    workshop.target = replace(DEBIAN, python=python)
    how: Compression = "gzip" if compression == "gzip" else "zstd"
    made = (*workshop.layers(*packages, compression=how), *workshop.layers(*packages, compression=how, bytecode=True))
    return [f"{one.descriptor.digest} {one.diff_id}" for one in made]


if __name__ == "__main__":
    print("\n".join(build(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])))
