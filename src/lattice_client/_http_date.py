"""Dates as HTTP writes them."""

from __future__ import annotations

__all__ = ["http_date"]


_LONGEST_DATE = 40  # characters, with some to spare


def http_date(text: str) -> float | None:
    """Seconds since the epoch of a date in a header, in any of the three forms of RFC 9110 section
    5.6.7, or None for anything else."""
    if len(text) > _LONGEST_DATE or text.count(":") != 2:  # noqa: PLR2004 hours:minutes:seconds
        return None
    from calendar import timegm  # slow to load, and rarely needed
    from email.utils import parsedate_tz

    try:
        parts = parsedate_tz(text)
        # The form of asctime() has no zone and means GMT, whatever the zone here.
        return None if parts is None else float(timegm(parts[:9]) - (parts[9] or 0))
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
