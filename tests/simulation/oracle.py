"""Histories the naive way: lists of facts, searched from end to end for every answer. Imports nothing of Mitra.

It is told in which order touches and labels reached each history, and gives the features that must come of it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, NamedTuple

from tests.simulation.facts import Event

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
ABSENT_IS_LEGIT_AFTER_MS = DAY_MS
NEW, DUPLICATE, CONFLICT = range(3)

Value = float | str | bool | None
Values = dict[str, Value]


class Row(NamedTuple):
    """An event of a history; rows sort by (event time, arrival)."""

    time_ms: int
    arrival: int
    event: Event


class Version(NamedTuple):
    """One version of an event's label."""

    version: int
    value: float
    known_at_ms: int


@dataclass(slots=True)
class Entity:
    """One entity's rows in order, and the labels noted for its payments by id."""

    rows: list[Row] = field(default_factory=list)
    labels: dict[str, list[Version]] = field(default_factory=dict)

    def copy(self) -> "Entity":
        return Entity(self.rows.copy(), {id: versions.copy() for id, versions in self.labels.items()})

    def note(self, id: str, version: Version) -> None:
        """Keep a label, once for each version."""
        versions = self.labels.setdefault(id, [])
        if all(version.version != other.version for other in versions):
            versions.append(version)
            versions.sort()

    def label_of(self, row: Row, now_ms: int) -> float | None:
        """Return what was known of an event at a time; silence is consent after a while."""
        known = [label for label in self.labels.get(row.event.id, ()) if label.known_at_ms <= now_ms]
        if row.event.kind == "payment" and known:
            return known[-1].value
        return 0.0 if row.time_ms <= now_ms - ABSENT_IS_LEGIT_AFTER_MS else None

    def touch(self, event: Event) -> tuple[int, int, "Past | None"]:
        """Add an event unless it is there; return (status, arrival, the past up to it, itself included)."""
        for place, row in enumerate(self.rows):
            if row.event.id == event.id and row.event.kind == event.kind:
                if row.event != event:
                    return CONFLICT, row.arrival, None
                return DUPLICATE, row.arrival, self._past(place)
        row = Row(event.time_ms, len(self.rows) + 1, event)
        self.rows.append(row)
        self.rows.sort(key=lambda row: row[:2])
        return NEW, row.arrival, self._past(self.rows.index(row))

    def _past(self, place: int) -> "Past":
        """Return the rows up to one, each with its label as of that one's time."""
        now_ms = self.rows[place].time_ms
        rows = self.rows[: place + 1]
        return Past(rows, {row.arrival: self.label_of(row, now_ms) for row in rows})


class Past(NamedTuple):
    """What a history answered from: rows in order, the last one asking, and their labels by arrival."""

    rows: list[Row]
    labels: dict[int, float | None]

    def window(self, over_ms: int, delay_ms: int = 0) -> list[Row]:
        """Return the rows with times in (t - delay - over, t - delay]."""
        until = self.rows[-1].time_ms - delay_ms
        return [row for row in self.rows if until - over_ms < row.time_ms <= until]


