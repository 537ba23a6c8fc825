"""When people pay: the share of the busiest hour, by hour of the local week, way of paying and kind of person.

Tables have a value for each quarter of an hour of the week from Monday 00:00, local time, each in 0 … 1.
"""

import numpy as np

from mitra.sample.columns import Floats, Ints

DAY_MS = 86_400_000
QUARTER_MS = 900_000
QUARTERS_A_WEEK = 7 * 96
_MONDAY_MS = 4 * DAY_MS  # 1970-01-05 was a Monday

# By hour of the day, 0 … 23; what stands between the hours is interpolated.
_SHOPS = (2, 1, 1, 1, 1, 2, 8, 20, 34, 42, 52, 66, 82, 74, 60, 58, 66, 84, 96, 80, 56, 34, 18, 7)
_ONLINE = (14, 7, 4, 3, 3, 5, 12, 24, 36, 46, 52, 56, 60, 58, 54, 54, 58, 66, 76, 88, 98, 94, 68, 34)
_OWL_SHOPS = (58, 48, 34, 20, 10, 5, 4, 6, 10, 14, 20, 28, 36, 40, 42, 44, 50, 60, 72, 78, 80, 78, 74, 68)
_OWL_ONLINE = (92, 86, 74, 56, 38, 20, 12, 10, 12, 16, 20, 24, 28, 30, 32, 36, 40, 46, 56, 66, 76, 86, 94, 98)
# By day of the week, Monday first.
_WEEK_SHOPS = (0.78, 0.78, 0.82, 0.88, 1.0, 0.98, 0.60)
_WEEK_ONLINE = (0.92, 0.86, 0.84, 0.84, 0.86, 0.88, 1.0)


def _table(hours: tuple[int, ...], week: tuple[float, ...]) -> Floats:
    day = np.interp(np.arange(96) / 4, np.arange(25), np.array([*hours, hours[0]]) / 100)
    return np.concatenate([day * factor for factor in week])


# Row = 2 × night owl + online.
RHYTHM: Floats = np.stack(
    [
        _table(_SHOPS, _WEEK_SHOPS),
        _table(_ONLINE, _WEEK_ONLINE),
        _table(_OWL_SHOPS, _WEEK_SHOPS),
        _table(_OWL_ONLINE, _WEEK_ONLINE),
    ]
)


def quarter_of_week(local_ms: Ints) -> Ints:
    """Return the quarter of an hour of the week, 0 … 671 from Monday 00:00, of local times in epoch ms."""
    return (local_ms - _MONDAY_MS) // QUARTER_MS % QUARTERS_A_WEEK
