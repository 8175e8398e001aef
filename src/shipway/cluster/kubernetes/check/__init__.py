"""What a cluster can do, and what is missing."""

from __future__ import annotations
