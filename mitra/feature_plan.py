"""From aggregates to features: for a whole batch at once where a feature is an aggregate, by one generated function else.

Aggregates lie in a matrix whose columns are grouped by entity, so that what a history answered is copied as one block.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from mitra.gather import Gathered
from mitra.graph.settings import GraphSettings
from mitra.graph_asking import values_of
from mitra.history import Plan
from rules import CompiledFeatures, Signal
from rules.tree import GraphNode

_PATTERNS = 4096  # of inexact aggregates, each with the names of the features behind it, are remembered
_FEW_TOUCHES = 64
"""Up to here one touch after the other is copied: a pass over all of them for each entity costs as much as 20 copies."""

Array = np.ndarray[Any, Any]
Value = float | int | str | bool | None


def _values(column: Array) -> list[Value]:
    """Return a column as plain values, None for missing."""
    return [None if value != value else value for value in column.tolist()]


class Features:
    """The features of n transactions: `numbers` float64[n, k] (NaN = missing) under `numeric` names, texts beside it."""

    def __init__(
        self, numeric: dict[str, int], numbers: Array, texts: dict[str, list[str | None]], aggregates: Array
    ) -> None:
        """Keep the columns: `numeric` maps a feature's name to its column of `numbers`; `aggregates` are those behind them."""
        self.numeric = numeric
        self.numbers = numbers
        self.texts = texts
        self.aggregates = aggregates

    def matrix(self, columns: Array) -> Array:
        """Return float32[n, len(columns)]: what a model reads."""
        return self.numbers[:, columns].astype(np.float32)

    def some(self, rows: Sequence[int]) -> "Features":
        """Return some transactions' features."""
        texts = {name: [column[row] for row in rows] for name, column in self.texts.items()}
        return Features(self.numeric, self.numbers[rows], texts, self.aggregates[rows])

    def row(self, row: int, types: dict[str, str]) -> dict[str, Value]:
        """Return one transaction's features by name, typed, None for missing."""
        values: dict[str, Value] = {}
        numbers = self.numbers[row].tolist()
        for name, kind in types.items():
            if kind == "string":
                values[name] = self.texts[name][row]
                continue
            number = numbers[self.numeric[name]]
            if number != number:  # NaN
                values[name] = None
            elif kind == "boolean":
                values[name] = number != 0.0
            else:
                values[name] = int(number) if kind == "integer" and number.is_integer() else number
        return values


