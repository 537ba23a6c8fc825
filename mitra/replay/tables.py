"""Arrow tables to events: column by column where the types fit, row by row for what doesn't."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from mitra.decode import Event, Rejection, event_of, with_update_id
from mitra.errors import MitraError
from mitra.replay.columns import Column, Mask, plain, read_column, times_ms
from mitra.rows import TimeMs, convert_row, too_large
from mitra.schema import EventType, Limits
from mitra.sections import did_you_mean


@dataclass(slots=True)
class Read:
    """What some rows came to: events, and the rows refused, by place from 0, with the row's bytes for the dead letter."""

    events: list[Event]
    refused: list[tuple[int, Rejection, bytes]]


class TableReader:
    """Reads tables of one event type whose columns have the schema's names."""

    def __init__(self, event: EventType, limits: Limits, columns: Sequence[str], source: str) -> None:
        """Take the names of the columns of `source`. Raises MitraError if one that is required isn't there."""
        check_columns(event, columns, source)
        self.columns = [field.name for field in event.own if field.name in columns]
        self._event = event
        self._limits = limits

    def read(self, table: Any) -> Read:
        """Return the events of a record batch or table that has `columns`."""
        count = table.num_rows
        columns: list[list[Any]] = []
        suspects = np.zeros(count, dtype=np.bool_)
        for field in self._event.fields:
            if field.name not in self.columns:
                columns.append([field.fixed] * count)
                continue
            column: Column | None = read_column(self._event, field, table.column(field.name))
            if column is None:
                return self._row_by_row(table, np.ones(count, dtype=np.bool_), [])
            columns.append(column.values)
            if column.suspects is not None:
                suspects |= column.suspects
        if suspects.any():
            return self._row_by_row(table, suspects, columns)
        return Read(*self._events(columns))

    def _events(self, columns: list[list[Any]]) -> tuple[list[Event], list[tuple[int, Rejection, bytes]]]:
        event = self._event
        if event.by and None in columns[event.index[event.id]]:
            place = event.index[event.id]
            rows = zip(*columns, strict=True)
            columns[place] = [with_update_id(event, row)[place] if row[place] is None else row[place] for row in rows]
        ids, times = columns[event.index[event.id]], columns[event.index[event.time]]
        if event.by_name[event.id].type != "string":
            ids = [str(number) for number in ids]
        events = list(map(event_of, ids, times, zip(*columns, strict=True)))
        limit = self._limits.message_bytes
        if max((len(made.payload) for made in events), default=0) <= limit:
            return events, []
        refused = [
            (row, too_large(made, limit), made.payload) for row, made in enumerate(events) if len(made.payload) > limit
        ]
        return [made for made in events if len(made.payload) <= limit], refused

    def _row_by_row(self, table: Any, suspects: Mask, columns: list[list[Any]]) -> Read:
        """Take the suspect rows one by one and the others by column, in the table's order."""
        rows = np.flatnonzero(suspects).tolist()
        if columns:
            good = np.flatnonzero(~suspects)
            sound, refused = self._events([[column[row] for row in good.tolist()] for column in columns])
            places = good.tolist()
            refused = [(places[row], rejection, raw) for row, rejection, raw in refused]
            gone = {row for row, _, _ in refused}
            by_row = dict(zip([place for place in places if place not in gone], sound, strict=True))
        else:
            by_row, refused = {}, []
        values = {name: self._values(name, table.column(name), suspects) for name in self.columns}
        for place, row in enumerate(rows):
            found = {name: column[place] for name, column in values.items()}
            made = convert_row(self._event, self._limits, found)
            if isinstance(made, Rejection):
                refused.append((row, made, row_bytes(found)))
            else:
                by_row[row] = made
        refused.sort(key=lambda entry: entry[0])
        return Read([by_row[row] for row in sorted(by_row)], refused)

    def _values(self, name: str, array: Any, rows: Mask) -> list[Any]:
        """Return the chosen rows of a column as Python values, those of the event's time as epoch milliseconds."""
        array = plain(array).filter(pa.array(rows))
        moments = times_ms(array) if name == self._event.time else None
        if moments is not None:
            return [None if value is None else TimeMs(value) for value in moments.to_pylist()]
        if pa.types.is_timestamp(array.type) and array.type.unit == "ns":
            # Python's datetime has no nanoseconds.
            array = array.cast(pa.timestamp("us", array.type.tz), safe=False)
        listed: list[Any] = array.to_pylist()
        return listed


def check_columns(event: EventType, columns: Sequence[str], source: str) -> None:
    """Raise MitraError naming every required field that has no column."""
    missing = [field.name for field in event.fields if field.required and field.name not in columns]
    if not missing:
        return
    hints = [f"{name}{': ' * bool(hint)}{hint}" for name in missing for hint in [did_you_mean(name, columns)]]
    found = ", ".join(name if name.isprintable() else ascii(name) for name in list(columns)[:20]) or "none"
    raise MitraError(
        f"{source} has no column for {'; '.join(hints)}; its columns: {found}; of a folder every file is read: name those of {event.name} only"
    )


def row_bytes(row: dict[str, Any]) -> bytes:
    """Return a row as JSON, for a dead letter: what JSON can't hold is written as text."""
    return json.dumps(row, default=str, ensure_ascii=True).encode()
