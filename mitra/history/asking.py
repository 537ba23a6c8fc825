"""Answers an entity's aggregates as of a time at which no event comes, and tells when time alone will change them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mitra.history.columns import COUNTER, GONE_MS, ROWS
from mitra.history.kernels import answer_at
from mitra.history.loading import record_of
from mitra.history.memory import TIME
from mitra.history.texts import answer_texts
from mitra.history.work import Work

LEAST_STEP_MS = 1_000
STEPS = 256
"""An edge that lies among folded events moves through tiles all the time: such a window is looked at so often while it passes."""


class Asked(NamedTuple):
    """What a history answers as of `time_ms`: float64 and bool by the plan's numeric columns, then the texts.

    `next_ms` is when time alone may change it next, None for never.
    """

    time_ms: int
    values: NDArray[np.float64]
    approximate: NDArray[np.uint8]
    texts: list[str | None]
    next_ms: int | None


def ask(work: Work, entity: int, key: str, since_ms: int, spans: Sequence[int]) -> Asked | None:
    """Answer as of `since_ms`, or of the newest event where that is later; None where the history holds nothing.

    `spans`: how far behind a time events cross the edge of a window.
    """
    record = record_of(work, entity, key)
    info = work.cache.info[record.handle]
    rows = int(info[ROWS])
    if not info[COUNTER] or not rows:
        return None
    times = record.words[TIME * record.cap : TIME * record.cap + rows]
    time_ms = max(since_ms, int(times[-1]))
    plan, shape = work.plan, work.shape
    values = np.full(plan.width, np.nan)
    text_values = np.zeros(plan.text_width, np.int64)
    approximate = np.zeros(plan.width, np.uint8)
    answer_at(
        record.handle, time_ms, work.cache.info, shape.numeric, shape.texts, shape.words, plan.words, work.shared.scratch,
        work.shared.partial, values, text_values, approximate,
    )  # fmt: skip
    (texts,) = answer_texts(work, [record], text_values[np.newaxis])
    folded_ms = int(info[GONE_MS]) if record.past is None else max(int(info[GONE_MS]), record.past.folded_ms)
    return Asked(time_ms, values, approximate, texts, _next_ms(times, time_ms, spans, folded_ms))


def _next_ms(times: NDArray[np.int64], time_ms: int, spans: Sequence[int], folded_ms: int) -> int | None:
    """Return the next time at which an event crosses an edge."""
    found = []
    for span in spans:
        edge_ms = time_ms - span
        if edge_ms < folded_ms:
            found.append(time_ms + max(LEAST_STEP_MS, span // STEPS))
        row = int(np.searchsorted(times, edge_ms, side="right"))
        if row < len(times):
            found.append(int(times[row]) + span)
    return min(found, default=None)
