"""Takes in labels."""

import numpy as np
from numpy.typing import NDArray

from mitra.history import labels as label_notes
from mitra.history.batch import LabelNotes
from mitra.history.columns import NOTE_COUNT, NOTE_FLAGS
from mitra.history.labels import add_notes
from mitra.history.loading import records_of
from mitra.history.work import Work

_Array = NDArray[np.int64]


def note_labels(work: Work, labels: LabelNotes) -> None:
    """Note labels of events, whether they have come or not."""
    records = records_of(work, labels.entity.tolist(), labels.key)
    if not records:
        return
    cache, rule = work.cache, work.plan.labels
    handles = np.array([record.handle for record in records], np.int64)
    unique, places, counts = np.unique(handles, return_index=True, return_counts=True)
    touched = [records[place] for place in places.tolist()]
    for record, more in zip(touched, counts.tolist(), strict=True):
        cache.reserve_notes(record, more, NOTE_FLAGS + work.shape.words)
    add_notes(
        handles, labels.id_hash, labels.event_time_ms, np.ascontiguousarray(labels.value, np.float64), labels.known_at_ms,
        labels.version, cache.info, work.shape.words, work.shape.stored - work.shape.words,
    )  # fmt: skip
    for record, count in zip(touched, cache.info[unique, NOTE_COUNT].tolist(), strict=True):
        record.notes = record.note_room[:count]
        if count > 2 * label_notes.SILENT_NOTES and rule is not None and rule.absent_is == "legit":
            kept = label_notes.forget_silent(record.notes, rule.after_ms)
            if len(kept) < count:
                cache.set_notes(record, kept)
