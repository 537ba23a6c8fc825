"""The monitor: observations in, records of the monitor topic out when a window of event time has ended, or its labels have matured.

A window is told twice: its volume, checks and drift when the clock has passed its end by what may come late, its quality when
its labels have had their time. A label counts if it became known by then, whenever it comes: so a replay, which has labels early,
and a job, which has them late, tell the same.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mitra.monitoring.alarms import Alarms
from mitra.monitoring.clocks import Clocks
from mitra.monitoring.observed import Labelled, Observation, Payments, Sheet
from mitra.monitoring.settings import Monitoring
from mitra.monitoring.told import Telling
from mitra.monitoring.window import DECIDED, DECISIONS, RAW_SCORE, SCORE, SCORED, Window
from models.drift import Bins
from models.quality import SILENT

Array = np.ndarray[Any, Any]
_UNSEEN, _MISSING = 1, 2


class Monitor:
    """Counts what the buckets of a job tell, and tells what it comes to."""

    def __init__(
        self, monitoring: Monitoring, telling: Telling, clocks: Clocks, *, late_ms: int, labelled: bool
    ) -> None:
        """Watch by `monitoring`; payments come at most `late_ms` late, and with labels if the pipeline is `labelled`."""
        self._monitoring = monitoring
        self._late_ms = late_ms
        self._labelled = labelled
        self._telling = telling
        self.clocks = clocks
        self.alarms = Alarms()
        self.sheets: dict[str, Sheet] = {}
        self.bins: dict[str, dict[str, Bins]] = {}
        self.windows: dict[int, Window] = {}
        self.touched: set[int] = set()
        """The windows that have changed since whoever keeps them has looked."""
        self.told_to_ms: int | None = None
        """Where the last window begins whose drift has been told."""

    def take(self, observation: Observation, now_ms: float) -> None:
        """Count an observation; `now_ms` is the wall clock."""
        if isinstance(observation, Payments):
            self._payments(observation)
            self.clocks.hear(observation.bucket, observation.clocks_ms, now_ms)
        elif isinstance(observation, Labelled):
            self._labels(observation)
        else:
            self.learn(observation)

    def learn(self, sheet: Sheet) -> None:
        """Know a model; what was counted by another baseline of it is dropped."""
        if self.sheets.get(sheet.model) == sheet:
            return
        self.sheets[sheet.model] = sheet
        base = sheet.baseline
        self.bins[sheet.model] = (
            {}
            if base is None
            else {name: Bins(one) for name, one in base.features.items()}
            | {RAW_SCORE: Bins(base.raw_score), SCORE: Bins(base.score)}
        )
        for window in self.windows.values():
            window.forget(sheet.model)

    def due(self, now_ms: float) -> list[dict[str, Any]]:
        """Return the records of what has ended by the clock, the oldest window first."""
        clock_ms = self.clocks.least_ms(now_ms)
        return [] if clock_ms is None else self._end(clock_ms)

    def finish(self) -> list[dict[str, Any]]:
        """Return the records of all windows at the end of a replay; the quality only of those whose labels have matured."""
        newest = self.clocks.newest_ms()
        records = self._end(newest)
        for start in sorted(self.windows):
            if not self.windows[start].drift_told:
                records += self._tell_drift(start)
        return records

    def _end(self, clock_ms: int) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = []
        span = self._monitoring.window_ms
        for start in sorted(self.windows):
            window = self.windows[start]
            if not window.drift_told and clock_ms >= start + span + self._late_ms:
                records += self._tell_drift(start)
            if clock_ms >= self._matures_ms(start):
                if self._labelled:
                    records += self._telling.quality(window, self.sheets, self.alarms)
                del self.windows[start]
                self.touched.add(start)
        return records

    def _tell_drift(self, start: int) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = []
        if self.told_to_ms is not None:
            records += self._telling.gaps(self.told_to_ms, start, self.alarms)
        window = self.windows[start]
        records += self._telling.drift(window, self.bins, self.alarms)
        window.drift_told = True
        window.counts.clear()
        self.told_to_ms = start
        self.touched.add(start)
        return records

    def _matures_ms(self, start: int) -> int:
        waits = self._monitoring.matured_ms if self._labelled else 0
        return start + self._monitoring.window_ms + max(self._late_ms, waits)

    def _window(self, start: int) -> Window | None:
        """Return the window that begins at `start`; None for one that has been told wholly."""
        window = self.windows.get(start)
        if window is None:
            clock_ms = self.clocks.told_ms
            if clock_ms is not None and clock_ms >= self._matures_ms(start):
                return None
            window = self.windows[start] = Window(start, self._monitoring.exact_scores)
            window.drift_told = self.told_to_ms is not None and start <= self.told_to_ms
        self.touched.add(start)
        return window

    def _windows_of(self, times_ms: Array) -> Iterable[tuple[Window, Array]]:
        """Yield the windows that some times lie in, with the rows of each."""
        starts = times_ms // self._monitoring.window_ms * self._monitoring.window_ms
        for start in np.unique(starts).tolist():
            window = self._window(start)
            if window is not None:
                yield window, np.flatnonzero(starts == start)

    def _payments(self, told: Payments) -> None:
        times = np.frombuffer(told.times_ms, dtype=np.int64)
        count = len(times)
        numbers = np.frombuffer(told.numbers, dtype=np.float32).reshape(count, len(told.features))
        checked = np.frombuffer(told.checked).reshape(count, len(told.checked_names))
        texts = np.frombuffer(told.texts, dtype=np.uint8).reshape(count, len(told.text_names))
        rows_of = _Rows(told)
        for window, rows in self._windows_of(times):
            window.payments += len(rows)
            window.modes.update(zip(told.models, told.modes, strict=True))
            if not window.drift_told:
                asked = rows[rows_of.asked[rows]]
                values = {name: numbers[asked, place] for place, name in enumerate(told.features)}
                for place, model in enumerate(told.models):
                    scores = {RAW_SCORE: rows_of.raw[asked, place], SCORE: rows_of.scores[asked, place]}
                    window.count_values(model, self.bins.get(model, {}), values | scores)
                self._check(window, told, checked[rows], texts[rows])
            if self._labelled:
                self._add(window, rows_of, rows, np.full(len(rows), SILENT))

    def _check(self, window: Window, told: Payments, checked: Array, texts: Array) -> None:
        for place, name in enumerate(told.checked_names):
            check = self._monitoring.checks.get(name)
            if check is None:
                continue
            column = checked[:, place]
            there = column[~np.isnan(column)]
            outside = np.zeros(len(there), dtype=bool)
            if check.least is not None:
                outside |= there < check.least
            if check.most is not None:
                outside |= there > check.most
            window.check(name, len(there), int(outside.sum()), 0, len(column) - len(there))
        for place, name in enumerate(told.text_names):
            column = texts[:, place]
            missing = int((column == _MISSING).sum())
            window.check(name, len(column) - missing, 0, int((column == _UNSEEN).sum()), missing)

    def _labels(self, told: Labelled) -> None:
        times = np.frombuffer(told.times_ms, dtype=np.int64)
        rows_of = _Rows(told)
        known = np.frombuffer(told.known_at_ms, dtype=np.int64)
        known_before = np.frombuffer(told.before_known_at_ms, dtype=np.int64)
        classes = np.frombuffer(told.classes, dtype=np.uint8).astype(np.int64)
        before = np.frombuffer(told.before, dtype=np.uint8).astype(np.int64)
        for window, rows in self._windows_of(times):
            matures = self._matures_ms(window.start_ms)
            counts = rows[known[rows] <= matures]
            was = np.where(known_before[counts] <= matures, before[counts], SILENT)
            self._add(window, rows_of, counts, was, -1)
            self._add(window, rows_of, counts, classes[counts])

    def _add(self, window: Window, told: "_Rows", rows: Array, classes: Array, sign: int = 1) -> None:
        """Count payments with their classes, for the decisions and for each model's arms."""
        amounts = told.amounts[rows]
        nothing = np.full(len(rows), np.nan)
        window.tally(DECISIONS, DECIDED).add(classes, told.outcomes[rows], amounts, nothing, sign)
        for place, model in enumerate(told.models):
            raw, scores = told.raw[rows, place], told.scores[rows, place]
            scored = ~np.isnan(scores)
            mine = scored & (told.deciding[rows] == place)
            flagged = self._outcomes(model, scores)
            for arm, chosen in ((SCORED, scored), (DECIDED, mine)):
                if chosen.any():
                    window.ranking(model, arm).add(raw[chosen], classes[chosen], sign)
                    tally = window.tally(model, arm)
                    tally.add(classes[chosen], flagged[chosen], amounts[chosen], scores[chosen], sign)

    def _outcomes(self, model: str, scores: Array) -> Array:
        """Return what a model's thresholds make of its scores: places in allow, review, block."""
        places = np.zeros(len(scores), dtype=np.int64)
        sheet = self.sheets.get(model)
        if sheet is not None:
            for place, threshold in ((1, sheet.review), (2, sheet.block)):
                if threshold is not None:
                    places[scores >= threshold] = place
        return places


class _Rows:
    """The columns that payments and labels have in common."""

    def __init__(self, told: Payments | Labelled) -> None:
        self.models: Sequence[str] = told.models
        shape = (len(told.outcomes), len(told.models))
        self.raw = np.frombuffer(told.raw).reshape(shape)
        self.scores = np.frombuffer(told.scores).reshape(shape)
        self.deciding = np.frombuffer(told.deciding, dtype=np.int8)
        self.outcomes = np.frombuffer(told.outcomes, dtype=np.uint8).astype(np.int64)
        self.amounts = np.frombuffer(told.amounts)
        self.asked = (self.deciding >= 0) | ~np.isnan(self.raw).all(axis=1)
        """Of some types of events models aren't asked at all: their features say nothing of drift."""
