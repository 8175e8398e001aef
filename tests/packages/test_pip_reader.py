from __future__ import annotations

import os
from pathlib import Path

import pytest

from shipway.errors import DependencyFailed
from shipway.packages.pip_reader import PipReader


@pytest.mark.slow
def test_it_is_read_from_pip_once_until_a_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nindex-url = https://one/simple\nfind-links =\n  /a\n  /b\n")
    reader = PipReader({"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": str(file)})
    assert reader.known() is None
    first = reader.read()
    assert (first.index_url, first.find_links) == ("https://one/simple", ("/a", "/b"))
    assert reader.known() is first
    assert reader.read() is first
    file.write_text("index-url = https://me:pa55@two/simple\n")
    os.utime(file, ns=(1, 1))
    assert reader.known() is None
    with pytest.raises(DependencyFailed, match="no section headers") as caught:
        reader.read()
    assert "pa55" not in str(caught.value)
