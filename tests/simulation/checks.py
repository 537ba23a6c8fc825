"""The promises that must hold at the end of a run, whatever came in between.

Looked at is the surviving line: what the last incarnation made, what the one before made up to the snapshot that was
restored, and so on. That is what an exactly-once sink shows; an at-least-once sink shows more, never less.
"""

from collections import Counter, defaultdict
from hashlib import sha256

from mitra.stages.intake import FIELD_SEPARATOR
from tests.simulation.durable import Durable
from tests.simulation.facts import Bad, Event, Label, Probe
from tests.simulation.journal import BrokenError, Journal, Made
from tests.simulation.oracle import Version
from tests.simulation.world import Place, World


def check_all(journal: Journal, durable: Durable, world: World, buckets: int) -> None:
    """Raise BrokenError with what is broken."""
    winners = check_decisions(journal)
    check_letters(journal, world, winners)
    check_labels(journal, winners)
    check_histories(journal)
    check_probes(journal, buckets)
    check_nothing_is_left(durable)


def _demand(holds: object, what: str) -> None:
    if not holds:
        raise BrokenError(what)


def _events(journal: Journal, kind: str) -> dict[str, list[tuple[Place, Event]]]:
    """Return the valid events of a kind by id."""
    found: dict[str, list[tuple[Place, Event]]] = defaultdict(list)
    for place, fact in journal.truth.items():
        if isinstance(fact, Event) and fact.kind == kind:
            found[fact.id].append((place, fact))
    return found


def check_decisions(journal: Journal) -> dict[str, Event]:
    """Every payment has one decision, its duplicates get that one again; return the payments that were decided by id."""
    made: dict[str, list[Made]] = defaultdict(list)
    for one in journal.line.decisions:
        made[str(one.decision.transaction_id)].append(one)
    payments = _events(journal, "payment")
    _demand(
        made.keys() <= payments.keys(), f"decisions about {sorted(made.keys() - payments.keys())}, which nobody sent"
    )
    winners: dict[str, Event] = {}
    for id, sent in payments.items():
        first = [one for one in made[id] if not one.decision.duplicate]
        _demand(len(first) == 1, f"payment id={id!r}, sent as {sent}, has {len(first)} first decisions: {made[id]}")
        place = first[0].place
        assert place is not None
        winner = winners[id] = journal.truth[place]
        same = sum(event == winner for _, event in sent)
        _demand(len(made[id]) == same, f"payment id={id!r} was sent {same} times, decided {len(made[id])} times")
        _demand(not made[id][0].decision.duplicate, f"payment id={id!r} has a duplicate's decision before the first")
        for one in made[id]:
            _demand(_content(one) == _content(first[0]), f"a duplicate got {one}, the first was {first[0]}")
    return winners


def _content(made: Made) -> tuple[object, ...]:
    one = made.decision
    return (
        one.transaction_id, one.event_time, one.decided_at, one.outcome, one.score, one.raw_score, one.model, one.revision,
        one.late, one.approximate, one.reasons, one.degraded, one.rules, one.not_evaluated, one.shadow,
    )  # fmt: skip


def check_letters(journal: Journal, world: World, winners: dict[str, Event]) -> None:
    """Every record that can't be decided is one dead letter with its reason, and no other record is."""
    expected: dict[Place, str] = dict.fromkeys(journal.line.conflicting_logins, "conflict")
    for place, fact in journal.truth.items():
        if isinstance(fact, Bad):
            expected[place] = fact.reason
        elif isinstance(fact, Event) and fact.kind == "payment" and fact != winners[fact.id]:
            expected[place] = "conflict"
    found = Counter()
    for letter in journal.line.letters:
        place = Place(letter["topic"], letter["partition"], letter["offset"])
        if letter["reason"] == "unknown_transaction":
            _demand(isinstance(journal.truth.get(place), Label), f"{letter} is about no label")
            continue
        found[place] += 1
        _demand(letter["reason"] == expected.get(place), f"{letter}; expected reason={expected.get(place)}")
        if letter["reason"] != "conflict":
            text = world.topics[place.topic][place.partition][place.offset].split(FIELD_SEPARATOR, 4)[4]
            digest = None if text == "N" else sha256(text[1:].encode("latin-1")).hexdigest()
            _demand(letter["sha256"] == digest, f"{letter} doesn't have the bytes of its record")
    _demand(
        found.keys() == expected.keys(),
        f"no dead letter for {[(p, expected[p]) for p in expected.keys() - found.keys()]}",
    )
    _demand(all(count == 1 for count in found.values()), f"more than one dead letter for {found.most_common(1)}")


