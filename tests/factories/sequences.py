"""Random patterns as texts, the same for an oracle, and streams of events."""

import operator as operators
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from hypothesis import strategies as st

from mitra.hashing import text_hash
from mitra.history import Events, Layout, Plan, Touches
from mitra.schema import Entity, EventType, Field, HistoryLimits
from rules.plan import Aggregate
from rules.schema import ExpressionSchema
from rules.sequences.check import CompiledPattern, compile_pattern
from rules.sequences.listed import Listed
from rules.sequences.match import Matcher
from rules.sequences.pattern import Pattern, Step

NAMES = ("p", "q", "r", "s", "u", "v")
_FIELDS = (Field("customer", "string"), Field("x", "integer", required=False), Field("flag", "boolean", required=False))
EVENTS = tuple(
    EventType(
        name, f"t.{name}", "id", "at", (Field("id", "string"), Field("at", "integer"), *_FIELDS), decided=name == "pay"
    )
    for name in ("pay", "login", "reset")
)
SCHEMA = ExpressionSchema(EVENTS, (Entity("customer", ("customer",)),), None, 90 * 86_400_000)


_COMPARE = {"==": operators.eq, "!=": operators.ne, ">": operators.gt, "<": operators.lt}


class Rows(Listed):
    """Events as dicts, in order: what a matcher reads."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        super().__init__(events, [one["time"] for one in events])


@dataclass(frozen=True)
class Both:
    """One pattern twice: as it is written, and as the oracle takes it."""

    pattern: Pattern
    plain: dict[str, Any]

    def compiled(self) -> CompiledPattern:
        made, problems = compile_pattern(self.pattern, "sequences.s", SCHEMA, "True")
        assert made is not None, problems
        return made

    def matcher(self) -> Matcher:
        return Matcher(self.compiled())


def _holds(event: str | None, terms: list[tuple[str, str, Any]]):
    """The condition of a step, said without the language: missing values hold nowhere."""

    def holds(one: dict[str, Any], taken: dict[str, dict[str, Any]]) -> bool:
        if event is not None and one["event"] != event:
            return False
        for field, operator, other in terms:
            left = one.get(field)
            right = taken.get(other[0], {}).get(other[1]) if isinstance(other, tuple) else other
            if left is None or right is None:
                return False
            if not _COMPARE[operator](left, right):
                return False
        return True

    return holds


@st.composite
def patterns(draw, *, absent: bool = True, skips=("none", "to_next", "past_last"), plain: bool = False):
    """Draw a pattern; `plain` ones have neither optional steps nor repetition without end."""
    steps, oracle, before = [], [], []
    count = draw(st.integers(1, 4))
    for place in range(count):
        name = NAMES[place]
        ends = place in {0, count - 1}
        gone = absent and place > 0 and draw(st.integers(0, 3)) == 0 and (place == count - 1 or not steps[-1].absent)
        event = draw(st.sampled_from(("pay", "login", "reset", None, None, None)))
        terms = draw(
            st.lists(
                st.one_of(
                    st.tuples(st.just("x"), st.sampled_from(("==", "!=", ">", "<")), st.integers(0, 3)),
                    st.tuples(st.just("flag"), st.just("=="), st.booleans()),
                    *(
                        [st.tuples(st.just("x"), st.sampled_from(("==", ">", "<")), st.sampled_from(before))]
                        if before
                        else []
                    ),
                ),
                max_size=1 + (place == 1),
            )
        )
        text = " and ".join(
            f"{field} {operator} {'.'.join(other) if isinstance(other, tuple) else other}"
            for field, operator, other in terms
        )
        least, most = 1, 1
        if not gone and draw(st.integers(0, 2)) == 0:
            least = draw(st.integers(1, 3))
            most = least + draw(st.integers(0, 1)) if plain or draw(st.booleans()) else None
        optional = not gone and not ends and not plain and draw(st.integers(0, 2)) == 0
        strict = bool(steps) and not gone and not steps[-1].absent and draw(st.integers(0, 3)) == 0
        step = Step(
            name=name, event=event, when=text, least=least, most=most, optional=optional, absent=gone, strict=strict
        )
        steps.append(step)
        oracle.append(
            {
                "name": name,
                "holds": _holds(event, terms),
                "least": least,
                "most": most,
                "optional": optional,
                "absent": gone,
                "strict": strict,
            }
        )
        if not gone:
            before.append((name, "x"))
    # What comes first or last can't be optional.
    last = max(place for place, step in enumerate(steps) if not step.absent)
    if steps[last].optional:
        steps[last] = msgspec.structs.replace(steps[last], optional=False)
        oracle[last]["optional"] = False
    within, skip = draw(st.sampled_from((4, 8, 20))) * 1000, draw(st.sampled_from(skips))
    pattern = Pattern(by="customer", within_ms=within, steps=tuple(steps), skip=skip)
    return Both(pattern, {"within": within, "skip": skip, "steps": oracle})


@st.composite
def streams(draw, least: int = 1, most: int = 7):
    """Draw events in order of time, several at one time among them."""
    count = draw(st.integers(least, most))
    gaps = draw(st.lists(st.sampled_from((0, 1, 1, 2, 5)), min_size=count, max_size=count))
    time, events = 1_700_000_000_000, []
    for number, gap in enumerate(gaps):
        time += gap * 1000
        event = draw(st.sampled_from(("pay", "login", "reset")))
        x = draw(st.sampled_from((None, 0, 1, 2, 3)))
        flag = draw(st.sampled_from((None, True, False)))
        events.append({"id": f"e{number}", "event": event, "time": time, "x": x, "flag": flag})
    return events


LAYOUT = Layout.of(EVENTS)


def plan_of(*aggregates: Aggregate) -> Plan:
    """Return the plan of histories that are asked these."""
    return Plan(aggregates, LAYOUT, SCHEMA.entities, None, HistoryLimits())


def columns(events: list[dict[str, Any]]) -> tuple[Events, Touches]:
    """Return events of one customer as a batch."""
    count = len(events)
    numbers = np.full((count, len(LAYOUT.numeric)), np.nan)
    for row, one in enumerate(events):
        for column, name in enumerate(LAYOUT.numeric):
            if one.get(name) is not None:
                numbers[row, column] = float(one[name])
    texts = [["c" if name == "customer" else one.get(name) for name in LAYOUT.text] for one in events]
    hashes = [[0 if text is None else text_hash(text) for text in row] for row in texts]
    made = Events(
        kind=np.array([LAYOUT.events.index(one["event"]) for one in events], np.uint8),
        time_ms=np.array([one["time"] for one in events], np.int64),
        id_hash=np.array([text_hash(one["id"]) for one in events], np.int64),
        content_hash=np.array([text_hash(repr(one)) for one in events], np.int64),
        numbers=numbers,
        text_hashes=np.array(hashes, np.int64).reshape(count, len(LAYOUT.text)),
        texts=texts,
    )
    return made, Touches(np.zeros(count, np.uint8), np.arange(count, dtype=np.int32), ["c"] * count)
