"""Points in time, as people read them."""

from __future__ import annotations

from datetime import datetime


def local_time(seconds: float) -> datetime | None:
    """Seconds since 1970, UTC, as the time on the clock here; None for what no calendar has."""
    try:
        return datetime.fromtimestamp(seconds).astimezone()
    except (OverflowError, ValueError, OSError):
        return None


def moment_text(seconds: float, form: str) -> str:
    """The same in words, `form` as for strftime; "–" for what no calendar has."""
    moment = local_time(seconds)
    return moment.strftime(form) if moment is not None else "–"