class FeaturePlan:
    """How features are filled from the aggregates of a history plan: compiled once for a revision."""

    def __init__(
        self,
        compiled: CompiledFeatures,
        plan: Plan,
        fields: Mapping[str, int],
        graph: GraphSettings | None = None,
        graph_index: Mapping[str, int] | None = None,
    ) -> None:
        """Lay out the aggregate matrix and the feature columns.

        `plan` begins with the aggregates of `compiled`; behind them may be those that only rules read. `fields` are the
        places of the decided event's fields; `graph_index` those of what the graph says, behind them.
        """
        self._graph = graph
        self._graph_index = graph_index or {}
        self._fields = fields
        self._place_of = {one.key: place for place, one in enumerate(plan.aggregates)}
        self.types: dict[str, str] = {name: compiled.types[name] for name in compiled.names}
        self.compiled = compiled
        self._blocks: list[tuple[int, int]] = []
        """For each entity its first column in the aggregate matrix and the number of its numeric aggregates."""
        self._text_place: dict[int, tuple[int, int]] = {}
        """Text aggregate -> its entity and its place in the texts that history answers."""
        column_of: dict[int, int] = {}
        for entity, columns in enumerate(plan.columns):
            numeric = [place for place in columns if plan.aggregates[place].value_type != "string"]
            texts = [place for place in columns if plan.aggregates[place].value_type == "string"]
            self._blocks.append((len(column_of), len(numeric)))
            for place in numeric:
                column_of[place] = len(column_of)
            self._text_place.update((place, (entity, column)) for column, place in enumerate(texts))
        self._column_of = column_of
        self._width = len(column_of)
        self.touch_width = plan.width
        """Numeric aggregates of the widest entity: the columns of a touch's values."""
        self.numeric = {
            name: column for column, name in enumerate(n for n in compiled.names if compiled.types[n] != "string")
        }
        direct = [(self.numeric[name], column_of[place], fill) for name, (place, fill) in compiled.direct.items()]
        self._direct_to = np.array([to for to, _, _ in direct], dtype=np.int64)
        self._direct_from = np.array([start for _, start, _ in direct], dtype=np.int64)
        self._fills = [(to, fill) for to, _, fill in direct if fill is not None]
        self._needed = [
            (column_of.get(place), place, compiled.aggregates[place].value_type == "boolean")
            for place in compiled.needed
        ]
        self._needed_columns = np.array([column for column, _, _ in self._needed if column is not None], dtype=np.int64)
        self._used_by = self._features_by_column()
        self._names_by_pattern: dict[tuple[int, bytes], frozenset[str]] = {}

    def aggregates(self, gathered: Gathered) -> Array:
        """Return float64[n, all numeric aggregates], NaN where an entity was not touched or a value is missing."""
        matrix = np.full((len(gathered.identities), self._width), np.nan)
        rows, entities, values = gathered.rows, gathered.entities, gathered.values
        if len(rows) <= _FEW_TOUCHES:
            for touch, (row, entity) in enumerate(zip(rows.tolist(), entities.tolist(), strict=True)):
                if row < 0:
                    continue
                start, width = self._blocks[entity]
                if width:
                    matrix[row, start : start + width] = values[touch, :width]
            return matrix
        for entity, (start, width) in enumerate(self._blocks):
            touched = np.flatnonzero((entities == entity) & (rows >= 0))
            if width and len(touched):
                matrix[rows[touched], start : start + width] = values[touched, :width]
        return matrix

    def features(self, gathered: Gathered, events: Sequence[Sequence[Value]]) -> Features:
        """Return the features of the gathered transactions; `events` are their values in the schema's order."""
        matrix = self.aggregates(gathered)
        numbers = np.full((len(events), len(self.numeric)), np.nan)
        if len(self._direct_to):
            numbers[:, self._direct_to] = matrix[:, self._direct_from]
            for column, fill in self._fills:
                values = numbers[:, column]
                values[np.isnan(values)] = fill
        texts: dict[str, list[str | None]] = {}
        if self.compiled.computed:
            self._compute(gathered, self._with_graph(gathered, events), matrix, numbers, texts)
        return Features(self.numeric, numbers, texts, matrix)

    def signals(
        self, signals: Sequence[Signal], gathered: Gathered, events: Sequence[Sequence[Value]], features: Features
    ) -> list[tuple[Value, ...]]:
        """Return, by transaction, the values of what rules read, None for missing."""
        columns: list[Sequence[Value]] = []
        events = self._with_graph(gathered, events)
        for signal in signals:
            if signal.kind == "graph":
                place = self._graph_index[signal.name]
                columns.append([event[place] for event in events])
            elif signal.kind == "field":
                place = self._fields[signal.name]
                columns.append([event[place] for event in events])
            elif signal.kind == "aggregate":
                place = self._place_of[signal.name]
                column = self._column_of.get(place)
                columns.append(
                    self._text_column(gathered, place) if column is None else _values(features.aggregates[:, column])
                )
            elif signal.name in features.texts:
                columns.append(features.texts[signal.name])
            else:
                columns.append(_values(features.numbers[:, features.numeric[signal.name]]))
        return list(zip(*columns, strict=True)) if columns else [()] * len(events)

    def _with_graph(self, gathered: Gathered, events: Sequence[Sequence[Value]]) -> Sequence[Sequence[Value]]:
        """Return the events' values with what the graph said behind them; events as they are without a graph."""
        settings = self._graph
        if settings is None:
            return events
        said = gathered.graph or [None] * len(events)
        return [(*event, *values_of(settings, one)) for event, one in zip(events, said, strict=True)]

    def _compute(
        self,
        gathered: Gathered,
        events: Sequence[Sequence[Value]],
        matrix: Array,
        numbers: Array,
        texts: dict[str, list[str | None]],
    ) -> None:
        function = self.compiled.function
        needed = self._needed_values(gathered, matrix)
        results = list(map(function, events, needed, gathered.times_ms))
        for name, column in zip(self.compiled.computed, zip(*results, strict=True), strict=True):
            if self.types[name] == "string":
                texts[name] = list(column)
            else:
                numbers[:, self.numeric[name]] = column

    def _needed_values(self, gathered: Gathered, matrix: Array) -> list[list[Value]]:
        """Return what the generated function reads, row by row: None for missing, booleans as such."""
        columns: list[list[Value]] = []
        numbers = iter(matrix[:, self._needed_columns].T.tolist())
        for column, place, boolean in self._needed:
            if column is None:
                columns.append(self._text_column(gathered, place))
            elif boolean:
                columns.append([None if v != v else v != 0.0 for v in next(numbers)])
            else:
                columns.append([None if v != v else v for v in next(numbers)])
        if not columns:
            return [[]] * len(matrix)
        return [list(row) for row in zip(*columns, strict=True)]

    def _text_column(self, gathered: Gathered, aggregate: int) -> list[Value]:
        column: list[Value] = [None] * len(gathered.identities)
        entity, place = self._text_place[aggregate]
        texts, rows = gathered.texts, gathered.rows
        for touch in np.flatnonzero((gathered.entities == entity) & (rows >= 0)).tolist():
            if texts[touch]:
                column[rows[touch]] = texts[touch][place]
        return column

    def _features_by_column(self) -> list[tuple[str, ...]]:
        """Return for each numeric aggregate's column the features that use it."""
        used: list[list[str]] = [[] for _ in range(self._width)]
        for name, (place, _) in self.compiled.direct.items():
            used[self._column_of[place]].append(name)
        for name in self.compiled.computed:
            for place in self.compiled.uses[name]:
                if place in self._column_of:
                    used[self._column_of[place]].append(name)
        return [tuple(names) for names in used]

    def approximate(self, gathered: Gathered) -> dict[int, list[str]]:
        """Return, by row, the features that used the edge of a tile."""
        found: dict[int, frozenset[str]] = {}
        for row, said in enumerate(gathered.graph or ()):
            names = frozenset() if said is None or 1 not in said.capped else self._capped(said.capped)
            if names:
                found[row] = names
        if gathered.approximate is None:
            return {row: sorted(names) for row, names in found.items()}
        for touch in np.flatnonzero(gathered.approximate.any(axis=1)).tolist():
            row = int(gathered.rows[touch])
            if row >= 0:
                names = self._names_of(int(gathered.entities[touch]), gathered.approximate[touch].tobytes())
                found[row] = found.get(row, names) | names
        return {row: sorted(names) for row, names in found.items()}

    @cached_property
    def _graph_used(self) -> dict[str, frozenset[int]]:
        """The values of the graph that each feature reads, through other features too."""
        fields, expressions = len(self._fields), self.compiled.expressions

        def used(name: str) -> frozenset[int]:
            nodes = (node for node in expressions[name].tree.walk() if isinstance(node, GraphNode))
            own = frozenset(self._graph_index[node.text] - fields for node in nodes)
            return own.union(*(used(other) for other in expressions[name].features))

        return {name: used(name) for name in expressions}

    def _capped(self, capped: bytes) -> frozenset[str]:
        """Return the features that read a value for which the graph looked no further than its bounds."""
        return frozenset(name for name, places in self._graph_used.items() if any(capped[place] for place in places))

    def _names_of(self, entity: int, marked: bytes) -> frozenset[str]:
        """Return the features behind an entity's marked aggregates; a window reaches into tiles or doesn't, so few patterns occur."""
        names = self._names_by_pattern.get((entity, marked))
        if names is None:
            start, width = self._blocks[entity]
            names = frozenset(name for place in range(width) if marked[place] for name in self._used_by[start + place])
            if len(self._names_by_pattern) >= _PATTERNS:
                self._names_by_pattern.clear()
            self._names_by_pattern[entity, marked] = names
        return names
