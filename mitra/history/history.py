"""The histories of one subtask: each batch is appended and answered, then written at once, then remembered."""

from mitra.history.appending import append
from mitra.history.batch import Events, LabelNotes, Result, Touches
from mitra.history.idle import sweep
from mitra.history.noting import note_labels
from mitra.history.plan import Plan
from mitra.history.store import Store
from mitra.history.work import Shared, Work
from mitra.history.writing import write


def _keep_alike(one: Plan, other: Plan) -> bool:
    """Tell whether rows and tiles of one plan are those of another, so that only the windows over them differ."""
    return (
        one.layout == other.layout
        and one.conditions.listed == other.conditions.listed
        and all(
            (a.distinct_sources, a.tiled, a.lifetime, a.keeps_totals)
            == (b.distinct_sources, b.tiled, b.lifetime, b.keeps_totals)
            for a, b in zip(one.by_entity, other.by_entity, strict=True)
        )
    )


class History:
    """Appends events to the histories of their entities and answers the plan's aggregates as of each.

    One instance serves all the buckets of a subtask. It may be thrown away at any time: all it knows is in the stores.
    """

    def __init__(self, plan: Plan, cache_bytes: int = 256 << 20) -> None:
        """Keep up to `cache_bytes` of entities in memory between batches."""
        self.plan = plan
        self._cache_bytes = cache_bytes
        self._shared = Shared(plan, cache_bytes)

    def replan(self, plan: Plan) -> None:
        """Answer another plan from now on. Entities stay in memory where the two keep the same of an event."""
        before, self.plan = self._shared, plan
        self._shared = Shared(plan, self._cache_bytes)
        if _keep_alike(before.plan, plan):
            self._shared.take_over(before)

    def process(
        self, bucket: int, store: Store, events: Events, touches: Touches, labels: LabelNotes | None, clock_ms: int
    ) -> Result:
        """Note the labels, append the events in order and answer for each touch; write what changed.

        `clock_ms` is the stage's event-time clock: entities idle for longer than any window are swept by it.
        If anything raises, nothing counts as remembered that the store may lack.
        """
        work = Work(self._shared, bucket, store, events)
        cache = self._shared.cache
        try:
            if labels is not None:
                note_labels(work, labels)
            result = append(work, touches)
            sweep(work, clock_ms)
            write(work)
        except BaseException:
            self._shared.days.pop(bucket, None)
            for record in work.touched.values():
                cache.drop(record)
            raise
        cache.used(work.touched.values())
        cache.trim()
        return result
