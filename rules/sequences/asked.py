"""What histories are asked of a sequence: an aggregate whose answer is the match that an event completes, as a text.

The text is JSON, `[[step, event type, time in ms, arrival], ...]`; it is empty where the event completes none, and missing where
the search was broken off.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import msgspec
import xxhash

from rules import tree
from rules.plan import Aggregate, Window
from rules.sequences.check import CompiledPattern
from rules.sequences.match import Matcher
from rules.tree import AggregateNode, Node


class Taken(NamedTuple):
    """An event of a match: the step that took it, its type, its time, its number of arrival in the entity's history, its id's hash."""

    step: str
    event: str
    time_ms: int
    arrival: int
    id_hash: int


SEQUENCE = "sequence("
"""How the keys of sequences begin."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[tuple[str, str, int, int]]).decode


@dataclass(frozen=True, kw_only=True)
class SequenceAsked(Aggregate):
    """A sequence's pattern, asked of the histories of its entity."""

    compiled: CompiledPattern

    @cached_property
    def matcher(self) -> Matcher:
        """What finds matches."""
        return Matcher(self.compiled)


def asked(name: str, compiled: CompiledPattern) -> SequenceAsked:
    """Return what histories are asked of the sequence called `name`. Its key stands for the pattern: another has another."""
    pattern = compiled.pattern
    digest = xxhash.xxh3_64_hexdigest(_encode(pattern))[:8]
    key = f"{SEQUENCE}{name} #{digest})"
    return SequenceAsked(
        key=key,
        function="sequence",
        entity=pattern.by,
        field=None,
        window=Window("over", pattern.within_ms),
        delay_ms=0,
        where=None,
        event=None,
        value_type="string",
        compiled=compiled,
    )


def matched(one: SequenceAsked) -> Node:
    """Return the condition that an event completes a match."""
    return tree.compare("!=", AggregateNode("string", one.key, aggregate=one), tree.constant(""))


def match_text(taken: Sequence[Taken]) -> str:
    """Return a match as histories answer it."""
    return _encode([one[:4] for one in taken]).decode()


def read_match(text: str) -> list[dict[str, object]]:
    """Return the events of a match as they stand on decisions."""
    return [event_of(Taken(*one, 0)) for one in _decode(text)]


def event_of(one: Taken) -> dict[str, object]:
    """Return an event of a match as it stands on decisions and alerts."""
    return {"step": one.step, "event": one.event, "time": one.time_ms, "arrival": one.arrival}
