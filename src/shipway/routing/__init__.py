"""From Routes and what runs to what a gateway serves. Pure."""

from __future__ import annotations

from shipway.routing.plan import plan, table_version

__all__ = ["plan", "table_version"]
