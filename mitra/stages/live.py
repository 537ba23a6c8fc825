"""Live features: told when an event changes them, and when time alone does, at the moment it does.

An event's change is as of the newest event of its entity; what time changes is as of its due time. Neither goes back: what a late
event changes is told as of the time that was told of before.

A restore takes nothing back that was told before it, and partitions may come in another order behind it, so that what was told never
holds again. So what is looked at as of a time before the bucket was opened is told whether it has changed or not.
"""

from collections.abc import Iterable, Iterator

import msgspec

from mitra.blueprint import Blueprint
from mitra.history import History, Store
from mitra.kept_live import KeptLive, LastTold
from mitra.live_features import LiveFeatures, live_features
from mitra.stages import Clock
from rules.plan import Value


class FeatureRecord(msgspec.Struct, frozen=True):
    """One value on the features topic: that of an entity's feature from `as_of` on, epoch ms, until the next.

    `published_at` is the wall clock.
    """

    entity: str
    key: str
    feature: str
    value: Value
    as_of: int
    published_at: int
    approximate: bool = False


_encode = msgspec.json.Encoder().encode
Record = tuple[str, bytes]
"""A record of the features topic: its key and its value."""


class Live:
    """Tells the live features of one subtask's buckets."""

    def __init__(self, blueprint: Blueprint, clock: Clock) -> None:
        """Compile the features that the pipeline wants told."""
        told = blueprint.pipeline.told_features
        self._features: dict[str, LiveFeatures] = {}
        if told:
            made = live_features(blueprint.compiled, told, blueprint.schema)
            self._features = {one.entity_name: one for one in made}
        self._clock = clock
        self._kept: dict[int, KeptLive] = {}
        self._opened_ms: dict[int, int] = {}
        """By bucket: nothing was told as of a later time before this start, but of events ahead of the wall clock."""

    @property
    def any(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self._features)

    def open(self, bucket: int, store: Store) -> None:
        """Read what a bucket keeps."""
        if bucket not in self._kept:
            self._kept[bucket] = KeptLive(store)
            self._opened_ms[bucket] = int(self._clock())

    def waits(self, bucket: int) -> bool:
        """Tell whether time alone may change anything in a bucket."""
        return bucket in self._kept and self._kept[bucket].any

    def touched(
        self, bucket: int, store: Store, history: History, subjects: Iterable[tuple[str, str]]
    ) -> Iterator[Record]:
        """Tell what events have changed; `subjects` are the entities and keys that they touch."""
        kept = self._kept[bucket]
        found: dict[tuple[str, str], LastTold] = {}
        for entity, key in dict.fromkeys(subjects):
            if entity in self._features:
                before = kept.told(entity, key, store)
                yield from self._tell(bucket, store, history, (entity, key), before, 0, found)
        kept.tell(found, store)

    def due(self, bucket: int, store: Store, history: History, now_ms: int) -> Iterator[Record]:
        """Tell what time has changed by now, which is in event time."""
        kept = self._kept[bucket]
        while taken := kept.take(now_ms, store):
            found: dict[tuple[str, str], LastTold] = {}
            for entity, key, before in taken:
                if entity in self._features:
                    yield from self._tell(bucket, store, history, (entity, key), before, before.due_ms or 0, found)
                else:
                    kept.forget(entity, key, store)  # the pipeline doesn't want it told any more
            kept.tell(found, store)

    def _tell(
        self,
        bucket: int,
        store: Store,
        history: History,
        subject: tuple[str, str],
        before: LastTold | None,
        since_ms: int,
        found: dict[tuple[str, str], LastTold],
    ) -> Iterator[Record]:
        """Tell what of an entity has changed since it was last told, and note in `found` what is told now."""
        entity, key = subject
        features = self._features[entity]
        since_ms = max(since_ms, 0 if before is None else before.as_of_ms)
        asked = history.ask(bucket, store, features.entity, key, since_ms, features.spans)
        if asked is None or (asked.next_ms is None and features.passing):
            self._kept[bucket].forget(entity, key, store)
        if asked is None:
            return
        values = features.values(history.plan, asked)
        if asked.next_ms is not None or not features.passing:
            found[subject] = LastTold(asked.time_ms, asked.next_ms, values)
        old = [None] * len(values) if before is None or len(before.values) != len(values) else before.values
        again = (asked.time_ms if before is None else before.as_of_ms) <= self._opened_ms[bucket]
        for name, value, was in zip(features.names, values, old, strict=True):
            if again or value != was:
                record = FeatureRecord(
                    entity, key, name, value, asked.time_ms, int(self._clock()),
                    features.approximate(history.plan, asked, name),
                )  # fmt: skip
                yield f"{entity}:{key}:{name}", _encode(record)
