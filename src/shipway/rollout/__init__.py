"""How a service moves from one revision to the next. Pure."""

from __future__ import annotations

from shipway.rollout.rolling import Rolling, step_rolling
from shipway.rollout.step import Outcome, RevisionSeen, Step, Wanted, step

__all__ = ["Outcome", "RevisionSeen", "Rolling", "Step", "Wanted", "step", "step_rolling"]
