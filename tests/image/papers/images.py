"""Images made by hand: a base with a few files, and layers on it."""

from __future__ import annotations

import gzip
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shipway.image.assemble import CONFIG_TYPE, Runs, config, manifest
from shipway.image.bases import Base
from shipway.image.layer import Layer, PackageFacts
from shipway.image.papers import record, referrers, sbom, system
from shipway.image.platform import Platform, Python
from shipway.image.view import View
from shipway.oci import Descriptor, Digest, Index, Layout, Manifest
from shipway.oci.manifest import canonical
from shipway.oci.tar import END, header, padding

LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
AMD64 = Platform("amd64")
PYTHON = Python("3.11.2", "/usr/bin/python3", "glibc", "2.36")
PLAIN = Runs(user="10001:10001")
STATUS = b"""Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc (2.36-9)
Version: 2.36-9+deb12u7
Description: C library
 Status: not a field

Package: gone
Status: deinstall ok config-files
Version: 1
"""
BASE_FILES = {
    "etc/os-release": b'ID=debian\nVERSION_ID="12"\n',
    "var/lib/dpkg/status": STATUS,
    "usr/bin/python3": b"elf",
}
SITE = "opt/venv/lib/python3.11/site-packages"
FLASK = PackageFacts("Flask", "3.1.3", "flask-3.1.3-py3-none-any.whl", "a" * 64, "BSD-3-Clause", 300, ("Werkzeug>=3",))
WERKZEUG = PackageFacts("Werkzeug", "3.1.0", "werkzeug-3.1.0-py3-none-any.whl", "b" * 64, "BSD License", 700)


def tar(files: Mapping[str, bytes]) -> bytes:
    parts = [header(name, len(data)) + data + padding(len(data)) for name, data in files.items()]
    return b"".join([*parts, END])


@dataclass
class Workshop:
    """Makes images in a layout."""

    layout: Layout

    def layer(self, files: Mapping[str, bytes], created_by: str, *packages: PackageFacts) -> Layer:
        plain = tar(files)
        stream = io.BytesIO()
        with gzip.GzipFile(fileobj=stream, mode="wb", mtime=0) as packed:
            packed.write(plain)
        blob = self.layout.put_blob(stream.getvalue(), LAYER_TYPE)
        return Layer(blob, Digest.of(plain), created_by, packages)

    def base(self, files: Mapping[str, bytes] = BASE_FILES, name: str = "docker.io/library/python:3.11-slim") -> Base:
        layer = self.layer(files, "debian")
        said = {
            **AMD64.document(),
            "config": {"Env": ["PATH=/usr/bin"], "Cmd": ["python3"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
            "history": [{"created_by": "debian"}, {"created_by": "ENV PATH", "empty_layer": True}],
        }
        blob = self.layout.put_blob(canonical(said), CONFIG_TYPE)
        made = self.layout.put_manifest(Manifest(blob, (layer.descriptor,)))
        return Base(name, made, AMD64, said, (layer.descriptor,), PYTHON, frozenset({"etc", "usr", "var"}))

    def image(self, base: Base, layers: Sequence[Layer], tag: str | None = None, runs: Runs = PLAIN) -> Descriptor:
        blob = self.layout.put_blob(config(base, layers, runs), CONFIG_TYPE)
        return self.layout.put_manifest(manifest(blob, base, layers), tag)

    def packages(self, *facts: PackageFacts) -> Layer:
        """A layer with the metadata of these wheels."""
        files = {f"{SITE}/{one.name}-{one.version}.dist-info/METADATA": f"Name: {one.name}\n".encode() for one in facts}
        return self.layer(files, f"packages: {', '.join(one.name for one in facts)}", *facts)

    def code(self, text: bytes) -> Layer:
        return self.layer({"app/serve.py": text}, "code")

    def recorded(self, tag: str | None, *facts: PackageFacts, code: bytes = b"print(1)") -> Descriptor:
        """An image as ``shipway build`` leaves it: packages, code, a bill of materials and a build record."""
        base, layers = self.base(), (self.packages(*facts), self.code(code))
        runs = Runs(entrypoint=("/opt/venv/bin/python", "-m", "x"), env={"PORT": "8080"}, user="10001:10001")
        image = self.image(base, layers, tag, runs)
        with self.layout.lease("record") as lease:
            bill = sbom.cyclonedx("digits", image, base, layers, system=system.read(View(self.layout, base.layers)))
            inputs = (record.Input("base", base.manifest.digest, base.name),)
            referrers.attach(
                self.layout, image, bill, record.provenance("digits", image, inputs, {"platform": "linux/amd64"}), lease
            )
        return image

    def index(self, tag: str | None = None, **manifests: Descriptor) -> Descriptor:
        """An index over manifests by architecture."""
        entries = (
            Descriptor(one.media_type, one.digest, one.size, extra={"platform": {"architecture": name, "os": "linux"}})
            for name, one in manifests.items()
        )
        return self.layout.put_index(Index(tuple(entries)), tag)
