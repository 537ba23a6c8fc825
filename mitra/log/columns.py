"""A decision's row in the log: its columns, and how it leaves decide.

Rows leave a batch at a time, as two flat lists that SQL takes apart inside the JVM: `numbers`, with every column that is a
number, an integer or a boolean, row by row, and `texts` with the others. Both in the order of `LogColumns.columns`; None is null.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec

from mitra.decide import Decided, Read
from mitra.decision import Decision
from mitra.feature_plan import Features
from mitra.pipeline import DAY_MS

Kind = Literal["number", "integer", "boolean", "string", "texts"]
Number = float | None

SEPARATOR = "\x1f"
"""Between the texts of a column of kind `texts`."""

DAY = "day"
"""The column that rows are filed by: the day of the event in UTC, as YYYY-MM-DD."""


class Column(NamedTuple):
    """A column of the log, and the type of its values."""

    name: str
    kind: Kind


_OWN: tuple[Column, ...] = (
    Column("event_time", "integer"),
    Column("decided_at", "integer"),
    Column("latency_ms", "number"),
    Column("score", "number"),
    Column("raw_score", "number"),
    Column("revision", "integer"),
    Column("late", "boolean"),
    Column("duplicate", "boolean"),
    Column("partition", "integer"),
    Column("offset", "integer"),
    Column("outcome", "string"),
    Column("model", "string"),
    Column("degraded", "texts"),
    Column("approximate", "texts"),
    Column("rules", "texts"),
    Column("shadow", "texts"),
    Column("not_evaluated", "texts"),
    Column("entities", "string"),
    Column("more", "string"),
    Column(DAY, "string"),
)
_json = msgspec.json.Encoder().encode


class LogColumns:
    """The columns of one pipeline's rows; behind the decision's own stands one for each feature of its file."""

    def __init__(self, types: Mapping[str, Kind]) -> None:
        """Lay out the columns; `types` are the features' types by name."""
        self.columns = (*_OWN, *(Column(name, kind) for name, kind in types.items()))
        self.numbers = tuple(column for column in self.columns if column.kind not in ("string", "texts"))
        self.texts = tuple(column for column in self.columns if column.kind in ("string", "texts"))
        self._types = types
        self._numeric = [name for name, kind in types.items() if kind != "string"]
        self._textual = [name for name, kind in types.items() if kind == "string"]

    def rows(self, batches: Sequence[Decided]) -> tuple[list[Number], list[str | None]]:
        """Return the rows of some batches' decisions. A duplicate's features are null: they stand with the first decision."""
        numbers: list[Number] = []
        texts: list[str | None] = []
        for decided in batches:
            self._add(decided, numbers, texts)
        return numbers, texts

    def _add(self, decided: Decided, numbers: list[Number], texts: list[str | None]) -> None:
        features = decided.features
        if features is None:
            return
        served = features.numbers.tolist()
        places = [features.numeric[name] for name in self._numeric]
        for decision, row, read in zip(decided.decisions, decided.rows, decided.read, strict=True):
            numbers += _own_numbers(decision, read)
            texts += _own_texts(decision, read, self._put_later(features, row) if row >= 0 else {})
            if row < 0:
                numbers += [None] * len(places)
                texts += [None] * len(self._textual)
                continue
            values = served[row]
            numbers += [None if (value := values[place]) != value else value for place in places]
            texts += [features.texts[name][row] for name in self._textual]

    def _put_later(self, features: Features, row: int) -> dict[str, Any]:
        """Return the values of the features that were put at run time and have no column."""
        if len(features.numeric) + len(features.texts) == len(self._types):
            return {}
        found: dict[str, Any] = {name: texts[row] for name, texts in features.texts.items() if name not in self._types}
        for name, place in features.numeric.items():
            if name not in self._types:
                value = float(features.numbers[row, place])
                found[name] = None if value != value else value
        return {"features": found}


def _own_numbers(decision: Decision, read: Read) -> list[Number]:
    return [
        float(decision.event_time),
        float(decision.decided_at),
        decision.latency_ms,
        decision.score,
        decision.raw_score,
        float(decision.revision),
        float(decision.late),
        float(decision.duplicate),
        float(read.partition),
        float(read.offset),
    ]


def _own_texts(decision: Decision, read: Read, more: dict[str, Any]) -> list[str | None]:
    judged = {"rules": decision.rules, "shadow": decision.shadow, "not_evaluated": decision.not_evaluated}
    more |= {name: value for name, value in (judged | {"models": decision.models}).items() if value}
    return [
        decision.outcome,
        decision.model,
        _joined(decision.degraded),
        _joined(decision.approximate),
        _joined([one["id"] for one in decision.rules]),
        _joined([one["id"] for one in decision.shadow]),
        _joined(list(decision.not_evaluated)),
        _json({name: [key, arrival] for name, key, arrival in read.touched}).decode(),
        _json(more).decode() if more else None,
        _day(decision.event_time // DAY_MS),
    ]


def _joined(texts: Sequence[str]) -> str | None:
    return SEPARATOR.join(texts) if texts else None


@lru_cache(maxsize=4096)
def _day(number: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()
