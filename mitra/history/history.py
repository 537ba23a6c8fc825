"""The histories of one subtask: each batch is appended and answered, then put into the journal or written, then remembered."""

from collections.abc import Sequence

from mitra.history.appending import append
from mitra.history.asking import Asked, ask
from mitra.history.batch import Events, LabelNotes, Result, Touches, no_events
from mitra.history.idle import relist, sweep
from mitra.history.journal import Entry, Journal, batch_of, entry_of
from mitra.history.loading import record_of
from mitra.history.noting import note_labels
from mitra.history.plan import Plan
from mitra.history.store import Store
from mitra.history.watching import Rows
from mitra.history.work import Shared, Work
from mitra.history.writing import describe, put, write

JOURNAL_EVENTS = 50_000
"""What the journal of a live job holds: applied within a few seconds after a restore, and most entities are written once for
many events."""


def _keep_alike(one: Plan, other: Plan) -> bool:
    """Tell whether rows and tiles of one plan are those of another, so that only the windows over them differ."""
    return (
        one.layout == other.layout
        and one.conditions.listed == other.conditions.listed
        and all(
            (a.pairs, a.distinct_sources, a.tiled, a.lifetime, a.keeps_totals)
            == (b.pairs, b.distinct_sources, b.tiled, b.lifetime, b.keeps_totals)
            for a, b in zip(one.by_entity, other.by_entity, strict=True)
        )
    )


class History:
    """Appends events to the histories of their entities and answers the plan's aggregates as of each.

    One instance serves all the buckets of a subtask. It may be thrown away at any time: all it knows is in the stores.
    """

    def __init__(self, plan: Plan, cache_bytes: int = 256 << 20, journal_events: int = 0) -> None:
        """Keep up to `cache_bytes` of entities in memory between batches, and more where more is still to be written.

        With `journal_events`, batches are put into a journal, and entities are written when so many events have come since they changed.
        Without, each batch writes the entities that it touches.
        """
        self.plan = plan
        self._cache_bytes = cache_bytes
        self._journal_events = journal_events
        self._journals: dict[int, Journal] = {}
        self._entities = [entity.name for entity in plan.by_entity]
        self._shared = Shared(plan, cache_bytes)

    def replan(self, plan: Plan) -> None:
        """Answer another plan from now on. Entities stay in memory where the two keep the same of an event."""
        before, self.plan = self._shared, plan
        self._shared = Shared(plan, self._cache_bytes)
        if _keep_alike(before.plan, plan):
            self._shared.take_over(before)
        else:
            self._shared.succeed(before)

    def process(
        self, bucket: int, store: Store, events: Events, touches: Touches, labels: LabelNotes | None, clock_ms: int
    ) -> Result:
        """Note the labels, append the events in order and answer for each touch; write what changed.

        `clock_ms` is the stage's event-time clock: entities idle for longer than any window are swept by it.
        If anything raises, nothing counts as remembered that the store may lack.
        """
        try:
            journal = self._journals.get(bucket) or self._open(bucket, store)
            work = Work(self._shared, bucket, store, events, journal.next - 1)
            if labels is not None:
                note_labels(work, labels)
            result = append(work, touches)
            sweep(work, clock_ms)
            if self._journal_events and (len(touches.event) or labels is not None):
                entry = entry_of(self.plan.layout, self._entities, clock_ms, events, touches, labels)
                journal.append(work.entries, entry)
            write(work, journal, self._journal_events // len(self._journals))
        except BaseException:
            self._abandon(bucket)
            raise
        cache = self._shared.cache
        cache.used(work.touched.values())
        cache.trim()
        return result

    def look(self, bucket: int, store: Store, entity: str, key: str) -> Rows:
        """Return all rows of an entity; they are good until the next call."""
        if bucket not in self._journals:
            self._open(bucket, store)
        work = Work(self._shared, bucket, store, no_events(self.plan.layout))
        record = record_of(work, self._entities.index(entity), key)
        self._shared.cache.used([record])
        return Rows(work, record, None)

    def ask(
        self, bucket: int, store: Store, entity: int, key: str, since_ms: int, spans: Sequence[int]
    ) -> Asked | None:
        """Answer for an entity as of `since_ms`, or of its newest event where that is later (see `asking.ask`)."""
        if bucket not in self._journals:
            self._open(bucket, store)
        work = Work(self._shared, bucket, store, no_events(self.plan.layout))
        asked = ask(work, entity, key, since_ms, spans)
        self._shared.cache.used(work.touched.values())
        return asked

    def _open(self, bucket: int, store: Store) -> Journal:
        """Apply what the bucket's journal has, where the entities as they were written haven't counted it in."""
        journal = Journal(store)
        for number, entry in enumerate(journal.stored, journal.first):
            self._apply(bucket, store, number, entry)
        journal.stored.clear()
        self._journals[bucket] = journal
        return journal

    def _apply(self, bucket: int, store: Store, number: int, entry: Entry) -> None:
        layout = self._shared.reader.layout(entry.layout, store)
        events, touches, labels = batch_of(entry, layout, self.plan.layout, self._entities)
        work = Work(self._shared, bucket, store, events, number)

        def has(entity: int, key: str) -> bool:
            return record_of(work, entity, key).directory.counted >= number

        if labels is not None:
            fresh = [i for i, key in enumerate(labels.key) if not has(int(labels.entity[i]), key)]
            note_labels(work, labels.some(fresh))
        fresh = [i for i, key in enumerate(touches.key) if not has(int(touches.entity[i]), key)]
        append(work, touches.some(fresh), again=True)
        for name in [name for name, record in work.touched.items() if record.directory.counted >= number]:
            del work.touched[name]
        relist(work, entry.clock_ms)
        work.changed_by(number)
        describe(work)
        put(work)
        self._shared.cache.used(work.touched.values())

    def _abandon(self, bucket: int) -> None:
        """Forget what is in memory of a bucket: the store has what was counted before, and its journal."""
        self._journals.pop(bucket, None)
        for shared in (self._shared, *self._shared.older):
            shared.days.pop(bucket, None)
            shared.described.discard(bucket)
            shared.dirty.pop(bucket, None)
            for record in [record for record in shared.cache.records.values() if record.bucket == bucket]:
                shared.cache.drop(record)
