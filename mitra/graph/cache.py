"""Answers that may be given again: bounded, and only for a while."""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from mitra.graph.questions import Question


class Answer(NamedTuple):
    """What the graph said of one node as of a time: float64 and u1 columns as bytes."""

    as_of_ms: int
    values: bytes
    capped: bytes


Key = tuple[str, str]


class Cache:
    """Answers by node. An answer as of an earlier time may stand in for a later one, never the other way round."""

    def __init__(self, age_ms: int, nodes: int, clock: Callable[[], float]) -> None:
        """Keep answers of up to `nodes` nodes for `age_ms`; `clock` is monotonic, in ms."""
        self._age_ms, self._nodes, self._clock = age_ms, nodes, clock
        self._kept: OrderedDict[Key, tuple[float, Answer]] = OrderedDict()

    def serves(self, as_of_ms: int, asked_ms: int) -> bool:
        """Tell whether an answer as of one time may stand in for one as of another."""
        return as_of_ms <= asked_ms <= as_of_ms + self._age_ms

    def get(self, question: Question) -> Answer | None:
        """Return the answer to a question, None where none is kept that will do."""
        key = question.kind, question.id
        found = self._kept.get(key)
        if found is None:
            return None
        stored_ms, answer = found
        if self._clock() > stored_ms + self._age_ms:
            del self._kept[key]
            return None
        return answer if self.serves(answer.as_of_ms, question.as_of_ms) else None

    def put(self, key: Key, answer: Answer) -> None:
        """Keep an answer, and forget the oldest where there are too many."""
        known = self._kept.get(key)
        if known is not None and known[1].as_of_ms > answer.as_of_ms and self._clock() <= known[0] + self._age_ms:
            return
        self._kept[key] = self._clock(), answer
        self._kept.move_to_end(key)
        while len(self._kept) > self._nodes:
            self._kept.popitem(last=False)
