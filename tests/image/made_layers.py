"""A place with wheels in it, and what makes layers of them."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import ZipFile, ZipInfo

from shipway.image.bases import Base
from shipway.image.layer import Compression, Layer
from shipway.image.layers.cache import LayerCache
from shipway.image.lock import File, LockedBase, Package, Resolution
from shipway.image.packages.layers import Packages
from shipway.image.platform import Target
from shipway.oci import Descriptor, Digest, Layout
from shipway.oci.manifest import MANIFEST_TYPE
from shipway.oci.unpack import decompressed
from shipway.transfer import silent
from tests.image.made_wheels import DEBIAN, Place

NOWHERE = Digest("sha256:" + "0" * 64)

ODD_FILES = {
    "odd/__init__.py": "def main():\n    print('odd')\n",
    "odd/naïve, name.txt": "text",
    f"odd/{'long' * 30}.txt": "",
    "odd-1.0.data/scripts/oddly": "#!python\nprint(1)\n",
    "odd-1.0.data/scripts/shelly": "#!/bin/sh\necho\n",
    "odd-1.0.data/data/share/odd/data.txt": "data",
    "odd-1.0.data/data/lib/libodd.so": "library",
    "odd-1.0.data/headers/odd.h": "header",
    "odd-1.0.data/purelib/oddly_pure.py": "pure = True\n",
    "odd-1.0.dist-info/entry_points.txt": "[console_scripts]\nodd = odd:main [extra]\n[gui_scripts]\noddw = odd:a.b\n",
}


def wheel(
    place: Place,
    name: str,
    version: str = "1.0",
    *,
    unrecorded: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
) -> Package:
    """A package with one module and ``files``; RECORD has no rows for those ``unrecorded``. Equal bytes each time."""
    info = f"{name}-{version}.dist-info"
    contents = {
        f"{name}.py": f"version = {version!r}\n",
        **(files or {}),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = io.StringIO()
    rows = [(one, _hash(text), len(text.encode())) for one, text in contents.items() if one not in unrecorded]
    csv.writer(record, lineterminator="\n").writerows([*rows, (f"{info}/RECORD", "", "")])
    path = place.folder / f"{name}-{version}-py3-none-any.whl"
    if not path.exists():
        part = path.with_suffix(f".{os.getpid()}")
        with ZipFile(part, "w") as file:
            for one, text in {**contents, f"{info}/RECORD": record.getvalue()}.items():
                file.writestr(ZipInfo(one), text)
        part.replace(path)
    data = path.read_bytes()
    return Package(name, version, File(path.name, hashlib.sha256(data).hexdigest(), len(data)))


def _hash(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return "sha256=" + digest.decode().rstrip("=")


def odd(place: Place) -> Package:
    """One with all that a wheel may have."""
    return wheel(place, "odd", files=ODD_FILES)


@dataclass
class Counting:
    """An installer that says which packages it was asked for."""

    place: Place
    asked: list[list[str]] = field(default_factory=list)

    def install(self, packages: Sequence[Package], target: Target, into: Path) -> None:
        self.asked.append([one.name for one in packages])
        self.place.installer.install(packages, target, into)


@dataclass
class Workshop:
    """A home's layout and cache."""

    root: Path
    installer: Counting
    target: Target = DEBIAN

    def __post_init__(self) -> None:
        self.layout = Layout(self.root / "oci")
        self.cache = LayerCache(self.root / "cache", self.layout)
        self.room = self.root / "room"
        self.room.mkdir(parents=True, exist_ok=True)

    def layers(
        self,
        *packages: Package,
        compression: Compression = "zstd",
        runtime: frozenset[str] = frozenset(),
        bytecode: bool = False,
    ) -> tuple[Layer, ...]:
        """Those of the packages; the environment's own is left out."""
        resolution = Resolution(self.target, (), LockedBase("debian", NOWHERE), packages)
        makes = Packages(self.installer, self.layout, self.cache, self.room)
        with self.layout.lease("test") as lease:
            made = makes.layers(resolution, compression, lease, silent, runtime_names=runtime, bytecode=bytecode)
        return made[1:]


def tar_of(layout: Layout, layer: Layer) -> bytes:
    """The layer's tar, decompressed."""
    with layout.open_blob(layer.descriptor) as blob:
        reader = decompressed(blob, layer.descriptor.media_type)
        return b"".join(iter(lambda: reader.read(1 << 20), b""))


def contents(layout: Layout, layer: Layer) -> Mapping[str, bytes | str | None]:
    """By name: bytes of files, targets of links, None for folders; as Python's tarfile reads them."""
    return dict(_contents(tar_of(layout, layer)))


def _contents(data: bytes) -> Iterator[tuple[str, bytes | str | None]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for one in archive:
            file = archive.extractfile(one) if one.isfile() else None
            yield one.name, file.read() if file else one.linkname if one.issym() else None


def base(target: Target = DEBIAN, **said: object) -> Base:
    """A base without layers."""
    whole: dict[str, object] = {
        "name": "debian:bookworm",
        "manifest": Descriptor(MANIFEST_TYPE, NOWHERE, 2),
        "platform": target.platform,
        "config": {},
        "layers": (),
        "python": target.python,
        "top": frozenset({"bin", "etc", "usr"}),
        **said,
    }
    return Base(**whole)  # type: ignore[arg-type]


def image(layout: Layout, layers: Sequence[Layer], tag: str) -> None:
    """An image of these layers, for other tools to read."""
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [one.diff_id for one in layers]},
    }
    blob = layout.put_blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json")
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": blob.to_json(),
        "layers": [one.descriptor.to_json() for one in layers],
    }
    layout.put_manifest_bytes(json.dumps(manifest).encode(), MANIFEST_TYPE, tag)
