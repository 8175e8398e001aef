"""Homes as folders, without a hub: what a bug report finds when everything is dead."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shipway.journal.sqlite import SqliteJournal
from shipway.kinds import ModelService, ModelServiceSpec, ObjectMeta
from shipway.ports import Entry
from shipway.secrets import FileSecrets
from shipway.settings import Settings
from shipway.store.sqlite import SqliteStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUIET = {"PATH": os.environ.get("PATH", ""), "PIP_CONFIG_FILE": os.devnull}  # of pip's files none but the machine's


def home_of(tmp_path: Path) -> Settings:
    """A home that has a store and a journal, and no hub."""
    where = Settings(home=tmp_path / "home", temporary=tmp_path)
    where.home.mkdir(mode=0o700)
    store = SqliteStore(where.store, lambda: NOW)
    env = {"PLAIN": "plain-value-of-env", "MY_API_KEY": "key-in-plain-yaml"}
    spec = ModelServiceSpec.model_validate({"command": ["./serve", "--token", "token-of-command"], "env": env})
    store.put(ModelService(metadata=ObjectMeta(name="digits"), spec=spec))
    store.close()
    write_entry(where, NOW, "all traffic goes to digits-00001")
    return where


def write_entry(where: Settings, at: datetime, message: str) -> None:
    """One more line of the journal."""
    journal = SqliteJournal(where.journal)
    journal.append(Entry("ledger", "ModelService/digits", "Live", message, at))
    journal.close()


def plant(where: Settings, printed: str) -> None:
    """Write ``printed`` wherever a program of this home may have written it."""
    vault = FileSecrets(where.secrets)
    vault.set("db", "password", b"stored-secret-value\n")
    vault.set("tls", "KEY", b"first-line-of-a-key\nsecond-line-of-it\n")
    where.token.write_text("api-token-of-the-home")
    write_entry(where, NOW + timedelta(seconds=1), printed)
    where.hub_log.write_text(f"2026-01-01 INFO {printed}\n")
    where.gateway.mkdir()
    (where.gateway / "envoy.log").write_text(f"{printed}\n")
    logs = where.workloads / "digits-00001" / "logs"
    logs.mkdir(parents=True)
    for name in ("replica-0.log.1", "replica-0.log"):
        (logs / name).write_text("".join(f"2026-01-01T00:00:00Z stdout {line}\n" for line in printed.splitlines()))
    (logs.parent / "status.json").write_text(json.dumps({"message": printed}))
    (logs.parent / "plan.json").write_text('{"env": {"PLAIN": "plain-value-of-env"}}')


def tree(folder: Path) -> Mapping[str, tuple[int, int]]:
    """Every file below, with size and time of its last change."""
    seen = {one: one.lstat() for one in folder.rglob("*")}
    return {str(one): (stat.st_size, stat.st_mtime_ns) for one, stat in seen.items()}
