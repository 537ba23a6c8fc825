"""A plan: the aggregates of every entity as one array of numbers that the kernels run through.

Kernels are compiled beforehand and know no pipeline: a change of features is a change of this array.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mitra.errors import MitraError
from mitra.hashing import text_hash
from mitra.history.conditions import BITS, Conditions
from mitra.history.layout import Layout
from mitra.schema import Entity, HistoryLimits, Labels
from rules.plan import Aggregate
from rules.sequences.asked import SequenceAsked

# Where an event's value lies.
EVENT, NUMBER, TEXT = 0, 1, 2
# What a source computes beside count and sum.
NEED_SPREAD, NEED_RANGE = 1, 2
COUNT, SUM, MEAN, MIN, MAX, STD = range(6)
PREVIOUS, FIRST, SECONDS_SINCE = range(3)
QUANTILE, MOST_COMMON, TREND, PERIODICITY, OPEN = range(5)
ELAPSED, CLOSED = range(2)
_FUNCTIONS = {"count": COUNT, "sum": SUM, "mean": MEAN, "min": MIN, "max": MAX, "std": STD}
_SCANS = {"previous": PREVIOUS, "first": FIRST, "seconds_since": SECONDS_SINCE}
_SERIES = {"quantile": QUANTILE, "most_common": MOST_COMMON, "trend": TREND, "periodicity": PERIODICITY, "open": OPEN}
_NEEDS = {STD: NEED_SPREAD, MIN: NEED_RANGE, MAX: NEED_RANGE}

PARTIAL_WORDS = 5

BEGINNING = -1  # a window's lower edge: all events ever
# A lower edge e <= -2 is the `last` edge number -2 - e.

DAY_MS = 86_400_000
MAX_ENTITIES = 255
MAX_PAIRED_TYPES = 62  # types of events are bits of a word there

# A source: what is taken (kind, column) of which events (word, mask).
Source = tuple[int, int, int, int]
# A column derived from pairs of events: ELAPSED or CLOSED, kind and column of the field they share, and as bits of their
# types, which events begin and which end.
Paired = tuple[int, int, int, int, int]


@dataclass
class EntityPlan:
    """One entity's aggregates, sorted into what the kernels do for them.

    `numeric`, `texts`: indices into the plan's aggregates. `edges`: distances of window edges from an event's time,
    ascending. `last_edges`: (word, mask, size, edge) of `last=` windows; a negative size is that of a session's gap in ms. `windows`: source -> (edge, lower edge) ->
    [(function, column)]. `distincts`: (place in `distinct_sources`, edge, lower edge, column). `scans`: (function,
    source, edge, lower edge, column). `label_windows`: (word, mask, edge, lower edge, function, column).
    `series`: (function, source, edge, lower edge, column, parameter), answered from rows alone.
    `pairs` have a column of their own beside the rows: at an event that ends, the seconds since it began (ELAPSED); at one that
    begins, when it ended (CLOSED).
    `distinct_sources` have a column of previous occurrences beside the rows. `lifetime` sources keep totals of events that are
    gone; `tiled` sources lie in tiles, each at its place in a tile's `tile_words`. `names` say in state what a source is.
    `keeps_totals`: something outlives all windows. `sequences` are asked of the rows themselves, each with its place among the texts.
    """

    name: str
    numeric: tuple[int, ...] = ()
    texts: tuple[int, ...] = ()
    edges: list[int] = field(default_factory=list)
    last_edges: list[tuple[int, int, int, int]] = field(default_factory=list)
    windows: dict[Source, dict[tuple[int, int], list[tuple[int, int]]]] = field(default_factory=dict)
    distincts: list[tuple[int, int, int, int]] = field(default_factory=list)
    distinct_sources: list[Source] = field(default_factory=list)
    scans: list[tuple[int, Source, int, int, int]] = field(default_factory=list)
    label_windows: list[tuple[int, int, int, int, int, int]] = field(default_factory=list)
    pairs: list[Paired] = field(default_factory=list)
    series: list[tuple[int, Source, int, int, int, float]] = field(default_factory=list)
    after_edge: int = -1
    lifetime: list[Source] = field(default_factory=list)
    tiled: dict[Source, int] = field(default_factory=dict)
    tile_words: int = 0
    keeps_totals: bool = False
    names: dict[Source, int] = field(default_factory=dict)
    sequences: list[tuple[SequenceAsked, int]] = field(default_factory=list)

    @property
    def columns(self) -> tuple[int, ...]:
        """Indices into the plan's aggregates, numeric ones first."""
        return self.numeric + self.texts


