"""What a job does next: fingerprint and cache, attempts, the gate. Pure."""

from __future__ import annotations

from shipway.jobs.changes import Earlier, image_in_words
from shipway.jobs.fingerprint import Platform, components, declared, fingerprint, without_login
from shipway.jobs.gate import Verdict, judge
from shipway.jobs.step import Decision, Seen, step

__all__ = [
    "Decision",
    "Earlier",
    "Platform",
    "Seen",
    "Verdict",
    "components",
    "declared",
    "fingerprint",
    "image_in_words",
    "judge",
    "step",
    "without_login",
]
