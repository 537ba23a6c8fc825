"""What Flink CEP is asked: of patterns that aren't refused, whatever way it takes, the matches are those of the job's own engine."""

from typing import Any

from hypothesis import assume, given, settings

from rules.sequences.takes import Take, takes_of
from tests.factories.sequences import Both, Rows, patterns, streams
from tests.oracles.takes import Event, Way, ways


def fits(both: Both, one: Any, event: Event, bound: dict[str, Event]) -> bool:
    place = next(at for at, step in enumerate(both.pattern.steps) if step.name == one.step.name)
    return bool(both.plain["steps"][place]["holds"](event, bound))


def given_of(both: Both, takes: list[Take], events: list[Event]) -> list[set[tuple[tuple[int, int], ...]]]:
    """Return the matches that Flink gives, each as all the ways that it may tell it by: for a first event the earliest last one."""
    places = {step.name: place for place, step in enumerate(both.pattern.steps)}
    found: dict[int, list[Way]] = {}
    for way in ways(takes, events, both.pattern.within_ms, lambda *asked: fits(both, *asked)):
        found.setdefault(way[0][1], []).append(way)
    given, free = [], 0
    for first in sorted(found):
        if both.pattern.skip == "past_last" and first < free:
            continue
        last = min(way[-1][1] for way in found[first])
        free = last + 1
        told = {way for way in found[first] if way[-1][1] == last}
        given.append({tuple((row, places[takes[at].name]) for at, row in way) for way in told})
    return given


@settings(max_examples=600, deadline=None)
@given(patterns(skips=("to_next", "past_last")), streams(2, 8))
def test_what_is_not_refused_leaves_no_choice(both: Both, events: list[Event]) -> None:
    assume(not both.pattern.awaits_absence)
    takes, unsettled = takes_of(both.compiled())
    assume(not unsettled)
    matches = both.matcher().given(Rows(events), len(events))
    wanted = sorted(tuple(match.taken) for match in matches)
    found = given_of(both, takes, events)
    assert all(len(one) == 1 for one in found), found
    assert sorted(next(iter(one)) for one in found) == wanted
