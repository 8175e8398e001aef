"""Encrypt a layout that holds plain blobs, in its place."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from shipway.errors import NotFound, Refused, UserError
from shipway.oci import Digest, Layout, disk
from shipway.oci import cipher as ciphers
from shipway.oci.blobs import Blobs
from shipway.oci.cipher import HALF, MARK, PLAIN
from shipway.settings import Settings


def encrypt(where: Settings) -> dict[str, Any]:
    """Write each plain blob anew under the key of the settings; what was done. Only with the home's lock.

    Killed at any point it is gone on with by the next call; until then the layout opens for nobody. A blob that is
    damaged stays as it is, for a repair. Raises UserError without a key, NotFound without a layout, Refused when the
    layout is encrypted with another key.
    """
    marker, cipher = where.oci / "oci-layout", ciphers.of_file(where.encryption_key)
    if not cipher.key_id:
        raise UserError(
            "no key is given to encrypt with",
            next_step="Make one, (umask 077; openssl rand -base64 32 > FILE), and set SHIPWAY_ENCRYPTION_KEY_FILE=FILE",
        )
    if not marker.exists():
        raise NotFound(f"{where.oci} holds no layout yet", next_step="The first hub makes it encrypted.")
    _mark(where.oci, f"{HALF}{cipher.key_id}", cipher.key_id)
    blobs = Blobs(where.oci / "blobs" / "sha256", where.oci / "tmp", cipher)
    plain = Blobs(blobs.folder, where.oci / "tmp", PLAIN)
    with disk.faults(f"encrypt {where.oci}"):
        disk.sweep(where.oci / "tmp")
        for partial in (where.oci / "partial").iterdir():
            partial.unlink()
        found = [digest for digest, _ in blobs.all()]
        for digest in found:
            _encrypt(plain, blobs, digest)
    _mark(where.oci, cipher.key_id, cipher.key_id)
    Layout(where.oci, cipher)
    return {"layout": str(where.oci), "blobs": len(found), "key": cipher.key_id}


def _encrypt(plain: Blobs, encrypted: Blobs, digest: Digest) -> None:
    with plain.open(digest) as content:
        if ciphers.sha256(content) != digest:
            return  # encrypted by a call before this one, or damaged
        content.seek(0)
        with encrypted.draft() as draft:
            draft.copy(io.BufferedReader(content))
            draft.publish(digest)


def _mark(root: Path, mark: str, key: str) -> None:
    """Say in ``oci-layout`` how far it is. Raises Refused when it says another key."""
    path = root / "oci-layout"
    marker = json.loads(path.read_bytes())
    said = str(marker.get(MARK, ""))
    if said.removeprefix(HALF) not in ("", key):
        raise Refused(
            f"the OCI layout {root} is encrypted with the key {said.removeprefix(HALF)}, and the key {key} was given",
            next_step="A layout cannot change its key; name the file of its own in SHIPWAY_ENCRYPTION_KEY_FILE.",
        )
    with disk.faults(f"write {path}"):
        disk.write(path, json.dumps({**marker, MARK: mark}).encode(), temporaries=root / "tmp")
