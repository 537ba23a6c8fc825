"""Rules judged over what a replay has written: a backtest without a replay, for rules that read nothing but its features.

A field or an aggregate that a rule reads is taken from the feature that is just that. What stands in no column can't be had
from a table, and is told by name.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mitra.backtest.trial import Trial
from mitra.blueprint import Blueprint
from mitra.errors import MitraError
from mitra.pipeline import Pipeline
from mitra.revision import Revision
from rules import CompiledFeatures, Expression, RuleSet, Signal
from rules.plan import Value
from rules.tree import AggregateNode, FieldNode, GraphNode

_ROWS = 20_000
_TEXTS = pa.list_(pa.string())

Progress = Callable[[str, int, int], None]


def judge_table(pipeline: Pipeline, decisions: Path, trial: Trial, output: Path, progress: Progress) -> int:
    """Write a table as a replay under the trial would, of what is counted only; return the number of payments.

    Raises MitraError naming all that the rules read and the table doesn't have.
    """
    revision = Revision(Blueprint(pipeline), 0, trial.live)
    rules = revision.rules
    if rules is None:
        raise MitraError("the files hold no rule to test")
    with pq.ParquetFile(decisions) as file:
        read = _Reader(revision.compiled, rules, trial, file.schema_arrow)
        money = [] if trial.money is None else [(trial.money, pa.float64())]
        kept = [("transaction_id", file.schema_arrow.field("transaction_id").type), ("event_time", pa.int64())]
        marks = [("duplicate", pa.bool_()), ("rules", _TEXTS), ("shadow", _TEXTS), ("not_evaluated", _TEXTS)]
        schema = pa.schema([*kept, *marks, *money])
        done = 0
        with pq.ParquetWriter(output, schema) as writer:
            for batch in file.iter_batches(_ROWS, columns=read.columns):
                rows = [row for row in read.rows(batch) if not row["duplicate"]]
                writer.write_table(pa.Table.from_pylist(rows, schema))
                done += len(rows)
                progress("judging", done, file.metadata.num_rows)
    return done


class _Reader:
    """Where each value that rules read is found: in a column, or computed from those that are."""

    def __init__(self, compiled: CompiledFeatures, rules: RuleSet, trial: Trial, table: Any) -> None:
        # A column of a trial's own feature is that of another trial, and may hold something else.
        own = {name for name in table.names if name not in trial.live.features}
        self._rules = rules
        self._money = trial.money
        self._columns: dict[Signal, str] = {}
        for name, expression in compiled.expressions.items():
            if name not in own:
                continue
            self._columns[Signal("feature", name)] = name
            match expression.tree:
                case FieldNode() as node:
                    self._columns.setdefault(Signal("field", node.name), name)
                case AggregateNode() as node:
                    self._columns.setdefault(Signal("aggregate", node.text), name)
                case GraphNode() as node:
                    self._columns.setdefault(Signal("graph", node.text), name)
        self._computed: list[tuple[Signal, Expression]] = []
        wanted = list(rules.signals)
        if self._money is not None:
            wanted.append(Signal("feature", self._money))
        lacking: dict[str, None] = {}
        for signal in wanted:
            self._find(signal, compiled, lacking)
        for rule in trial.live.rules.values():
            if rule.percent is not None and rule.mode != "paused":
                lacking[f"the {rule.by or 'first entity'} of each payment, for the percent of {rule.id}"] = None
        if trial.marks:
            lacking["the entities of each payment, for lists and snoozes"] = None
        if lacking:
            raise MitraError(
                f"the table of that replay lacks {', '.join(lacking)}; name the payments that were replayed "
                "instead: --on PAYMENTS"
            )
        self.columns = ["transaction_id", "event_time", "duplicate", *dict.fromkeys(self._columns.values())]

    def _find(self, signal: Signal, compiled: CompiledFeatures, lacking: dict[str, None]) -> None:
        """Plan how a value is had, and what it is computed from before it."""
        if signal in self._columns or any(signal == one for one, _ in self._computed):
            return
        expression = compiled.expressions.get(signal.name) if signal.kind == "feature" else None
        if expression is None:
            lacking[signal.name] = None
            return
        for other in expression.signals:
            self._find(other, compiled, lacking)
        self._computed.append((signal, expression))

    def rows(self, batch: Any) -> Iterator[dict[str, Any]]:
        """Give the rows of a batch with what rules say of each."""
        columns: dict[str, Sequence[Value]] = {name: batch.column(name).to_pylist() for name in self.columns}
        signals = self._rules.signals
        for row in range(batch.num_rows):
            time_ms: Any = columns["event_time"][row]
            values = {signal: columns[name][row] for signal, name in self._columns.items()}
            for signal, one in self._computed:
                values[signal] = one.function([values[read] for read in one.signals], time_ms)
            said = self._rules.judge([values[signal] for signal in signals], time_ms, {})
            made: dict[str, Any] = {
                "transaction_id": columns["transaction_id"][row],
                "event_time": time_ms,
                "duplicate": columns["duplicate"][row],
                "rules": [one["id"] for one in said.fired],
                "shadow": [one["id"] for one in said.shadow],
                "not_evaluated": list(said.not_evaluated),
            }
            if self._money is not None:
                made[self._money] = values[Signal("feature", self._money)]
            yield made