class Plan:
    """The aggregates of a pipeline, compiled for its layout.

    `columns[entity]` holds the indices of that entity's aggregates, numeric ones first: column k of a result's values is
    aggregate `columns[entity][k]`, its texts follow. `width`, `text_width`: columns of the widest entity. `keep_ms`: rows
    and tiles older than this behind an entity's newest event are not needed by any window that may be asked for.
    """

    def __init__(
        self,
        aggregates: Sequence[Aggregate],
        layout: Layout,
        entities: Sequence[Entity],
        labels: Labels | None,
        limits: HistoryLimits,
    ) -> None:
        """Compile the aggregates. Raises MitraError for one that asks what histories don't hold."""
        if len(entities) > MAX_ENTITIES:
            raise MitraError(f"entities={len(entities)}; a pipeline has at most {MAX_ENTITIES}")
        self.aggregates = tuple(aggregates)
        self.layout = layout
        self.entities = tuple(entities)
        self.labels = labels
        self.limits = limits
        self.conditions = Conditions(aggregates, layout)
        known = {entity.name for entity in entities}
        for aggregate in aggregates:
            if aggregate.entity not in known:
                raise MitraError(
                    f"aggregate {aggregate.key}: by={aggregate.entity}; entities are {', '.join(sorted(known))}"
                )
        self.by_entity = tuple(self._compile(entity) for entity in entities)
        self.columns = tuple(plan.columns for plan in self.by_entity)
        self.width = max((len(plan.numeric) for plan in self.by_entity), default=0)
        self.text_width = max((len(plan.texts) for plan in self.by_entity), default=0)
        reach = max((a.delay_ms + a.window.size for a in aggregates if a.window.kind == "over"), default=0)
        # A day more, so that an event which comes late by less still finds its windows whole.
        self.keep_ms = max(reach, limits.max_window_ms) + DAY_MS
        self.words = self._pack()

    @property
    def stored_columns(self) -> int:
        """Columns of a row as it is stored: time and kind, id, content and arrival, then fields, then flags."""
        return 3 + len(self.layout.numeric) + len(self.layout.text) + self.conditions.words

    def _compile(self, entity: Entity) -> EntityPlan:
        plan = EntityPlan(entity.name)
        mine = [(place, a) for place, a in enumerate(self.aggregates) if a.entity == entity.name]
        plan.texts = tuple(place for place, a in mine if self._is_text(a))
        plan.numeric = tuple(place for place, a in mine if not self._is_text(a))
        offsets = {0} | {a.delay_ms for _, a in mine}
        offsets |= {a.delay_ms + a.window.size for _, a in mine if a.window.kind == "over" and a.function != "sequence"}
        labels = self.labels
        if labels is not None and labels.absent_is == "legit":
            offsets.add(labels.after_ms)
        plan.edges = sorted(offsets)
        if labels is not None and labels.absent_is == "legit":
            plan.after_edge = plan.edges.index(labels.after_ms)
        plan.pairs = list(dict.fromkeys(self._paired(a) for _, a in mine if a.pair is not None))
        for column, place in enumerate(plan.numeric):
            self._add(plan, self.aggregates[place], column)
        for column, place in enumerate(plan.texts):
            self._add(plan, self.aggregates[place], column)
        self._add_state(plan)
        return plan

    def _is_text(self, aggregate: Aggregate) -> bool:
        if aggregate.function == "sequence":
            return True
        return aggregate.function in {"previous", "first", "most_common"} and aggregate.field in self.layout.text

    def _add(self, plan: EntityPlan, a: Aggregate, column: int) -> None:
        if isinstance(a, SequenceAsked):
            plan.sequences.append((a, column))
            return
        edge = plan.edges.index(a.delay_ms)
        word, mask = self.conditions.mask(a)
        if a.window.kind == "over":
            low = plan.edges.index(a.delay_ms + a.window.size)
        elif a.window.kind in {"last", "session"}:
            last = (word, mask, a.window.size if a.window.kind == "last" else -a.window.size, edge)
            if last not in plan.last_edges:
                plan.last_edges.append(last)
            low = -2 - plan.last_edges.index(last)
        else:
            low = BEGINNING
        if self.labels is not None and a.field == self.labels.name and a.function in _FUNCTIONS:
            plan.label_windows.append((word, mask, edge, low, _FUNCTIONS[a.function], column))
            return
        kind, place = self._locate(plan, a)
        source = (kind, place, word, mask)
        if a.function in _FUNCTIONS:
            windows = plan.windows.setdefault(source, {})
            windows.setdefault((edge, low), []).append((_FUNCTIONS[a.function], column))
        elif a.function == "distinct":
            if source not in plan.distinct_sources:
                plan.distinct_sources.append(source)
            plan.distincts.append((plan.distinct_sources.index(source), edge, low, column))
        elif a.function in _SERIES:
            told = plan.pairs.index(self._paired(a)) if a.function == "open" else a.parameter
            plan.series.append((_SERIES[a.function], source, edge, low, column, told or 0.0))
        else:
            plan.scans.append((_SCANS[a.function], source, edge, low, column))

    def _paired(self, a: Aggregate) -> Paired:
        """Return the column that an aggregate of paired events reads."""
        pair = a.pair
        assert pair is not None
        events = self.layout.events
        if not {pair.begin, *pair.ends} <= set(events[:MAX_PAIRED_TYPES]):
            raise MitraError(f"aggregate {a.key}: of event types {', '.join(events[:MAX_PAIRED_TYPES])} only")
        of_text = pair.id in self.layout.text
        names = self.layout.text if of_text else self.layout.numeric
        if pair.id not in names:
            raise MitraError(f"aggregate {a.key}: histories keep no field={pair.id!r}")
        ends = sum(1 << events.index(name) for name in pair.ends)
        column = CLOSED if a.function == "open" else ELAPSED
        return column, TEXT if of_text else NUMBER, names.index(pair.id), 1 << events.index(pair.begin), ends

    def _locate(self, plan: EntityPlan, a: Aggregate) -> tuple[int, int]:
        if a.pair is not None:
            # Behind the stored columns; kernels count a number's column from the first number's.
            stored = len(self.layout.numeric) + len(self.layout.text) + self.conditions.words
            return NUMBER, stored + plan.pairs.index(self._paired(a))
        if a.field is None:
            if a.function in {"count", "seconds_since", "periodicity"}:
                return EVENT, 0
            raise MitraError(f"aggregate {a.key}: {a.function} needs a field")
        if a.field in self.layout.numeric:
            return NUMBER, self.layout.numeric.index(a.field)
        if a.field in self.layout.text:
            if a.function in {"count", "distinct", "previous", "first", "most_common"}:
                return TEXT, self.layout.text.index(a.field)
            raise MitraError(f"aggregate {a.key}: {a.function} of field={a.field!r}, which is a string")
        kept = ", ".join(self.layout.numeric + self.layout.text) or "no field"
        raise MitraError(f"aggregate {a.key}: histories keep no field={a.field!r}; they keep {kept}")

    def _source_name(self, plan: EntityPlan, source: Source) -> int:
        """Return what a source is called in state: a hash of what is taken and of which events."""
        kind, place, word, mask = source
        if place >= len(self.layout.numeric) and kind == NUMBER:
            mine = (a for a in self.aggregates if a.entity == plan.name and a.pair is not None)
            field_name = next(repr(a.pair) for a in mine if self._locate(plan, a) == (kind, place))
        else:
            field_name = (("",), self.layout.numeric, self.layout.text)[kind][place]
        where, event = (None, None) if word < 0 else self.conditions.listed[word * BITS + mask.bit_length() - 1]
        return text_hash("\0".join((("event", "number", "text")[kind], field_name, where or "", event or "")))

    def _add_state(self, plan: EntityPlan) -> None:
        """Say which sources leave something behind when their events are folded away.

        Tiles hold all numeric fields without conditions, asked for or not, so that a new feature finds its past.
        """
        tiled: dict[Source, None] = {(EVENT, 0, -1, 0): None}
        tiled.update(((NUMBER, place, -1, 0), None) for place in range(len(self.layout.numeric)))
        lifetime: dict[Source, None] = {}
        for source, windows in plan.windows.items():
            for edge, low in windows:
                if low == BEGINNING:
                    lifetime[source] = None
                if low != BEGINNING or plan.edges[edge] > 0:
                    tiled[source] = None
        for word, mask, _, _ in plan.last_edges:
            tiled[EVENT, 0, word, mask] = None
        for word, mask, _, low, _, _ in plan.label_windows:
            tiled[EVENT, 0, word, mask] = None
            if low == BEGINNING:
                lifetime[EVENT, 0, word, mask] = None
        lifetime.update((source, None) for _, source, _, _, _ in plan.scans)
        at = 0
        for source in tiled:
            plan.tiled[source] = at
            at += PARTIAL_WORDS if source[0] == NUMBER else 1
        plan.tile_words = at
        plan.lifetime = list(lifetime)
        for source in (*tiled, *lifetime, *plan.distinct_sources):
            plan.names[source] = self._source_name(plan, source)
        plan.keeps_totals = bool(lifetime) or any(low == BEGINNING for _, _, low, _ in plan.distincts)

    def _pack(self) -> NDArray[np.int64]:
        """Return [entities, then for each the place of its section, then the sections], as `kernels.answer` reads them."""
        sections = [_section(plan) for plan in self.by_entity]
        head = [len(sections)]
        place = 1 + len(sections)
        for section in sections:
            head.append(place)
            place += len(section)
        return np.array([*head, *(number for section in sections for number in section)], np.int64)


