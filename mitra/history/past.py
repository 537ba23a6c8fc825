"""One entity's events that are no longer rows: their tiles, totals and samples, in memory and as bytes."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from mitra.history import codec
from mitra.history.plan import TEXT, EntityPlan
from mitra.history.scans import ALWAYS, NEVER
from mitra.history.tiles import (
    COVERED_AT,
    COVERED_MS,
    FIRST_MS,
    FIRST_VALUE,
    FOLDED_MS,
    HEAD,
    LAST_MS,
    LAST_VALUE,
    SAMPLE,
    SAMPLE_HEAD,
    SAMPLES_AT,
    SUFFIX_AT,
    TILE_WORDS,
    TILES,
    TILES_AT,
    TOTAL_WORDS,
    TOTALS_AT,
    cascade,
    fold_rows,
    sample_rows,
    suffixes,
    total_rows,
)

PAST_VERSION = 1
_Array = NDArray[np.int64]


class _StoredSample(msgspec.Struct, array_like=True):
    """A sample of distinct values: the values' words, then the times they were last seen."""

    name: int
    level: int
    covered_ms: int
    words: bytes


class _Stored(msgspec.Struct, array_like=True):
    """A past as it lies in state.

    `tiled`: (name, kind, covered from) of each source in a tile; `tiles`: start and end of each tile, then the payloads;
    `totals`: (name, words); `texts`: those that totals speak of, as in a block.
    """

    version: int
    folded_ms: int
    tiled: list[tuple[int, int, int]]
    count: int
    tiles: bytes
    totals: list[tuple[int, bytes]]
    samples: list[_StoredSample]
    texts: bytes


class Sample:
    """The sampled values of one distinct source."""

    def __init__(self, covered_ms: int) -> None:
        """Start empty; `covered_ms` is when that was, ALWAYS if nothing had been folded before."""
        self.values = np.empty(SAMPLE + 1, np.int64)
        self.times = np.empty(SAMPLE + 1, np.int64)
        self.size = 0
        self.level = 0
        self.covered_ms = covered_ms


