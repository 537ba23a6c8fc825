"""Finds idle entities through the day index, and lets go of them."""

from mitra.history import codec
from mitra.history.columns import COUNTER, GONE_MS, NOTE_COUNT, NOTE_TIME, ROWS
from mitra.history.entity import Record
from mitra.history.loading import record_of
from mitra.history.memory import TIME
from mitra.history.plan import DAY_MS
from mitra.history.retiring import fold_notes, fold_oldest, remove_oldest
from mitra.history.store import labels_key, segment_key, tiles_key
from mitra.history.sweep import LOOKS, DayIndex, due_day
from mitra.history.work import Work


def sweep(work: Work, clock_ms: int) -> None:
    """List entities that are new, and look at some of those whose day has come."""
    index = _index(work)
    today = clock_ms // DAY_MS
    listed: dict[int, list[str]] = {}
    # Twice as many as come: however many new entities a batch brings, the lists get shorter.
    new = sum(record.directory.due_day < 0 for record in work.touched.values())
    for day, name in _due(index, clock_ms, max(LOOKS, 2 * new)):
        record = _known(work, name)
        if record is None or record.directory.due_day != day:
            continue
        due = due_day(_newest_ms(work, record), work.plan.keep_ms)
        record.changed = True
        if due > today:
            record.directory.due_day = due
            listed.setdefault(due, []).append(name)
            work.at_once.append(record)
        else:
            _forget(work, record)
    _list_new(work, index, today, listed)


def relist(work: Work, clock_ms: int) -> None:
    """List the entities that are new to a bucket whose journal is applied: their headers don't say yet where they stand."""
    _list_new(work, _index(work), clock_ms // DAY_MS, {})


def _index(work: Work) -> DayIndex:
    """Return the bucket's day index, to go on with what the batch before knew of it."""
    index = DayIndex(work.store, work.entries, work.removed, work.shared.days.get(work.bucket))
    work.shared.days[work.bucket] = index.days
    return index


def _list_new(work: Work, index: DayIndex, today: int, listed: dict[int, list[str]]) -> None:
    """List what is `listed` by day, and each entity that stands in no list, on the day on which it is looked at."""
    for name, record in work.touched.items():
        info = work.cache.info[record.handle]
        if record.directory.due_day < 0 and name not in work.kept and info[ROWS] + info[NOTE_COUNT]:
            due = record.directory.due_day = max(due_day(_newest_ms(work, record), work.plan.keep_ms), today + 1)
            record.changed = True
            listed.setdefault(due, []).append(name)
    for due, names in listed.items():
        index.add(due, names)


def _due(index: DayIndex, clock_ms: int, most: int) -> list[tuple[int, str]]:
    """Take entities off the lists of days that have come, at most `most`: the day and the header's key."""
    names = index.take(clock_ms)
    while len(names) + LOOKS <= most and (more := index.take(clock_ms)):
        names += more
    return names


def _known(work: Work, name: str) -> Record | None:
    """Return the entity of a header's key, None if there is none; what is left of one that the pipeline dropped is removed.

    An entity may stand in a list twice, after a restore; the day in its header tells which one counts.
    """
    entity, _, key = name.partition("\0")
    for place, plan in enumerate(work.plan.by_entity):
        if plan.name == entity:
            record = record_of(work, place, key)
            info = work.cache.info[record.handle]
            if info[COUNTER] or info[NOTE_COUNT] or record.past is not None:
                return record
            _drop(work, record)
            return None
    data = work.store.get(name)
    if data is not None:
        head = work.reader.block(data, work.store)
        _remove_keys(work, name, codec.decode_directory(head.directory))
    return None


def _newest_ms(work: Work, record: Record) -> int:
    """Return the time of an entity's newest event; of a label's when no event is left."""
    rows = int(work.cache.info[record.handle, ROWS])
    newest = int(record.words[TIME * record.cap + rows - 1]) if rows else 0
    if not rows and record.notes is not None and len(record.notes):
        newest = int(record.notes[:, NOTE_TIME].max())
    return max(newest, 0 if record.past is None else record.past.folded_ms)


def _forget(work: Work, record: Record) -> None:
    """Let go of an idle entity; lifetime totals stay."""
    rows = int(work.cache.info[record.handle, ROWS])
    if work.plan.by_entity[record.entity].keeps_totals:
        if rows:
            newest_ms = _newest_ms(work, record)
            fold_oldest(work, record, rows, newest_ms + work.plan.keep_ms)
            fold_notes(work, record, rows, newest_ms)
            remove_oldest(work, record, rows)
            work.cache.info[record.handle, GONE_MS] = record.directory.gone_ms = newest_ms
        record.directory.due_day = -1
        work.kept.add(record.key)
        work.at_once.append(record)
        return
    _remove_keys(work, record.key, record.directory)
    work.removed += record.removed
    _drop(work, record)


def _drop(work: Work, record: Record) -> None:
    """Forget an entity of which nothing is to be written."""
    del work.touched[record.key]
    work.shared.dirty.get(work.bucket, {}).pop(record.key, None)
    work.cache.drop(record)


def _remove_keys(work: Work, name: str, directory: codec.Directory) -> None:
    work.removed.append(name)
    work.removed += [segment_key(name, number) for number in directory.segments[::2]]
    if directory.past:
        work.removed.append(tiles_key(name))
    if directory.labels_apart:
        work.removed.append(labels_key(name))