def _present(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _amounts(rows: Sequence[Row]) -> list[float]:
    return _present(row.event.amount for row in rows)


def _std(values: Sequence[float]) -> float | None:
    if not values:
        return None
    mean = sum(values) / len(values)
    return sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def _gaps(past: Past, rows: Iterable[Row]) -> list[float]:
    """Return, of each payment among rows, the seconds since the newest login before it on the same device, if there was one."""
    gaps = []
    for row in rows:
        before = past.rows[: past.rows.index(row)]
        logins = [one for one in before if one.event.kind == "login" and one.event.device_id == row.event.device_id]
        if row.event.kind == "payment" and row.event.device_id is not None and logins:
            gaps.append((row.time_ms - logins[-1].time_ms) / 1000)
    return gaps


def _open(past: Past, rows: Iterable[Row], of: Callable[[Event], str | None]) -> int:
    """Return how many logins among rows no payment of the same device, or whatever `of` says, is behind."""
    return sum(
        row.event.kind == "login"
        and of(row.event) is not None
        and not any(
            one.event.kind == "payment" and of(one.event) == of(row.event)
            for one in past.rows[past.rows.index(row) + 1 :]
        )
        for row in rows
    )


def _customer(past: Past) -> Values:
    rows, now = past.rows, past.rows[-1]
    day = past.window(DAY_MS)
    before = rows[-2] if len(rows) > 1 else None
    large = [row for row in rows if row.event.amount is not None and row.event.amount > 50]
    amounts = _amounts(day)
    asking = now.event
    gaps = _gaps(past, day)
    payments = [row for row in rows if row.event.kind == "payment"]
    country = None if before is None else before.event.country
    return {
        "customer_events_6h": len(past.window(6 * HOUR_MS)),
        "customer_logins_1d": sum(row.event.kind == "login" for row in day),
        "customer_sum_1d": sum(amounts),
        "customer_std_1d": _std(amounts),
        "customer_large_of_4": len(large[-4:]),
        "customer_ever": len(rows),
        "customer_terminals_1d": len({row.event.terminal_id for row in day} - {None}),
        "customer_since": None if before is None else (now.time_ms - before.time_ms) / 1000,
        "customer_country": country,
        "customer_frauds_3d": sum(_present(past.labels[row.arrival] for row in past.window(3 * DAY_MS))),
        "customer_gap_1d": sum(gaps) / len(gaps) if gaps else None,
        "customer_gap_of_3": max(_gaps(past, payments[-3:]), default=None),
        "customer_open_1d": _open(past, past.window(DAY_MS, HOUR_MS), lambda event: event.device_id),
        "dear": None if asking.amount is None or not amounts else asking.amount > 2 * (sum(amounts) / len(amounts)),
        "moved": None if country is None or asking.country is None else country != asking.country,
    }


def _terminal(past: Past) -> Values:
    labels = _present(past.labels[row.arrival] for row in past.window(3 * DAY_MS, 12 * HOUR_MS))
    return {
        "terminal_before_1d": len(past.window(DAY_MS, 6 * HOUR_MS)),
        "terminal_max_1d": max(_amounts(past.window(DAY_MS)), default=None),
        "terminal_risk_3d": sum(labels) / len(labels) if labels else 0.0,
        "terminal_events_ever": len(past.rows),
    }


def _device(past: Past) -> Values:
    day = past.window(DAY_MS)
    return {
        "device_customers_1d": len({row.event.customer_id for row in day}),
        "device_failed_1d": sum(row.event.passed is False for row in day),
        "device_open": _open(past, past.rows, lambda event: event.customer_id),
    }


def _pair(past: Past) -> Values:
    return {"pair_first_amount": past.rows[0].event.amount}


FEATURES: dict[str, Callable[[Past], Values]] = {
    "customer": _customer,
    "terminal": _terminal,
    "device": _device,
    "pair": _pair,
}
MISSING: dict[str, Values] = {
    "customer": dict.fromkeys(
        [
            "customer_events_6h", "customer_logins_1d", "customer_sum_1d", "customer_std_1d", "customer_large_of_4",
            "customer_ever", "customer_terminals_1d", "customer_since", "customer_country", "customer_frauds_3d",
            "customer_gap_1d", "customer_gap_of_3", "customer_open_1d", "dear", "moved",
        ]
    ),
    "terminal": {
        "terminal_before_1d": None, "terminal_max_1d": None, "terminal_risk_3d": 0.0, "terminal_events_ever": None,
    },
    "device": {"device_customers_1d": None, "device_failed_1d": None, "device_open": None},
    "pair": {"pair_first_amount": None},
}  # fmt: skip
"""The features of entities that an event doesn't touch."""


def features(pasts: dict[str, Past | None]) -> dict[str, Any]:
    """Return the features of an event from the pasts of the entities it touches."""
    values: dict[str, Any] = {}
    for entity, missing in MISSING.items():
        past = pasts.get(entity)
        values |= missing if past is None else FEATURES[entity](past)
    return values
