"""What the steps of `History.process` share: what outlives a batch, and what belongs to the one at hand."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mitra.history.batch import Events
from mitra.history.entity import Cache, Record
from mitra.history.memory import FIELDS
from mitra.history.plan import Plan
from mitra.history.store import Store
from mitra.history.upgrade import Reader

if TYPE_CHECKING:
    from mitra.history.watching import Screen

_Array = NDArray[np.int64]


class Shape:
    """Counts that follow from a plan: columns of a row and when rows are folded.

    `stored` columns of a row in memory are stored; an entity of a kind has `columns[kind]`, the rest being derived.
    """

    def __init__(self, plan: Plan) -> None:
        """Take the counts from a plan."""
        self.numeric = len(plan.layout.numeric)
        self.texts = len(plan.layout.text)
        self.words = plan.conditions.words
        self.stored = FIELDS + self.numeric + self.texts + self.words
        self.columns = [self.stored + len(entity.pairs) + len(entity.distinct_sources) for entity in plan.by_entity]
        self.raw_limit = max(2, plan.limits.raw_events)
        self.fold_rows = plan.limits.fold_rows


class Shared:
    """What outlives a batch: the entities in memory, and room that is used again.

    `recent`: texts that came a short time ago, by hash, as they are stored. `days`: each bucket's days with lists of entities.
    `described`: buckets that hold the descriptions of the plan's layout and conditions. `dirty`: by bucket, the entities that
    are still to be written, those that were changed first first. `older`: what was in memory under plans that kept other things
    of an event, as long as some of it is still to be written. `screens`: by entity, for what sequences an event is of use.
    """

    def __init__(self, plan: Plan, cache_bytes: int) -> None:
        """Start with nothing in memory."""
        self.plan = plan
        self.dirty: dict[int, dict[str, Record]] = {}
        self.older: list[Shared] = []
        self.shape = Shape(plan)
        self.cache = Cache(cache_bytes)
        self.reader = Reader(plan)
        self.recent: dict[int, bytes] = {}
        self.masks: dict[int, list[int]] = {}
        self.described: set[int] = set()
        self.days: dict[int, dict[int, tuple[int, int]]] = {}
        edges = max((len(entity.edges) + 2 * len(entity.last_edges) for entity in plan.by_entity), default=0)
        self.screens: dict[int, Screen] = {}
        self.scratch = np.zeros(edges + 8, np.int64)
        self.partial = np.zeros(16)
        self.out = np.empty(1 << 16, np.int64)

    def take_over(self, before: "Shared") -> None:
        """Go on with what is in memory from a plan that keeps the same of an event."""
        self.cache = before.cache
        self.dirty = before.dirty
        self.older = before.older
        self.recent = before.recent
        self.masks = before.masks
        self.described = before.described
        self.days = before.days

    def succeed(self, before: "Shared") -> None:
        """Begin anew after a plan that kept other things of an event; what it left to be written is written in time."""
        before.cache.keep_only(record for dirty in before.dirty.values() for record in dirty.values())
        self.older = [*before.older, before]
        before.older = []
        self.recent = before.recent
        self.days = before.days


@dataclass
class Work:
    """One call of `process`: the entities it touches, what it is going to write and which keys go afterwards.

    `kept` are idle entities that only lifetime totals are left of. `at_once`: entities that are written with this batch, for the
    day's list that they stand in is. `encoded_texts`: each event's texts as they are stored. `counted`: the newest entry of the
    bucket's journal that is counted in when the call begins.
    """

    shared: Shared
    bucket: int
    store: Store
    events: Events
    counted: int = 0
    touched: dict[str, Record] = field(default_factory=dict)
    entries: dict[str, bytes] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    at_once: list[Record] = field(default_factory=list)
    encoded_texts: list[list[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Bring near what every step uses."""
        self.plan = self.shared.plan
        self.shape = self.shared.shape
        self.cache = self.shared.cache
        self.reader = self.shared.reader

    def changed_by(self, entry: int) -> None:
        """Note that an entry of the journal changed what is touched: it is to be written; what was to be already keeps its place."""
        dirty = self.shared.dirty.setdefault(self.bucket, {})
        for name, record in self.touched.items():
            if not record.since:
                record.since = entry
                dirty[name] = record
