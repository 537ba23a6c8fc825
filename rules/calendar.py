"""Hours and days of a time in a zone, in whole-number arithmetic that holds for any time."""

import zoneinfo
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

DAY_MS = 86_400_000
_QUARTER_MS = 900_000
"""Zones change their offset on a quarter of an hour UTC, so one look-up serves each quarter."""

_EARLIEST_MS, _LATEST_MS = -62_135_510_400_000, 253_402_214_400_000
"""The times zones are known for: years 1 and 9999, a day in from the ends of `datetime`."""

_KEPT = 100_000


def day_of_month(local_ms: int) -> int:
    """Return the day of the month, 1 … 31, of a local time in milliseconds.

    The proleptic Gregorian calendar, by Howard Hinnant's `civil_from_days`: years begin in March, eras have 400 years.
    """
    day_of_era = (local_ms // DAY_MS + 719_468) % 146_097
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    return day_of_year - (153 * ((5 * day_of_year + 2) // 153) + 2) // 5 + 1


@cache
def offset_of(zone: str) -> Callable[[int], int]:
    """Return the function that gives a zone's offset from UTC in milliseconds at a time in milliseconds.

    Raises zoneinfo.ZoneInfoNotFoundError for an unknown zone.
    """
    info = zoneinfo.ZoneInfo(zone)
    known: dict[int, int] = {}

    def offset_ms(time_ms: int) -> int:
        quarter = time_ms // _QUARTER_MS
        offset = known.get(quarter)
        if offset is None:
            if len(known) >= _KEPT:
                known.clear()
            seconds = min(max(quarter * _QUARTER_MS, _EARLIEST_MS), _LATEST_MS) // 1_000
            delta = datetime.fromtimestamp(seconds, UTC).astimezone(info).utcoffset()
            offset = known[quarter] = 0 if delta is None else int(delta.total_seconds() * 1_000)
        return offset

    return offset_ms
