"""A folder as an artifact that is never written: the same blobs as a version's, readable from anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.courier.output import Output
from shipway.errors import Corrupt, UserError
from shipway.models import Lineage, Versions, artifact
from shipway.oci import Descriptor, Layout, Manifest
from shipway.testing.clock import FakeClock


def found(folder: Path) -> Output:
    made = Output.of(folder)
    assert made is not None
    return made


def layers(made: Output) -> tuple[Descriptor, ...]:
    return Manifest.from_bytes(made.read_blob(made.root)).layers


def test_its_layers_are_those_of_a_version(output: Path, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "oci")
    version = Versions(layout, FakeClock()).pack("digits", output, Lineage(origin="job"))
    entry = layout.index().tags[f"digits:{version.number}"]
    assert layers(found(output)) == artifact.opened(layout, entry).layers


def test_many_files_share_layers_as_they_do_in_a_version(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    for one in range(300):
        (folder / f"{one % 7}").mkdir(parents=True, exist_ok=True)
        (folder / f"{one % 7}" / f"{one}.bin").write_bytes(b"%d" % one * one)
    layout = Layout(tmp_path / "oci")
    Versions(layout, FakeClock()).pack("digits", folder, Lineage(origin="job"))
    made = found(folder)
    assert len(layers(made)) < 5
    assert layers(made) == artifact.opened(layout, layout.index().tags["digits:1"]).layers


def test_every_blob_has_its_digest_and_can_be_read_from_anywhere(output: Path) -> None:
    made = found(output)
    for layer in layers(made):
        whole = made.read_blob(layer)
        assert len(whole) == layer.size
        for start in (0, 1, 511, 512, 513, 700, layer.size // 2, layer.size - 1024, layer.size - 1, layer.size):
            with made.open_unverified(layer) as stream:
                stream.seek(start)
                assert stream.read(1_000_000) == whole[start : start + 1_000_000], start


def test_a_folder_without_files_is_none(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert Output.of(tmp_path) is None


@pytest.mark.parametrize("content", [b"another", b""])
def test_a_file_that_changes_meanwhile_is_found_out(output: Path, content: bytes) -> None:
    made = found(output)
    (output / "model.safetensors").write_bytes(content)
    [layer] = [one for one in layers(made) if one.size > 1_000_000]
    with pytest.raises(Corrupt, match="while it was sent"):
        made.read_blob(layer)


def test_a_link_that_leaves_the_folder_is_refused(output: Path) -> None:
    (output / "password").symlink_to("/etc/passwd")
    with pytest.raises(UserError, match="password"):
        Output.of(output)