class Past:
    """What tiles, totals and samples hold, in the order of an entity's plan; `packed` is the same for the kernels."""

    def __init__(self, plan: EntityPlan, covered_ms: int = ALWAYS) -> None:
        """Start with nothing folded; events up to `covered_ms` were dropped before, if there were any."""
        self.plan = plan
        self.folded_ms = ALWAYS
        self.tiles = 0
        self.starts = np.empty(0, np.int64)
        self.ends = np.empty(0, np.int64)
        self.payload = np.empty((0, plan.tile_words))
        self.covered = np.full(len(plan.tiled), covered_ms, np.int64)
        self.totals = _no_totals(len(plan.lifetime), covered_ms)
        self.samples = [Sample(covered_ms) for _ in plan.distinct_sources]
        self.texts: dict[int, bytes] = {}
        self._tiled = np.array([(*source, at) for source, at in plan.tiled.items()], np.int64).reshape(-1, 5)
        self._lifetime = np.array([(*source, 0) for source in plan.lifetime], np.int64).reshape(-1, 5)
        self.packed: _Array = np.empty(0, np.int64)

    def fold(
        self, words: _Array, cap: int, count: int, numbers: int, word_column: int, newest_ms: int, keep_ms: int
    ) -> bool:
        """Take in the oldest `count` rows; return True if a sample had to be thinned.

        Tiles older than `keep_ms` behind `newest_ms` are dropped.
        """
        address = int(words.__array_interface__["data"][0])
        columns = len(words) // cap
        oldest = newest_ms - keep_ms
        self._make_room(count)
        self.tiles = fold_rows(
            address,
            cap,
            columns,
            count,
            numbers,
            word_column,
            self._tiled,
            oldest,
            self.starts,
            self.ends,
            self.payload,
            self.tiles,
        )
        self.folded_ms = max(self.folded_ms, int(words[count - 1]))
        self.tiles = cascade(self._tiled, self.starts, self.ends, self.payload, self.tiles, self.folded_ms, oldest)
        total_rows(address, cap, columns, count, numbers, word_column, self._lifetime, self.totals)
        thinned = False
        for source, sample in zip(self.plan.distinct_sources, self.samples, strict=True):
            level = sample.level
            if not self.plan.keeps_totals:
                _expire(sample, oldest)
            sample.size, sample.level = sample_rows(
                address, cap, columns, count, numbers, word_column, np.array(source, np.int64), sample.values, sample.times,
                sample.size, sample.level,
            )  # fmt: skip
            thinned |= level != sample.level
        self.pack()
        return thinned

    def _make_room(self, more: int) -> None:
        size = self.tiles + more
        starts, ends, payload = (
            np.empty(size, np.int64),
            np.empty(size, np.int64),
            np.empty((size, self.plan.tile_words)),
        )
        starts[: self.tiles] = self.starts[: self.tiles]
        ends[: self.tiles] = self.ends[: self.tiles]
        payload[: self.tiles] = self.payload[: self.tiles]
        self.starts, self.ends, self.payload = starts, ends, payload

    def wanted_texts(self) -> list[int]:
        """Return the hashes of texts that totals speak of and that are not kept yet."""
        wanted = []
        for source, total in zip(self.plan.lifetime, self.totals, strict=True):
            if source[0] == TEXT:
                wanted += [h for h in (int(total[FIRST_VALUE]), int(total[LAST_VALUE])) if h and h not in self.texts]
        return wanted

    def keep_texts(self, texts: dict[int, bytes]) -> None:
        """Keep the texts that totals speak of, and no others."""
        known = self.texts | texts
        self.texts = {}
        for source, total in zip(self.plan.lifetime, self.totals, strict=True):
            for hashed in (int(total[FIRST_VALUE]), int(total[LAST_VALUE])):
                if source[0] == TEXT and hashed in known:
                    self.texts[hashed] = known[hashed]

    def pack(self) -> None:
        """Lay everything out in one array, with the sums of the newest tiles that windows are answered from."""
        words = self.plan.tile_words
        count = self.tiles
        tiles_at = HEAD
        suffix_at = tiles_at + count * (words + 2)
        covered_at = suffix_at + (count + 1) * words
        totals_at = covered_at + len(self.covered)
        samples_at = totals_at + self.totals.size
        values_at = samples_at + SAMPLE_HEAD * len(self.samples)
        packed = np.empty(values_at + 2 * sum(sample.size for sample in self.samples), np.int64)
        for place, value in (
            (TILES, count), (TILE_WORDS, words), (FOLDED_MS, self.folded_ms), (TILES_AT, tiles_at), (SUFFIX_AT, suffix_at),
            (COVERED_AT, covered_at), (TOTALS_AT, totals_at), (SAMPLES_AT, samples_at),
        ):  # fmt: skip
            packed[place] = value
        rows = packed[tiles_at:suffix_at].reshape(count, words + 2)
        rows[:, 0] = self.starts[:count]
        rows[:, 1] = self.ends[:count]
        rows[:, 2:] = self.payload[:count].view(np.int64)
        suffix = packed[suffix_at:covered_at].view(np.float64).reshape(count + 1, words)
        suffixes(self._tiled, self.payload, count, suffix)
        packed[covered_at:totals_at] = self.covered
        packed[totals_at:samples_at] = self.totals.ravel()
        at = values_at
        for place, sample in enumerate(self.samples):
            head = samples_at + SAMPLE_HEAD * place
            packed[head : head + SAMPLE_HEAD] = sample.level, sample.size, at, sample.covered_ms
            packed[at : at + sample.size] = sample.values[: sample.size]
            packed[at + sample.size : at + 2 * sample.size] = sample.times[: sample.size]
            at += 2 * sample.size
        self.packed = packed

    def encode(self) -> bytes:
        """Return the past's bytes."""
        names = self.plan.names
        count = self.tiles
        tiled = [
            (names[source], source[0], covered)
            for source, covered in zip(self.plan.tiled, self.covered.tolist(), strict=True)
        ]
        tiles = self.starts[:count].tobytes() + self.ends[:count].tobytes() + self.payload[:count].tobytes()
        totals = [(names[s], total.tobytes()) for s, total in zip(self.plan.lifetime, self.totals, strict=True)]
        samples = [
            _StoredSample(names[s], x.level, x.covered_ms, x.values[: x.size].tobytes() + x.times[: x.size].tobytes())
            for s, x in zip(self.plan.distinct_sources, self.samples, strict=True)
        ]
        texts = b"".join(self.texts.values())
        return msgspec.msgpack.encode(
            _Stored(PAST_VERSION, self.folded_ms, tiled, count, tiles, totals, samples, texts)
        )


