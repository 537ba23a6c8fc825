"""What is sent in a run, drawn from its seed: events, their duplicates and conflicts, labels, bad bytes, probes."""

from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any

import msgspec

from tests.simulation.facts import Bad, Event, Fact, Label, Probe
from tests.simulation.world import START_MS

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Send:
    """One record to be sent. Those of one `partition` of a topic arrive in the order of sending."""

    topic: str
    partition: int
    value: bytes | None
    fact: Fact


@dataclass(frozen=True, slots=True)
class Shape:
    """The size and the temper of a run."""

    events: int
    customers: int
    terminals: int
    devices: int
    partitions: int
    grain_ms: int
    disorder_ms: int
    duplicates: float
    conflicts: float
    labels: float
    bad: float

    @classmethod
    def draw(cls, rng: Random, partitions: int) -> "Shape":
        """Draw a shape; many are extreme in something."""
        return cls(
            events=rng.choice((3, 6, 10, 15, 15, 30)),
            customers=rng.choice((1, 2, 3, 5)),
            terminals=rng.choice((1, 2, 4)),
            devices=rng.choice((1, 2)),
            partitions=partitions,
            grain_ms=rng.choice((1, MINUTE_MS, HOUR_MS, 6 * HOUR_MS)),
            disorder_ms=rng.choice((0, 0, HOUR_MS, 24 * HOUR_MS)),
            duplicates=rng.choice((0.0, 0.1, 0.4)),
            conflicts=rng.choice((0.0, 0.0, 0.1, 0.3)),
            labels=rng.choice((0.0, 0.3, 0.8)),
            bad=rng.choice((0.0, 0.1, 0.3)),
        )


def draw_workload(rng: Random, shape: Shape) -> list[Send]:
    """Return the records of a run in the order of sending."""
    sends: list[tuple[float, Send]] = []
    events = _events(rng, shape)
    for number, event in enumerate(events):
        partition = hash_free_partition(event.customer_id, shape.partitions)
        sends.append((number, event_send(event, partition)))
        while rng.random() < shape.duplicates:
            later = number + rng.choice((0.0, 0.0, 1.0, rng.uniform(0, shape.events)))
            elsewhere = rng.randrange(shape.partitions) if rng.random() < 0.5 else partition
            sends.append((later, event_send(event, elsewhere)))
        # Of a labelled payment no other time is sent: which of the two the label's note would take is a matter of luck.
        labelled = event.kind == "payment" and rng.random() < shape.labels
        if rng.random() < shape.conflicts:
            other = _conflicting(rng, shape, event, other_time=not labelled)
            later = number + rng.choice((0.0, 1.0, rng.uniform(0, shape.events)))
            sends.append((later, event_send(other, rng.randrange(shape.partitions))))
        if labelled:
            for label in _labels(rng, event):
                sent = number + rng.choice((0.0, rng.uniform(-5, 5), rng.uniform(0, shape.events)))
                sends.append((sent, _label_send(label, rng.randrange(shape.partitions))))
        if rng.random() < shape.bad:
            sends.append((number, draw_bad(rng, shape, number)))
    if rng.random() < 0.3:
        name = f"probe-{rng.randrange(1000)}"
        send = Send("simulated.probes", rng.randrange(shape.partitions), name.encode(), Probe(name))
        sends.append((rng.uniform(0, shape.events), send))
    if rng.random() < 0.3:
        label = Label("nobody", 1.0, START_MS, START_MS)
        sends.append((rng.uniform(0, shape.events), _label_send(label, 0)))
    sends.sort(key=lambda entry: entry[0])
    return [send for _, send in sends]


def hash_free_partition(key: str, partitions: int) -> int:
    """Return a key's partition, the same in every process."""
    return sum(key.encode()) % partitions


def _events(rng: Random, shape: Shape) -> list[Event]:
    """Return events whose ids count from 0 in each type: a login may well have the id of a payment."""
    counts = {"payment": 0, "login": 0}
    events = []
    for number in range(shape.events):
        event = _event(rng, shape, number)
        events.append(replace(event, id=f"e{counts[event.kind]}"))
        counts[event.kind] += 1
    return events


def _event(rng: Random, shape: Shape, number: int) -> Event:
    # Events end at the start of the fake clock, so that none lies in its future.
    span = (shape.events - number) * max(HOUR_MS, shape.grain_ms) // 2
    time_ms = START_MS - span - (rng.randrange(shape.disorder_ms) if shape.disorder_ms else 0)
    time_ms -= time_ms % shape.grain_ms
    device = f"d{rng.randrange(shape.devices)}" if rng.random() < 0.6 else None
    customer = f"c{rng.randrange(shape.customers)}"
    if rng.random() < 0.2:
        return Event("login", "", time_ms, customer, device, passed=rng.random() < 0.5)
    return Event(
        "payment",
        "",
        time_ms,
        customer,
        device,
        terminal_id=f"t{rng.randrange(shape.terminals)}" if rng.random() < 0.9 else None,
        country=rng.choice(("DE", "FR", "Ł", None)),
        amount=rng.choice((0.0, 10.0, 49.99, 60.0, round(rng.uniform(0, 500), 2))),
    )