def check_labels(journal: Journal, winners: dict[str, Event]) -> None:
    """Every label is an outcome that has reached all histories of its payment, or a dead letter."""
    sent = Counter((fact.id, fact.version) for fact in journal.truth.values() if isinstance(fact, Label))
    said = {(fact.id, fact.version): fact for fact in journal.truth.values() if isinstance(fact, Label)}
    done = Counter((outcome["transaction_id"], outcome["version"]) for outcome in journal.line.outcomes)
    letters = Counter()
    for letter in journal.line.letters:
        if letter["reason"] == "unknown_transaction":
            label = journal.truth[Place(letter["topic"], letter["partition"], letter["offset"])]
            assert isinstance(label, Label)
            letters[label.id, label.version] += 1
    both = done + letters
    _demand(both.keys() == sent.keys(), f"labels {sent} came to outcomes {done} and dead letters {letters}")
    for key, count in both.items():
        _demand(
            count <= sent[key],
            f"label {key}, sent {sent[key]} times, came to {done[key]} outcomes, {letters[key]} letters",
        )
    for outcome in journal.line.outcomes:
        payment = winners[outcome["transaction_id"]]
        label = said[payment.id, outcome["version"]]
        _demand(
            (outcome["label"], outcome["known_at"], outcome["event_time"], outcome["entities"])
            == (label.value, label.known_at_ms, payment.time_ms, payment.keys()),
            f"{outcome} joins {label} with {payment}",
        )
        for entity in payment.keys().items():
            noted = journal.line.entities[entity].labels.get(payment.id, ())
            version = Version(label.version, label.value, label.known_at_ms)
            _demand(version in noted, f"{label} has not reached {entity}, which has {noted}")


def check_histories(journal: Journal) -> None:
    """Every event counts once in each history it touches, and nothing else does."""
    wanted: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for fact in journal.truth.values():
        if isinstance(fact, Event):
            for entity in fact.keys().items():
                wanted[entity].add((fact.kind, fact.id))
    for name, entity in journal.line.entities.items():
        found = Counter((row.event.kind, row.event.id) for row in entity.rows)
        _demand(all(count == 1 for count in found.values()), f"{name} counts {found.most_common(1)} times")
        if entity.rows:
            _demand(found.keys() == wanted.pop(name, set()), f"{name} has {sorted(found)}")
    _demand(not wanted, f"nothing has reached {sorted(wanted)}")


def check_probes(journal: Journal, buckets: int) -> None:
    """Every probe comes back once from each bucket."""
    sent = [fact.name for fact in journal.truth.values() if isinstance(fact, Probe)]
    expected = Counter((name, bucket) for name in sent for bucket in range(buckets))
    _demand(Counter(journal.line.probes) == expected, f"probes {sent} came back as {journal.line.probes}")


def check_nothing_is_left(durable: Durable) -> None:
    """No part waits any more, and no label."""
    for bucket, state in durable.decisions.items():
        _demand(not getattr(state.pending, "data"), f"parts still wait in bucket {bucket}")  # noqa: B009
        waiting = getattr(state.waiting, "data")  # noqa: B009
        _demand(len(waiting) <= 2, f"bucket {bucket} still holds {sorted(waiting)} of labels")
