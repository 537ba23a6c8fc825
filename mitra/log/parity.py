"""Parity: the features that were served, computed again from the records of the log, and how often they differ.

What was served depends on the order in which events arrived; what is computed again, on the order of their times. A payment
that differs and was overtaken is a race: some history had counted it at another place, which its counter of arrivals tells, or
a label that was known by the time of the payment had not yet reached the job. What is left has no excuse.
"""

import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from mitra.blueprint import Blueprint
from mitra.decide import Read
from mitra.errors import MitraError
from mitra.log.reading import ROWS_AT_ONCE, event_pieces, files_of, label_pieces, read_outcomes, scan
from mitra.pipeline import Pipeline
from mitra.replay.inline import inline_pipeline, replay_inline
from mitra.replay.prepare import prepare_pieces

TOLERANCE = 1e-9
"""Relative: sums that tiles took part in may be added in another order."""
_ON_ITS_WAY_MS = 1_000
"""An outcome published so shortly before a decision may not have reached the histories yet."""
_SHOWN = 5

_decode_touched = msgspec.json.Decoder(dict[str, tuple[str, int]]).decode


@dataclass(slots=True)
class Difference:
    """How often a feature differed, on how many payments that had raced and on how many that hadn't, and examples."""

    raced: int = 0
    unexplained: int = 0
    examples: list[tuple[str, Any, Any]] = field(default_factory=list)
    """(transaction id, served, computed again), of the unexplained."""


@dataclass(slots=True)
class Parity:
    """What a comparison came to. `compared` payments; `missing` were served, but their record is not in the log."""

    compared: int = 0
    missing: int = 0
    raced: int = 0
    differences: dict[str, Difference] = field(default_factory=dict)

    @property
    def unexplained(self) -> int:
        """The values that differ without a race."""
        return sum(one.unexplained for one in self.differences.values())


def compare(
    pipeline: Pipeline,
    log: Path,
    *,
    from_ms: int,
    to_ms: int,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Parity:
    """Compute the features of the payments of a span again and compare. Raises MitraError for a log that lacks a table.

    Records from before the span count too: histories begin with the log, so the span should begin where it reaches back
    as far as the windows do.
    """
    files_of(log, "decisions")
    types = Blueprint(inline_pipeline(pipeline)).compiled.types
    found = Parity(differences={name: Difference() for name in types})
    with tempfile.TemporaryDirectory(prefix="mitra-parity-") as scratch:
        folder = Path(scratch)
        prepare_pieces(
            pipeline,
            event_pieces(pipeline, log),
            label_pieces(pipeline, log),
            folder / "input",
            dead_letters=folder / "rejected.jsonl",
        )
        again: dict[str, tuple[dict[str, Any], Read]] = {}
        for decided in replay_inline(pipeline, folder / "input", progress):
            for decision, row, read in zip(decided.decisions, decided.rows, decided.read, strict=True):
                if row >= 0 and from_ms <= decision.event_time < to_ms and decided.features is not None:
                    again[str(decision.transaction_id)] = (decided.features.row(row, dict(types)), read)
    late = _LateLabels(pipeline, log)
    for id, event_time, decided_at, touched, served in _served(log, list(types), from_ms, to_ms):
        answer = again.get(id)
        if answer is None:
            found.missing += 1
            continue
        found.compared += 1
        computed, read = answer
        off = [name for name in types if not _same(served[name], computed[name])]
        if not off:
            continue
        raced = _overtaken(touched, read) or late.for_any(touched, event_time, decided_at)
        found.raced += raced
        for name in off:
            difference = found.differences[name]
            if raced:
                difference.raced += 1
                continue
            difference.unexplained += 1
            if len(difference.examples) < _SHOWN:
                difference.examples.append((id, served[name], computed[name]))
    return found


_Served = tuple[str, int, int, dict[str, tuple[str, int]], dict[str, Any]]


def _served(log: Path, names: list[str], from_ms: int, to_ms: int) -> Iterator[_Served]:
    with duckdb.connect() as connection:
        scan(connection, log, "decisions")
        known = [name for name, *_ in connection.execute("describe decisions").fetchall()]
        lacking = [name for name in names if name not in known]
        if lacking:
            raise MitraError(
                f"log={str(log)!r} has no feature {', '.join(lacking)}; name the pipeline file that the job ran with"
            )
        columns = ", ".join(f'"{name}"' for name in names)
        found = connection.execute(
            f"select transaction_id, event_time, decided_at, entities{', ' * bool(names)}{columns} from decisions "  # noqa: S608 - the pipeline's own names
            "where not duplicate and event_time >= ? and event_time < ?",
            [from_ms, to_ms],
        )
        while rows := found.fetchmany(ROWS_AT_ONCE):
            for id, event_time, decided_at, touched, *values in rows:
                yield id, event_time, decided_at, _decode_touched(touched), dict(zip(names, values, strict=True))


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None or isinstance(one, str | bool):
        return bool(one == other)
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _overtaken(touched: dict[str, tuple[str, int]], read: Read) -> bool:
    """Tell whether some history counted the payment at another place than its time gives it."""
    return any(touched.get(name, (key, arrival))[1] != arrival for name, key, arrival in read.touched)


class _LateLabels:
    """When the job read which labels back, by the entities they concern."""

    def __init__(self, pipeline: Pipeline, log: Path) -> None:
        self._by_entity: dict[tuple[str, str], list[tuple[int, int]]] = {}
        if pipeline.labels is None:
            return
        for outcome, published_ms in read_outcomes(pipeline, log):
            for entity in outcome.entities.items():
                self._by_entity.setdefault(entity, []).append((outcome.known_at, published_ms))

    def for_any(self, touched: dict[str, tuple[str, int]], event_time: int, decided_at: int) -> bool:
        """Tell whether a label that was known by the time of a payment came to the job only around or after its decision."""
        return any(
            known_at <= event_time and published_ms > decided_at - _ON_ITS_WAY_MS
            for name, (key, _) in touched.items()
            for known_at, published_ms in self._by_entity.get((name, key), ())
        )
