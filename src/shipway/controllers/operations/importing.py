"""Import: files of this machine become a version. Nothing in them is run, and nothing is unpickled."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from shipway import formats
from shipway.controllers.model import Cause, judge_version
from shipway.controllers.operations import mlflow
from shipway.controllers.operations.parts import Parts
from shipway.controllers.operations.requests import ImportRequest
from shipway.errors import Refused, UserError
from shipway.jobs import Verdict
from shipway.kinds import ModelVersion
from shipway.models import Lineage, signatures
from shipway.oci import disk
from shipway.oci.cancelling import in_thread
from shipway.oci.scratch import scratch
from shipway.snapshot import SnapshotFile, collect_path
from shipway.transfer import Report


@dataclass(frozen=True, slots=True)
class Found:
    """What lies at a path, before it becomes a version."""

    files: tuple[SnapshotFile, ...]
    format: str
    mlflow: mlflow.MlflowModel | None = None


async def add_files(parts: Parts, name: str, asked: ImportRequest, by: str, report: Report) -> Mapping[str, Any]:
    """Make the files at a path a version, which is champion then; the same files are the version that they were.

    Raises UserError for a path without files and a broken ``MLmodel``, Refused for a pickle without ``trust``,
    Conflict while the model is being deleted.
    """
    found = await asyncio.to_thread(look, Path(asked.path))
    if formats.is_pickle(found.format) and not asked.trust:
        raise Refused(
            f"{asked.path} is a pickle ({found.format}): whoever loads it runs whatever code it holds",
            next_step="Say --trust if you trust its maker, or convert it to skops or ONNX.",
        )
    parts.check_accepts(name)
    lineage = Lineage(
        origin="import",
        description=asked.description,
        metrics=asked.metrics,
        requirements=found.mlflow.requirements if found.mlflow else (),
        created_at=parts.clock.now(),
    )
    before = parts.versions.numbers(name)
    version = await in_thread(partial(_packed, parts, name, found, lineage, asked), report)
    if asked.trust:
        await parts.trust(name, version, by)
    parts.check_accepts(name)  # again: packing may have taken long
    message = f"{name}:{version.number} was made of {asked.path} ({version.size} bytes)"
    told = {"version": version.number, "digest": version.digest, "size": version.size, "path": asked.path, "by": by}
    parts.recorder.ledger(f"Model/{name}", "Imported", message, told, once=True)
    # Not before the champion is known: the controller of a model that is there would choose one in nobody's name.
    verdict, cause, now = Verdict("none", "imported"), Cause(by), parts.clock.now()
    await judge_version(parts.store, parts.recorder, parts.versions, name, version.number, verdict, cause, now)
    return {
        "name": name,
        "version": version.number,
        "digest": version.digest,
        "there": version.number in before,
        "champion": True,
        "trusted": asked.trust or version.trusted,
        "format": version.format,
        "size": version.size,
    }


def look(path: Path) -> Found:
    """What lies there: a file, or all files of a folder less what ``.shipwayignore`` names. Raises UserError."""
    if not path.exists():
        raise UserError(f"there is no {path} on the hub's machine", next_step="Give the path of a file or a folder.")
    with disk.faults(f"read {path}"):
        files = collect_path(path)
        format = formats.detect({one.name: _begin(one.path, formats.HEAD) for one in files})
        by_name = {one.name: one.path for one in files}
        if mlflow.FILE not in by_name:
            return Found(files, format)
        requirements = by_name.get(mlflow.REQUIREMENTS)
        lines = _begin(requirements, mlflow.LARGEST) if requirements is not None else b""
        return Found(files, format, mlflow.read(_begin(by_name[mlflow.FILE], mlflow.LARGEST), lines))


def _packed(
    parts: Parts, name: str, found: Found, lineage: Lineage, asked: ImportRequest, report: Report
) -> ModelVersion:
    """The version. What MLflow knows of inputs and outputs is laid beside the files, where the server looks for it."""
    signature = found.mlflow.signature if found.mlflow else None
    with scratch(parts.layout.root) as folder:
        files = list(found.files)
        if signature is not None and all(one.name != signatures.FILE for one in files):
            written = folder / "signature.json"
            written.write_bytes(mlflow.recorded(signature))
            files.append(SnapshotFile(signatures.FILE, written))
        return parts.versions.pack(name, files, lineage, form=asked.form, report=report)


def _begin(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)
