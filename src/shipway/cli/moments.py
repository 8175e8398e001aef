"""Points in time, as people type and read them: their own timezone, their own words."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from shipway.errors import UserError

_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment(text: str, now: datetime) -> datetime:
    """``90s``, ``30m``, ``1h``, ``7d`` ago, or an ISO time (local without a timezone). Raises UserError."""
    try:
        if ago := _AGO.fullmatch(text):
            return now - timedelta(**{_UNITS[ago[2]]: float(ago[1])})
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UserError(
            f"{text!r} is no point in time", next_step="write 30m, 1h, 7d (ago), or 2026-01-31T12:00"
        ) from None


def local(at: str, now: datetime) -> str:
    """An ISO time of the hub as ``12:03:10`` here; with the date when that is not today."""
    here, today = datetime.fromisoformat(at).astimezone(), now.astimezone().date()
    return f"{here:%H:%M:%S}" if here.date() == today else f"{here:%Y-%m-%d %H:%M:%S}"