_decode = msgspec.msgpack.Decoder(_Stored).decode


def decode_past(data: bytes, plan: EntityPlan) -> Past:
    """Return the past in some bytes, as the plan names its sources.

    A source the bytes don't know is covered from the newest folded event on; one the plan doesn't ask for is left out.
    """
    stored = _decode(data)
    if stored.version != PAST_VERSION:
        raise codec.UnknownStateError(
            f"tiles in state have version={stored.version}; this release reads {PAST_VERSION}: run the one that wrote them"
        )
    past = Past(plan)
    past.folded_ms = stored.folded_ms
    past.tiles = count = stored.count
    past.starts = np.frombuffer(stored.tiles, np.int64, count).copy()
    past.ends = np.frombuffer(stored.tiles, np.int64, count, 8 * count).copy()
    old = np.frombuffer(stored.tiles, np.float64, -1, 16 * count).reshape(count, -1) if count else np.empty((0, 0))
    places: dict[int, tuple[int, int]] = {}
    at = 0
    for name, kind, covered in stored.tiled:
        places[name] = at, covered
        at += _width(kind)
    past.payload = np.zeros((count, plan.tile_words))
    for place, (source, to) in enumerate(plan.tiled.items()):
        start, past.covered[place] = places.get(plan.names[source], (-1, stored.folded_ms))
        if start >= 0 and count:
            past.payload[:, to : to + _width(source[0])] = old[:, start : start + _width(source[0])]
    totals = dict(stored.totals)
    for place, source in enumerate(plan.lifetime):
        words = totals.get(plan.names[source])
        if words is None:
            past.totals[place, COVERED_MS] = stored.folded_ms
        else:
            past.totals[place] = np.frombuffer(words, np.int64)
    samples = {sample.name: sample for sample in stored.samples}
    past.samples = [_sample(samples.get(plan.names[source]), stored.folded_ms) for source in plan.distinct_sources]
    past.texts = codec.decode_texts(stored.texts)
    past.pack()
    return past


def _sample(stored: _StoredSample | None, folded_ms: int) -> Sample:
    if stored is None:
        return Sample(folded_ms)
    sample = Sample(stored.covered_ms)
    words = np.frombuffer(stored.words, np.int64).reshape(2, -1)
    sample.size = words.shape[1]
    sample.level = stored.level
    sample.values[: sample.size], sample.times[: sample.size] = words
    return sample


def _expire(sample: Sample, oldest: int) -> None:
    """Leave out values that were last seen before any window."""
    keep = np.flatnonzero(sample.times[: sample.size] >= oldest)
    if len(keep) < sample.size:
        sample.values[: len(keep)] = sample.values[keep]
        sample.times[: len(keep)] = sample.times[keep]
        sample.size = len(keep)


def _no_totals(count: int, covered_ms: int) -> _Array:
    totals = np.zeros((count, TOTAL_WORDS), np.int64)
    partials = totals.view(np.float64)
    partials[:, 3] = np.inf
    partials[:, 4] = -np.inf
    totals[:, FIRST_MS] = NEVER
    totals[:, LAST_MS] = ALWAYS
    totals[:, COVERED_MS] = covered_ms
    return totals


def _width(kind: int) -> int:
    return 5 if kind == 1 else 1