def _conflicting(rng: Random, shape: Shape, event: Event, *, other_time: bool) -> Event:
    if event.kind == "payment" and rng.random() < 0.5:
        return replace(event, amount=(event.amount or 0.0) + 1.0)
    customer = f"c{rng.randrange(shape.customers)}x"
    time_ms = event.time_ms + (HOUR_MS if other_time and rng.random() < 0.5 else 0)
    return replace(event, customer_id=customer, time_ms=min(time_ms, START_MS))


def _labels(rng: Random, event: Event) -> list[Label]:
    labels = []
    known_at = event.time_ms + rng.choice((0, HOUR_MS, 24 * HOUR_MS, 72 * HOUR_MS))
    for _ in range(rng.choice((1, 1, 2, 3))):
        labels.append(Label(event.id, float(rng.random() < 0.6), known_at, known_at))
        known_at += rng.choice((1, HOUR_MS, 30 * HOUR_MS))
    return labels


def event_send(event: Event, partition: int) -> Send:
    values: dict[str, Any] = {name: value for name, value in asdict(event).items() if value is not None}
    del values["kind"], values["time_ms"]
    values["time"] = event.time_ms
    return Send(f"{event.kind}s", partition, _encode(values), event)


def _label_send(label: Label, partition: int) -> Send:
    values = {"id": label.id, "fraud": int(label.value), "known_at": label.known_at_ms}
    return Send("labels", partition, _encode(values), label)


_PAYMENT = {"id": "bad", "time": START_MS, "customer_id": "c0", "amount": 1.0}
_LABEL = {"id": "bad", "fraud": 1, "known_at": START_MS}
_GOOD = _encode(_PAYMENT)
BAD_PAYMENTS: tuple[tuple[bytes | None, str], ...] = (
    (None, "null_value"),
    (b"", "empty"),
    (_GOOD[:-1], "not_json"),
    (b"[1, 2]", "not_an_object"),
    (b'"text"', "not_an_object"),
    (b"\xff\xfe{}", "bad_encoding"),
    (_GOOD.replace(b'"c0"', b'"\xff"'), "bad_encoding"),
    (_GOOD.replace(b'"c0"', b'"\\ud800"'), "bad_encoding"),
    (_GOOD.replace(b'"c0"', b"7"), "wrong_type"),
    (_GOOD.replace(b'"c0"', b"null"), "null_field"),
    (_GOOD.replace(b'"customer_id"', b'"customer"'), "missing_field"),
    (_GOOD.replace(b'"id"', b'"no"'), "missing_field"),
    (_GOOD.replace(b'"bad"', b'""'), "empty_id"),
    (_GOOD.replace(b"1.0", b"NaN"), "not_finite"),
    (_GOOD.replace(b"1.0", b"1e999"), "not_finite"),
    (_encode(_PAYMENT | {"time": START_MS + 90 * 86_400_000}), "time_out_of_range"),
    (_encode(_PAYMENT | {"time": 253_402_300_799_000}), "time_out_of_range"),
    (_encode(_PAYMENT | {"note": "x" * 1000}), "too_large"),
)
BAD_LABELS: tuple[tuple[bytes | None, str], ...] = (
    (None, "null_value"),
    (b"", "empty"),
    (b"{", "not_json"),
    (b"[]", "not_an_object"),
    (b"\xff", "bad_encoding"),
    (b'{"id": ' * 100, "not_json"),
    (b'{"fraud": NaN}', "not_json"),
    (b" " * 1001, "too_large"),
    (_encode({"fraud": 1}), "missing_field"),
    (_encode(_LABEL | {"fraud": 2}), "wrong_type"),
    (_encode(_LABEL | {"fraud": None}), "wrong_type"),
    (_encode(_LABEL | {"known_at": "yesterday"}), "not_a_time"),
    (_encode(_LABEL | {"known_at": 1 << 63}), "not_a_time"),
    (_encode(_LABEL | {"version": "two"}), "wrong_type"),
    (_encode(_LABEL | {"version": 1 << 63}), "wrong_type"),
)


def draw_bad(rng: Random, shape: Shape, number: int) -> Send:
    """Return a record that is to be a dead letter."""
    partition = rng.randrange(shape.partitions)
    if rng.random() < 0.3:
        value, reason = rng.choice(BAD_LABELS)
        return Send("labels", partition, value, Bad(reason))
    value, reason = rng.choice(BAD_PAYMENTS)
    return Send("payments", partition, value, Bad(reason))
