"""From Routes and what runs to what a gateway serves. Pure."""

from __future__ import annotations

from shipway.routing.plan import in_words, plan, table_version

__all__ = ["in_words", "plan", "table_version"]
