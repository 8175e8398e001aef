"""All of a secret at once, for what reads it by the names of its keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.errors import NotFound, UserError
from shipway.secrets import FileSecrets


def test_values_are_read_by_key_without_their_last_newline(tmp_path: Path) -> None:
    vault = FileSecrets(tmp_path / "secrets")
    vault.set("store", "AWS_ACCESS_KEY_ID", b"ak\n")
    vault.set("store", "AWS_SECRET_ACCESS_KEY", b"sk")
    assert vault.values("store") == {"AWS_ACCESS_KEY_ID": "ak", "AWS_SECRET_ACCESS_KEY": "sk"}
    with pytest.raises(NotFound, match="the nearest is 'store'"):
        vault.values("stores")


def test_a_value_that_is_no_text_is_told_without_it(tmp_path: Path) -> None:
    vault = FileSecrets(tmp_path / "secrets")
    vault.set("s3", "KEY", b"\xff\xfe")
    with pytest.raises(UserError, match="not text"):
        vault.values("s3")
