"""A decision looked up in what a replay has written, its payment in the files that were replayed."""

from collections.abc import Iterator, Mapping, Sequence
from heapq import nlargest
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from mitra.decode import Event
from mitra.errors import MitraError
from mitra.inquiry.backwards import Progress
from mitra.inquiry.found import Earlier, Found, Others, entity_named
from mitra.pipeline import Pipeline
from mitra.replay.files import read_events
from mitra.replay.table import own_columns
from mitra.route import key_reader

DECISIONS = "decisions.parquet"
_OWN = [name for name, _ in own_columns(pa.string())]
_MOST = 200


class Table:
    """Looks decisions up in a replay's folder. `looked` tells in what it looked for the last one."""

    def __init__(
        self,
        pipeline: Pipeline,
        folder: Path,
        transactions: Sequence[Path],
        progress: Progress,
        events: Mapping[str, Sequence[Path]] | None = None,
    ) -> None:
        """Take a replay's folder, and the files of payments that were replayed, none if they aren't at hand.

        `events` are the files of other decided types, by the type's name.
        """
        self._file = folder / DECISIONS
        if not self._file.is_file():
            raise MitraError(f"the folder {folder} has no {DECISIONS}; name the folder that `mitra replay` wrote")
        self._pipeline = pipeline
        others = {event: (events or {}).get(event.name, ()) for event in pipeline.decided_events}
        self._files = [
            (event, path) for event, paths in {**others, pipeline.decided: transactions}.items() for path in paths
        ]
        self._progress = progress
        self.looked = f"all rows of {self._file}"

    def find(self, transaction_id: str, by: str | None) -> Found | None:
        """Return a decision with what goes with it, None if it isn't there."""
        entity_named(self._pipeline, by)
        rows = self._rows([transaction_id])
        first = next((row for row in rows if not row["duplicate"]), None)
        if first is None:
            return None
        event = self._event(transaction_id)
        notes = []
        if not self._files:
            notes.append(
                "a replay's table has features and no fields: "
                "with --transactions=FILE, the payments that were replayed, it is told what is usual, and for whom"
            )
        elif event is None:
            notes.append("the payment itself isn't in the files of --transactions")
        others = None if event is None else self._others(event, by)
        return Found(_decision(first), str(self._file), len(rows) - 1, event, others, tuple(notes))

    def _rows(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        with duckdb.connect() as database:
            kind = database.execute(
                "select column_type from (describe select transaction_id from read_parquet(?))", [str(self._file)]
            ).fetchall()[0][0]
            whole = kind.startswith(("DOUBLE", "FLOAT", "DECIMAL"))
            column = "cast(transaction_id as bigint)" if whole else "transaction_id"
            query = f"select *, cast({column} as varchar) as id_ from read_parquet(?) where id_ in (select unnest(?))"  # noqa: S608 - no value in it
            found = database.execute(query, [str(self._file), list(ids)])
            names = [one[0] for one in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def _events(self, step: str) -> Iterator[Event]:
        done = 0
        for event, path in self._files:
            for piece in read_events(path, event, self._pipeline.limits):
                done += len(piece.events)
                self._progress(step, done, 0)
                yield from piece.events

    def _event(self, transaction_id: str) -> Event | None:
        return next((one for one in self._events("payments") if one.id == transaction_id), None)

    def _others(self, event: Event, by: str | None) -> Others | None:
        entity = entity_named(self._pipeline, by)
        reader = None if entity is None else key_reader(entity, self._pipeline.type_of(event.values))
        key = None if reader is None else reader(event.values)
        if entity is None or reader is None or key is None:
            return None
        earlier = {
            one.id: one
            for one in self._events("earlier payments")
            if one.time_ms <= event.time_ms and one.id != event.id and reader(one.values) == key
        }
        newest = nlargest(_MOST, earlier.values(), key=lambda one: one.time_ms)
        features = {
            row["id_"]: _features(row) for row in self._rows([one.id for one in newest]) if not row["duplicate"]
        }
        payments = tuple(Earlier(one, features.get(one.id)) for one in newest)
        names = ", ".join(path.name for _, path in self._files[:5])
        return Others(entity.name, key, payments, f"{names}{', …' if len(self._files) > 5 else ''}")


def _features(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _OWN and name != "id_"}


def _decision(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as a decision; of its rules a table has the ids alone, and of the time it took nothing."""
    kept = {name: row[name] for name in _OWN if name not in {"rules", "shadow", "not_evaluated"}}
    return {
        **kept,
        "decided_at": None,
        "latency_ms": None,
        "timing_ms": {},
        "rules": [{"id": one} for one in row["rules"]],
        "shadow": [{"id": one} for one in row["shadow"]],
        "not_evaluated": {one: [] for one in row["not_evaluated"]},
        "reasons": [],
        "features": _features(row),
    }