def _section(plan: EntityPlan) -> list[int]:
    distinct_sources = [len(plan.distinct_sources), *(number for source in plan.distinct_sources for number in source)]
    pairs = [len(plan.pairs), *(number for pair in plan.pairs for number in pair)]
    numbers = [*distinct_sources, *pairs, len(plan.edges), *plan.edges, plan.after_edge, len(plan.last_edges)]
    for word, mask, size, edge in plan.last_edges:
        numbers += [word, mask, size, edge, plan.tiled[EVENT, 0, word, mask]]
    numbers.append(len(plan.windows))
    lifetime = {source: place for place, source in enumerate(plan.lifetime)}
    tiled = {source: place for place, source in enumerate(plan.tiled)}
    for source, windows in plan.windows.items():
        need = 0
        for outputs in windows.values():
            for function, _ in outputs:
                need |= _NEEDS.get(function, 0)
        numbers += [
            *source,
            need,
            plan.tiled.get(source, -1),
            tiled.get(source, -1),
            lifetime.get(source, -1),
            len(windows),
        ]
        # By upper edge, then outwards: nested windows with one upper edge share one pass. Ever comes last, `last` apart.
        for (edge, low), outputs in sorted(windows.items(), key=_outwards):
            numbers += [edge, low, len(outputs)]
            for function, column in outputs:
                numbers += [function, column]
    numbers.append(len(plan.distincts))
    for distinct in plan.distincts:
        numbers += distinct
    numbers.append(len(plan.scans))
    for function, source, edge, low, column in plan.scans:
        numbers += [function, *source, edge, low, column, lifetime[source]]
    numbers.append(len(plan.label_windows))
    for word, mask, edge, low, function, column in plan.label_windows:
        events: Source = (EVENT, 0, word, mask)
        numbers += [word, mask, edge, low, function, column]
        numbers += [plan.tiled.get(events, -1), tiled.get(events, -1), lifetime.get(events, -1)]
    numbers.append(len(plan.series))
    for function, source, edge, low, column, parameter in plan.series:
        numbers += [function, *source, edge, low, column, _bits(parameter)]
    return numbers


def _bits(number: float) -> int:
    """Return a number's bits as the integer that kernels take them from."""
    return int(np.float64(number).view(np.int64))


def _outwards(item: tuple[tuple[int, int], object]) -> tuple[int, int, int]:
    (edge, low), _ = item
    if low <= -2:
        return 1, edge, -low
    return 0, edge, low if low >= 0 else 1 << 30
