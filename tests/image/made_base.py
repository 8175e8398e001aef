"""A tiny made-up base image: a Python that is only ELF-like strings, and the files that builds look at."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass

from shipway.image.bases import Base
from shipway.image.platform import Platform, Python
from shipway.oci import Descriptor, Digest, Index, Layout, Manifest

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
GZIP_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
TAR_TYPE = "application/vnd.oci.image.layer.v1.tar"
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
GROUP = "root:x:0:\nnogroup:x:65534:\n"

_TRIPLES = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
_ELF_MACHINES = {"amd64": 62, "arm64": 183}
_LOADERS = {"amd64": "/lib64/ld-linux-x86-64.so.2", "arm64": "/lib/ld-linux-aarch64.so.1"}


@dataclass(frozen=True, slots=True)
class Made:
    """One member of a made-up layer: a file's bytes, or where a link leads."""

    content: bytes = b""
    link: str = ""
    hard: str = ""
    folder: bool = False
    executable: bool = False


Files = Mapping[str, bytes | str | Made]


def tar(files: Files) -> bytes:
    """A tar of these members, in their order; text is a file's content too."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, value in files.items():
            one = Made(value.encode() if isinstance(value, str) else value) if not isinstance(value, Made) else value
            member = tarfile.TarInfo(name)
            member.mode = 0o755 if one.executable or one.folder else 0o644
            if one.folder:
                member.type = tarfile.DIRTYPE
            elif one.link or one.hard:
                member.type = tarfile.SYMTYPE if one.link else tarfile.LNKTYPE
                member.linkname = one.link or one.hard
            else:
                member.size = len(one.content)
            archive.addfile(member, io.BytesIO(one.content))
    return out.getvalue()


def layer(layout: Layout, files: Files) -> tuple[Descriptor, Digest]:
    """A gzip layer of these members in the layout, and the digest of its tar."""
    plain = tar(files)
    return layout.put_blob(gzip.compress(plain, mtime=0), GZIP_TYPE), Digest.of(plain)


def elf(platform: Platform, *texts: str, loader: str = "") -> bytes:
    """What begins like a program for that platform and holds these texts."""
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, _ELF_MACHINES[platform.architecture])
    return head.ljust(64, b"\0") + b"".join(one.encode() + b"\0" for one in (loader, "main", *texts, "end"))


def python_files(
    platform: Platform,
    python: str = "3.11.2",
    libc: tuple[str, str] = ("glibc", "2.36"),
    folder: str = "usr/local",
) -> dict[str, bytes | str | Made]:
    """An interpreter, its library and the C library: what a base is read by."""
    minor = ".".join(python.split(".")[:2])
    kind, version = libc
    triple = _TRIPLES[platform.architecture]
    musl = f"ld-musl-{platform.machine}.so.1"
    loader = _LOADERS[platform.architecture] if kind == "glibc" else f"/lib/{musl}"
    said = f"GNU C Library (Debian GLIBC {version}-9) stable release version {version}."
    c_library: dict[str, bytes | str | Made] = (
        {f"lib/{triple}/libc.so.6": elf(platform, said)}
        if kind == "glibc"
        else {f"lib/{musl}": elf(platform, "musl libc", version)}
    )
    return {
        f"{folder}/bin/python{minor}": Made(elf(platform, python, loader=loader), executable=True),
        f"{folder}/bin/python3": Made(link=f"python{minor}"),
        f"{folder}/lib/python{minor}/os.py": "# the standard library\n",
        **c_library,
    }


def base_files(
    platform: Platform, python: str = "3.11.2", libc: tuple[str, str] = ("glibc", "2.36")
) -> dict[str, bytes | str | Made]:
    """All files of a made-up base."""
    return {
        "etc": Made(folder=True),
        "etc/passwd": PASSWD,
        "etc/group": GROUP,
        "etc/os-release": "ID=madeup\n",
        "tmp": Made(folder=True),
        **python_files(platform, python, libc),
    }


def image(
    layout: Layout,
    platform: Platform,
    *layers: Files,
    env: tuple[str, ...] = ("PATH=/usr/local/bin:/usr/bin:/bin",),
    tag: str | None = None,
) -> Descriptor:
    """An image of these layers; its manifest."""
    written = [layer(layout, one) for one in layers]
    config = {
        **platform.document(),
        "config": {"Env": list(env), "Cmd": ["python3"]},
        "rootfs": {"type": "layers", "diff_ids": [str(diff_id) for _, diff_id in written]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "made up"} for _ in written],
    }
    blob = layout.put_blob(json.dumps(config).encode(), CONFIG_TYPE)
    return layout.put_manifest(Manifest(blob, tuple(one for one, _ in written)), tag)


def index(layout: Layout, images: Mapping[Platform, Descriptor], tag: str | None = None) -> Descriptor:
    """An index of images, a platform each."""
    entries = tuple(
        Descriptor(one.media_type, one.digest, one.size, extra={"platform": platform.document()})
        for platform, one in images.items()
    )
    return layout.put_index(Index(entries), tag)


def synthetic_base(
    layout: Layout,
    platform: Platform,
    python: str = "3.11.2",
    libc: tuple[str, str] = ("glibc", "2.36"),
    *,
    name: str = "registry.test/madeup:1",
    files: Files | None = None,
) -> Base:
    """A base in the layout, as :meth:`Bases.get` would give it; ``files`` are further members of its one layer."""
    every = {**base_files(platform, python, libc), **(files or {})}
    manifest = image(layout, platform, every)
    read = layout.read_manifest(manifest)
    minor = ".".join(python.split(".")[:2])
    kind, version = libc
    return Base(
        name=name,
        manifest=manifest,
        platform=platform,
        config=json.loads(layout.read_blob(read.config)),
        layers=read.layers,
        python=Python(python, f"/usr/local/bin/python{minor}", "musl" if kind == "musl" else "glibc", version),
        top=frozenset(one.partition("/")[0] for one in every),
        passwd=PASSWD,
        group=GROUP,
    )
