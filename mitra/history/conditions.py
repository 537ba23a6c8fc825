"""Conditions on stored events, each a bit in the event's flag words.

A condition is a `where=` text, an event type, or both. It is evaluated once, when the event arrives, for all entities
and windows; a header names the list its bits stand for. Under another list the bits are taken over by name, and those
of new conditions are evaluated from the stored columns: that is what makes a new rule right from its first event.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import chain

import msgspec
import numpy as np
from numpy.typing import NDArray

from mitra.errors import MitraError
from mitra.hashing import text_hash
from mitra.history.layout import Layout
from rules.plan import TYPES_SEPARATOR, Aggregate, Value, Where
from rules.sequences.asked import SequenceAsked
from rules.sequences.check import CompiledStep

BITS = 62  # of a word of 64: the sign stays out of it, and one is left over
Condition = tuple[str | None, str | None]
Number = float | None
_Getter = Callable[[Sequence[float], Sequence[str | None], int], Value]
_Predicate = Callable[[Sequence[Value]], bool | None]
_Group = tuple[tuple[int, ...], tuple[_Getter, ...], list[tuple[int, int, _Predicate | None]]]
"""Kinds of events (none: all), what takes the values asked about, and of each condition its word, its mask and its test."""

_decode = msgspec.msgpack.Decoder(list[tuple[str | None, str | None]]).decode


def _asked(aggregate: Aggregate) -> list[tuple[Where | None, str | None]]:
    """Return the conditions that an aggregate names: a sequence those of its steps."""
    if isinstance(aggregate, SequenceAsked):
        return [(step.own, step.step.event) for step in aggregate.compiled.steps]
    return [(aggregate.where, aggregate.event)]


class Conditions:
    """The conditions of a plan, numbered; `words` flag words hold their bits."""

    def __init__(self, aggregates: Iterable[Aggregate], layout: Layout) -> None:
        """Number the conditions that the aggregates name, in order of appearance."""
        self.layout = layout
        self.wheres: dict[str, Where] = {}
        self.number: dict[Condition, int] = {}
        for where, event in chain.from_iterable(map(_asked, aggregates)):
            if where is not None:
                self.wheres[where.text] = where
            if where is not None or event is not None:
                self.number.setdefault((where.text if where else None, event), len(self.number))
        self.listed = list(self.number)
        self.words = -(-len(self.number) // BITS)
        self._tests = [self._test(condition) for condition in self.number]
        self._groups = self._grouped(range(len(self._tests)))

    @cached_property
    def encoded(self) -> bytes:
        """The list as stored in state."""
        return msgspec.msgpack.encode(list(self.number))

    @cached_property
    def fingerprint(self) -> int:
        """The list's name in headers."""
        return text_hash(self.encoded.hex())

    @staticmethod
    def decode(data: bytes) -> list[Condition]:
        """Return the list that `encoded` was taken from."""
        return _decode(data)

    def mask(self, aggregate: Aggregate) -> tuple[int, int]:
        """Return the flag word and mask of an aggregate's condition; word -1 and mask 0 for none."""
        return self._place(aggregate.where, aggregate.event)

    def mask_of_step(self, step: CompiledStep) -> tuple[int, int]:
        """Return the same of what a sequence's step asks of an event by itself."""
        return self._place(step.own, step.step.event)

    def _place(self, where: Where | None, event: str | None) -> tuple[int, int]:
        if where is None and event is None:
            return -1, 0
        bit = self.number[where.text if where else None, event]
        return bit // BITS, 1 << (bit % BITS)

    def _test(self, condition: Condition) -> tuple[tuple[int, ...], Where | None, tuple[_Getter, ...]]:
        text, event = condition
        names = [] if event is None else event.split(TYPES_SEPARATOR)
        if not set(names) <= set(self.layout.events):
            raise MitraError(f"an aggregate asks for event={event!r}; the pipeline has {', '.join(self.layout.events)}")
        kinds = tuple(self.layout.events.index(name) for name in names)
        where = None if text is None else self.wheres[text]
        return kinds, where, () if where is None else tuple(_getter(self.layout, name) for name in where.fields)

    def _grouped(self, bits: Iterable[int]) -> list[_Group]:
        """Return conditions by what they ask about: a batch's values are then taken once for all of a group."""
        groups: dict[tuple[tuple[int, ...], tuple[str, ...]], _Group] = {}
        for bit in bits:
            wanted, where, getters = self._tests[bit]
            fields, predicate = ((), None) if where is None else (where.fields, where.predicate)
            group = groups.setdefault((wanted, fields), (wanted, getters, []))
            group[2].append((bit // BITS, 1 << (bit % BITS), predicate))
        return list(groups.values())

    def evaluate(
        self,
        kind: NDArray[np.uint8],
        time_ms: NDArray[np.int64],
        numbers: NDArray[np.float64],
        texts: Sequence[Sequence[str | None]],
        only: Iterable[int] | None = None,
    ) -> NDArray[np.int64]:
        """Return the flag words, int64[n, words], of n events; `only` these conditions if given."""
        n, width = len(kind), self.words
        if not width or not n:
            return np.zeros((n, width), np.int64)
        kinds, rows, times = kind.tolist(), numbers.tolist(), time_ms.tolist()
        # Words of Python's own: a batch is often one event, and an array for each condition would cost more than to ask it.
        words = [0] * (n * width)
        for wanted, getters, asked in self._groups if only is None else self._grouped(only):
            for event in range(n):
                if wanted and kinds[event] not in wanted:
                    continue
                values = [get(rows[event], texts[event], times[event]) for get in getters]
                for word, mask, predicate in asked:
                    if predicate is None or predicate(values) is True:
                        words[event * width + word] |= mask
        return np.array(words, np.int64).reshape(n, width)

    def carry_over(self, old: Sequence[Condition], flags: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[int]]:
        """Return old flag words as this list numbers them, and the conditions whose bits are still to be evaluated."""
        place = {condition: bit for bit, condition in enumerate(old)}
        new = np.zeros((len(flags), self.words), np.int64)
        missing = []
        for condition, bit in self.number.items():
            was = place.get(condition)
            if was is None:
                missing.append(bit)
            else:
                new[:, bit // BITS] |= ((flags[:, was // BITS] >> (was % BITS)) & 1) << (bit % BITS)
        return new, missing


def _getter(layout: Layout, name: str) -> _Getter:
    """Return what takes a field's value from an event's numbers, texts and time, in the field's own type."""
    if name in layout.text:
        place = layout.text.index(name)
        return lambda _numbers, texts, _time: texts[place]
    if name in layout.time_fields:
        return lambda _numbers, _texts, time_ms: time_ms
    if name not in layout.numeric:
        raise MitraError(f"a condition asks for field={name!r}, which histories do not keep")
    place = layout.numeric.index(name)
    kind = layout.numeric_types[place]
    if kind == "number":
        return lambda numbers, _texts, _time: _present(numbers[place])
    if kind == "boolean":
        return lambda numbers, _texts, _time: None if numbers[place] != numbers[place] else numbers[place] != 0.0
    return lambda numbers, _texts, _time: None if numbers[place] != numbers[place] else int(numbers[place])


def _present(x: float) -> Number:
    return None if x != x else x
