"""The matcher of sequences against an oracle that tries every way."""

import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from mitra.history import History, MemoryStore
from rules.sequences.asked import asked
from rules.sequences.pattern import Pattern, Step
from tests.factories.sequences import Both, Rows, columns, patterns, plan_of, streams
from tests.oracles import sequences as oracle

_LONG = settings(max_examples=400, deadline=None)
START = 1_700_000_000_000


@_LONG
@given(patterns(), streams())
def test_matches_are_those_that_trying_every_way_finds(both: Both, events: list[dict]) -> None:
    matcher, rows = both.matcher(), Rows(events)
    for size in range(1, len(events) + 1):
        found = [list(match.taken) for match in matcher.ending_at(rows, size - 1)]
        wanted = [match for match in oracle.given(both.plain, events[:size]) if match[-1][0] == size - 1]
        assert found == wanted


@_LONG
@given(patterns(), streams(), st.data())
def test_without_an_event_is_as_if_it_had_never_come(both: Both, events: list[dict], data) -> None:
    row = data.draw(st.integers(0, len(events) - 1))
    matcher = both.matcher()
    rest = events[:row] + events[row + 1 :]
    for last in range(row + 1, len(events)):
        found = matcher.ending_at(Rows(events), last, without=row)
        wanted = matcher.ending_at(Rows(rest), last - 1)
        shifted = [[(r + (r >= row), place) for r, place in match.taken] for match in wanted]
        assert [list(match.taken) for match in found] == shifted


@_LONG
@given(patterns(), streams())
def test_absence_at_the_end_is_what_the_oracle_says(both: Both, events: list[dict]) -> None:
    matcher, rows = both.matcher(), Rows(events)
    for match in matcher.given(rows, len(events)):
        assert matcher.stays_absent(rows, match, len(events)) is oracle.stays_absent(
            both.plain, events, list(match.taken)
        )


@settings(max_examples=150, deadline=None)
@given(patterns(), streams(), st.data())
def test_histories_answer_from_what_has_arrived_and_tell_what_comes_late(both: Both, events: list[dict], data) -> None:
    """Events arrive in any order and in any batches; each answer is the oracle's over what has arrived by then."""
    arriving = data.draw(st.permutations(range(len(events))))
    cuts = sorted({0, len(events), *data.draw(st.lists(st.integers(0, len(events)), max_size=3))})
    one = asked("s", both.compiled())
    history, store = History(plan_of(one)), MemoryStore()
    arrived: list[dict] = []
    for start, stop in pairwise(cuts):
        batch = [events[place] for place in arriving[start:stop]]
        result = history.process(0, store, *columns(batch), None, 0)
        late = {touch: [one.taken for one in result.found if one.touch == touch and one.late] for touch in range(9)}
        for touch, event in enumerate(batch):
            arrived.append(event)
            known = sorted(enumerate(arrived), key=lambda item: (item[1]["time"], item[0]))
            rows = [item for _, item in known]
            place = rows.index(event)

            def told(match: list, known=known) -> list:
                steps = both.pattern.steps
                return [[steps[p].name, known[r][1]["event"], known[r][1]["time"], known[r][0] + 1] for r, p in match]

            wanted = [one for one in oracle.given(both.plain, rows[: place + 1]) if one[-1][0] == place]
            text = result.texts[touch][0]
            assert (json.loads(text) if text else []) == (told(wanted[-1]) if wanted else [])
            late_wanted = []
            for last in range(place + 1, len(rows)):
                now = [one for one in oracle.given(both.plain, rows[: last + 1]) if one[-1][0] == last]
                rest = rows[:place] + rows[place + 1 : last + 1]
                before = [one for one in oracle.given(both.plain, rest) if one[-1][0] == last - 1]
                late_wanted += [told(one) for one in now] if not before else []
            assert [[list(row[:4]) for row in taken] for taken in late[touch]] == late_wanted


def test_a_third_of_the_patterns_match_something_in_a_stream() -> None:
    """Else the other tests would compare nothing with nothing."""
    found = []

    @settings(max_examples=300, deadline=None, database=None, derandomize=True)
    @given(patterns(), streams(5, 8))
    def count(both: Both, events: list[dict]) -> None:
        found.append(bool(both.matcher().given(Rows(events), len(events))))

    count()
    assert sum(found) * 3 >= len(found), f"{sum(found)} of {len(found)}"


def test_a_late_event_shifts_matches_behind_one_another_however_far() -> None:
    steps = (Step(name="p", event="pay"), Step(name="q", event="pay", strict=True))
    both = Both(Pattern(by="customer", within_ms=4000, steps=steps, skip="past_last"), {})
    history, store = History(plan_of(asked("s", both.compiled()))), MemoryStore()
    batch = [{"id": f"e{second}", "event": "pay", "time": START + second * 1000} for second in (1, 3, 5, 0)]
    result = history.process(0, store, *columns(batch), None, 0)
    late = [[(row.time_ms - START) // 1000 for row in one.taken] for one in result.found if one.late]
    assert late == [[0, 1], [3, 5]]
