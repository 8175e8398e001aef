"""One SQLite file as the store and the journal both keep it: opened, checked for damage, salvaged, copied."""

from __future__ import annotations

from shipway.database.connection import Database
from shipway.database.rows import Migration, Table

__all__ = ["Database", "Migration", "Table"]
