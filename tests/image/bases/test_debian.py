"""A Debian that is made here: what goes into its layer, how it is called, and what is said when it cannot be."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from shipway.errors import DependencyFailed, EnvironmentFault
from shipway.image.bases import root
from shipway.image.platform import Platform
from tests.image.bases.conftest import Asking
from tests.image.made_base import Made, python_files

ARM = Platform("arm64")


def extracted(folder: Path) -> Path:
    """What packages leave, in little: before the merged /usr, with all that is not wanted."""
    files = {
        "bin/tar": "",
        "lib/x86_64-linux-gnu/libz.so.1": "z",
        "sbin/ldconfig": "",
        "usr/bin/python3.11": "python",
        "usr/bin/openssl": "",
        "usr/lib/python3.11/os.py": "",
        "usr/share/base-passwd/passwd.master": "root:*:0:0:root:/root:/bin/bash\n",
        "usr/share/base-passwd/group.master": "root:*:0:\n",
        "usr/share/ca-certificates/mozilla/b.crt": "B",
        "usr/share/ca-certificates/mozilla/a.crt": "A\n",
        "usr/share/doc/zlib1g/changelog.gz": "",
        "usr/share/doc/zlib1g/copyright": "who may",
        "usr/share/locale/de/LC_MESSAGES/dpkg.mo": "",
        "usr/share/man/man1/x.1.gz": "",
        "etc/resolv.conf": "nameserver 10.0.0.1",
        "etc/hostname": "my-laptop",
        "etc/apt/sources.list": "deb http://user:secret@mirror/ x main",
        "etc/debian_version": "12",
        "var/lib/dpkg/status": "",
        "var/lib/dpkg/status.d/zlib1g": "Package: zlib1g",
        "var/lib/dpkg/status.d/dpkg": "Package: dpkg",
        "var/log/apt/history.log": "",
        "var/cache/apt/x.deb": "",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "usr/bin/python3.11").chmod(0o4755)
    for name in ("tmp", "dev/pts"):
        (folder / name).mkdir(parents=True)
    for name, target in {
        "lib/x86_64-linux-gnu/libz.so": "libz.so.1",
        "lib/x86_64-linux-gnu/far.so": "../../usr/lib/far.so",
        "lib/x86_64-linux-gnu/near.so": "../other/near.so",
        "etc/os-release": "../usr/lib/os-release",
    }.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "dev/pipe")
    return folder


def written(folder: Path) -> bytes:
    out = io.BytesIO()
    root.write(folder, out, "3.11")
    return out.getvalue()


def test_the_layer_has_what_python_needs_and_nothing_of_this_machine(tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(written(extracted(tmp_path)))) as layer:
        files = {one.name: one for one in layer}
        content = {
            one.name: found.read() for one in files.values() if one.isfile() and (found := layer.extractfile(one))
        }
    assert [name for name, one in files.items() if not one.isdir()] == [
        "bin",
        "etc/debian_version",
        "etc/group",
        "etc/nsswitch.conf",
        "etc/os-release",
        "etc/passwd",
        "etc/ssl/certs/ca-certificates.crt",
        "lib",
        "sbin",
        "usr/bin/python3",
        "usr/bin/python3.11",
        "usr/lib/python3.11/os.py",
        "usr/lib/ssl/cert.pem",
        "usr/lib/x86_64-linux-gnu/far.so",
        "usr/lib/x86_64-linux-gnu/libz.so",
        "usr/lib/x86_64-linux-gnu/libz.so.1",
        "usr/lib/x86_64-linux-gnu/near.so",
        "usr/share/doc/zlib1g/copyright",
        "var/lib/dpkg/status.d/zlib1g",
        "var/lock",
        "var/run",
    ]
    assert content["etc/ssl/certs/ca-certificates.crt"] == b"A\nB\n"
    assert {name: files[f"usr/lib/x86_64-linux-gnu/{name}.so"].linkname for name in ("far", "libz", "near")} == {
        "far": "/usr/lib/far.so",
        "libz": "libz.so.1",
        "near": "/usr/lib/other/near.so",
    }
    assert {(one.uid, one.gid, one.mtime, one.uname) for one in files.values()} == {(0, 0, 0, "")}
    assert (files["tmp"].mode, files["etc"].mode, files["usr/bin/python3.11"].mode) == (0o1777, 0o755, 0o755)
    assert list(files) == sorted(files), "what links to a folder is there before what is in it"


def test_the_layer_is_the_same_elsewhere_with_another_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        one = written(extracted(tmp_path / "one"))
    finally:
        os.umask(before)
    assert written(extracted(tmp_path / "another")) == one


FAKE = """\
#!/bin/sh
echo "$@" >> "$CALLS"
echo "I: running apt-get update..." >&2
for root in "$@"; do case "$root" in */root) break;; esac; done
{body}
"""


def fake(asking: Asking, tmp_path: Path, body: str) -> Path:
    """A mmdebstrap that does this; the calls of it stand in the file that is given."""
    program = tmp_path / "bin" / "mmdebstrap"
    program.parent.mkdir(exist_ok=True)
    program.write_text(FAKE.replace("{body}", body))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    asking.inherited = {"PATH": f"{program.parent}:/usr/bin:/bin", "CALLS": str(tmp_path / "calls")}
    return tmp_path / "calls"


def made(folder: Path) -> Path:
    """What a mmdebstrap that works would leave, for a machine that is never this one."""
    for name, value in {
        **python_files(ARM, folder="usr"),
        "usr/share/base-passwd/passwd.master": "root:*:0:0::/:\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, Made) and value.link:
            path.symlink_to(value.link)
        else:
            content = value.content if isinstance(value, Made) else value
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "usr/share/base-passwd/group.master").write_text("root:*:0:\n")
    return folder


@pytest.mark.skipif(os.uname().machine == "aarch64", reason="its made-up interpreter would be run")
def test_it_is_made_once(asking: Asking, tmp_path: Path) -> None:
    calls = fake(asking, tmp_path, f'cp -a {made(tmp_path / "made")}/. "$root"')
    (tmp_path / "made").joinpath("root").mkdir()
    base = asking.get("debian:bookworm", "arm64")
    assert asking.get("debian:bookworm", "arm64") == base
    assert len(calls.read_text().splitlines()) == 1 and "--architectures=arm64" in calls.read_text()
    assert "base/debian-bookworm-arm64" in asking.layout.tags()
    assert (base.name, base.python.version, base.python.executable) == (
        "debian:bookworm",
        "3.11.2",
        "/usr/bin/python3.11",
    )
    assert base.passwd == "root:*:0:0::/:\n"
    assert "running apt-get update..." in {one.note for one in asking.told}
    assert not list((asking.home / "cache" / "bases").glob("scratch-*"))


def test_a_failure_tells_its_last_lines_and_no_password(asking: Asking, tmp_path: Path) -> None:
    fake(asking, tmp_path, "echo 'E: http://me:secret@mirror/debian has no Release file' >&2; exit 25")
    with pytest.raises(DependencyFailed, match=r"exit code 25\)\n.*\nE: http://\*\*\*@mirror/debian has no Release"):
        asking.get("debian:bookworm")
    assert not asking.layout.tags()


def test_without_mmdebstrap_it_says_what_to_install(asking: Asking, tmp_path: Path) -> None:
    asking.inherited = {"PATH": str(tmp_path)}
    with pytest.raises(EnvironmentFault, match="mmdebstrap, which is not installed") as caught:
        asking.get("debian:bookworm")
    assert "apt-get install mmdebstrap" in caught.value.next_step
