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

    def _test(self, condition: Condition) -> tuple[tuple[int, ...], Where | None, tuple[Callable[..., Value], ...]]:
        text, event = condition
        names = [] if event is None else event.split(TYPES_SEPARATOR)
        if not set(names) <= set(self.layout.events):
            raise MitraError(f"an aggregate asks for event={event!r}; the pipeline has {', '.join(self.layout.events)}")
        kinds = tuple(self.layout.events.index(name) for name in names)
        where = None if text is None else self.wheres[text]
        return kinds, where, () if where is None else tuple(_getter(self.layout, name) for name in where.fields)

    def evaluate(
        self,
        kind: NDArray[np.uint8],
        time_ms: NDArray[np.int64],
        numbers: NDArray[np.float64],
        texts: Sequence[Sequence[str | None]],
        only: Iterable[int] | None = None,
    ) -> NDArray[np.int64]:
        """Return the flag words, int64[n, words], of n events; `only` these conditions if given."""
        n = len(kind)
        flags = np.zeros((n, self.words), np.int64)
        if not self.words or not n:
            return flags
        rows: list[list[float]] | None = None
        times: list[int] = []
        for bit in range(len(self._tests)) if only is None else only:
            wanted, where, getters = self._tests[bit]
            if where is None:
                true = _of_kind(kind, wanted)
            else:
                if rows is None:
                    rows, times = numbers.tolist(), time_ms.tolist()
                predicate = where.predicate
                if len(getters) == 1:
                    get = getters[0]
                    answers = [predicate((get(r, x, t),)) is True for r, x, t in zip(rows, texts, times, strict=True)]
                else:
                    answers = [
                        predicate([get(r, x, t) for get in getters]) is True
                        for r, x, t in zip(rows, texts, times, strict=True)
                    ]
                true = np.array(answers, np.bool_)
                if wanted:
                    true &= _of_kind(kind, wanted)
            flags[:, bit // BITS] |= true.astype(np.int64) << (bit % BITS)
        return flags

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


def _of_kind(kind: NDArray[np.uint8], wanted: Sequence[int]) -> NDArray[np.bool_]:
    return kind == wanted[0] if len(wanted) == 1 else np.isin(kind, wanted)


def _getter(layout: Layout, name: str) -> Callable[[Sequence[float], Sequence[str | None], int], Value]:
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
