"""How a service moves from one revision to the next. Pure."""

from __future__ import annotations

from shipway.rollout.step import Outcome, RevisionSeen, Step, Wanted, step

__all__ = ["Outcome", "RevisionSeen", "Step", "Wanted", "step"]
