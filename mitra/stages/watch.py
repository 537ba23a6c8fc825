"""What becomes of a sequence's match: a decision carries it, an alert tells it, or it waits for what mustn't come."""

from collections.abc import Callable, Iterator

from mitra.alerts import Subject, Watch, alert
from mitra.history import Found, History, Store
from mitra.kept_dues import Due, KeptDues
from mitra.revision import Revision

Marks = Callable[[str, str, int, int], list[str]]
"""(entity, key, revision, time in ms) -> the names of the lists and snoozes that hold the entity."""


class Watching:
    """The sequences of one subtask's buckets: alerts made, and due times kept."""

    def __init__(self, decided: frozenset[str]) -> None:
        """Decisions are made on events of the types `decided`."""
        self._decided = decided
        self._watches: dict[int, dict[str, Watch]] = {}
        self._dues: dict[int, KeptDues] = {}

    def open(self, bucket: int, store: Store) -> None:
        """Read what a bucket waits for."""
        if bucket not in self._dues:
            self._dues[bucket] = KeptDues(store)

    def forget(self) -> None:
        """Compile anew what is watched: revisions have come or gone."""
        self._watches.clear()

    def waits(self, bucket: int) -> bool:
        """Tell whether a bucket has anything due."""
        return bucket in self._dues and self._dues[bucket].any

    def watches(self, revision: Revision) -> dict[str, Watch]:
        """Return the sequences of a revision, by what histories are asked of them."""
        found = self._watches.get(revision.number)
        if found is None:
            sequences = () if revision.rules is None else revision.rules.sequences
            found = {asked.key: Watch(rule, asked, reason) for rule, asked, reason in sequences}
            self._watches[revision.number] = found
        return found

    def take(
        self,
        bucket: int,
        store: Store,
        found: list[Found],
        subjects: Callable[[int], tuple[str, str]],
        revision: Revision,
        marks: Marks,
    ) -> Iterator[tuple[str, bytes]]:
        """Yield the alerts of a batch's matches, and keep what is due. `subjects` gives a touch's entity and key."""
        watches = self.watches(revision)
        dues = []
        for one in found:
            watch = watches.get(one.key)
            if watch is None:
                continue
            entity, key = subjects(one.touch)
            last = one.taken[-1]
            if watch.asked.matcher.awaits_absence:
                due_ms = one.taken[0].time_ms + watch.asked.matcher.within_ms
                dues.append(Due(due_ms, watch.rule.id, entity, key, last.time_ms, last.arrival))
            elif one.late or last.event not in self._decided:
                names = marks(entity, key, revision.number, last.time_ms)
                subject = Subject(entity, key, names)
                made = alert(watch, subject, one.taken, last.time_ms, revision.number, late=one.late)
                if made is not None:
                    yield made
        if dues:
            self._dues[bucket].add(dues, store)

    def due(
        self, bucket: int, store: Store, history: History, clock_ms: int, revision: Revision, marks: Marks
    ) -> Iterator[tuple[str, bytes]]:
        """Yield the alerts of what has been absent until `clock_ms`, as the histories are now."""
        by_rule = {watch.rule.id: watch for watch in self.watches(revision).values()}
        for due in self._dues[bucket].take(clock_ms, store):
            watch = by_rule.get(due.sequence)
            if watch is None or not watch.asked.matcher.awaits_absence:
                continue  # retired, or another sequence by now
            rows = history.look(bucket, store, due.entity, due.key)
            place = rows.row_of(due.time_ms, due.arrival)
            if place is None:
                continue
            matcher = watch.asked.matcher
            for match in matcher.ending_at(rows, place):
                taken = rows.taken(watch.asked, match)
                if matcher.due_ms(rows, match) != due.due_ms or not matcher.stays_absent(rows, match, len(rows.times)):
                    continue
                names = marks(due.entity, due.key, revision.number, due.due_ms)
                subject = Subject(due.entity, due.key, names)
                made = alert(watch, subject, taken, due.due_ms, revision.number, late=False)
                if made is not None:
                    yield made
