"""All that came out held against the naive histories and the naive replay of the control log."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.simulation.facts import Event
from tests.simulation.journal import same
from tests.simulation.oracle import NEW, Entity, features
from tests.simulation.rulebook import Case, Rulebook

SHOWN = 3


def wrong(sent: Sequence[Sequence[Event]], decisions: Sequence[Mapping[str, Any]], book: Rulebook) -> list[str]:
    """Return what is wrong with the decisions about payments that were `sent`, by partition; shown are the first few.

    Each payment has a decision, its duplicate another one, and nothing else has. Whatever was decided, again after a crash
    too, has the features of a history that holds every earlier payment once, and says what its stamped revision says.
    """
    by_id = defaultdict(list)
    for decision in decisions:
        by_id[decision["transaction_id"]].append(decision)
    times = defaultdict(int)
    for event in (event for events in sent for event in events):
        times[event.id] += 1
    found = [f"{id} was decided and never sent" for id in by_id.keys() - times.keys()]
    for id, count in times.items():
        firsts = sum(not decision["duplicate"] for decision in by_id[id])
        if firsts < 1 or len(by_id[id]) < count:
            found.append(f"{id} was sent {count} times, decided {len(by_id[id])} times, {firsts} times as the first")
    for case in (case for events in sent for case in _cases(events)):
        found += [f"{case.event}: {said}" for one in by_id[case.event.id] for said in _differences(one, case, book)]
    return found[:SHOWN] + ([f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else [])


def _cases(events: Sequence[Event]) -> Iterator[Case]:
    """Yield the payments of one partition, whose entities no other partition has, each with its pasts."""
    entities: dict[tuple[str, str], Entity] = defaultdict(Entity)
    for event in events:
        touched = {name: entities[name, key].touch(event) for name, key in event.keys().items()}
        if all(status == NEW for status, _, _ in touched.values()):
            pasts = {name: past for name, (_, _, past) in touched.items()}
            yield Case(event, pasts, features(pasts))


def _differences(decision: Mapping[str, Any], case: Case, book: Rulebook) -> Iterator[str]:
    revision = decision["revision"]
    if revision and revision not in book.accepted:
        yield f"revision {revision} is none"
        return
    live = book.lives[revision]
    values = {**case.features, **live.computed(case)}
    case = case._replace(features=values)
    expected = {"event_time": case.event.time_ms, "late": False, "degraded": [], "approximate": []}
    for name, value in {**expected, **live.judge(case, "allow")}.items():
        if decision[name] != value:
            yield f"{name}={decision[name]!r}, expected {value!r} under revision {revision}"
    if decision["duplicate"]:
        return
    given = decision["features"]
    if given.keys() != values.keys():
        yield f"features {sorted(given)}, expected {sorted(values)} under revision {revision}"
        return
    off = {name: (given[name], value) for name, value in values.items() if not same(given[name], value)}
    if off:
        yield f"(found, expected) of features: {off}"
