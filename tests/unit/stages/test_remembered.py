"""What decide remembers of a decision: every record comes back as it was, and a usual one is small."""

import math
import random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitra.decision import Record
from mitra.history import MemoryStore
from mitra.names import PAGE, Names
from mitra.remembered import decode_record, encode_record, with_label
from models.reasons import sentence

TEXTS = st.text(alphabet="ab \x1f1", max_size=4)
SCORES = st.none() | st.floats(0, 1) | st.floats(0, 1, width=32) | st.just(1e300)
INTS = st.integers(-(1 << 62), 1 << 62)
TIMES = st.integers(0, 1 << 43)
SAID = st.fixed_dictionaries(
    {"id": TEXTS, "version": st.integers(0, 3), "outcome": st.sampled_from(["review", "block"]), "reason": TEXTS},
    optional={"events": st.lists(st.dictionaries(TEXTS, INTS), max_size=1)},
)
REASONS = st.fixed_dictionaries(
    {"feature": TEXTS, "value": st.none() | st.booleans() | st.floats(-9, 9), "contribution": st.floats(-9, 9), "text": TEXTS}
)  # fmt: skip
MODELS = st.tuples(TEXTS, st.sampled_from(["champion", "shadow"]), SCORES, SCORES, st.none() | st.integers(0, 2))


@st.composite
def records(draw: st.DrawFn) -> Record:
    models = draw(st.lists(MODELS, max_size=3))
    model, raw, score = draw(st.tuples(TEXTS, SCORES, SCORES) | st.just((None, None, None)))
    if models and draw(st.booleans()):
        model, _, raw, score, _ = models[-1]
    keys = draw(st.lists(TEXTS, max_size=4))
    names = st.lists(TEXTS, max_size=2)
    return Record(
        content_hash=draw(INTS), event_time=draw(TIMES), decided_at=draw(TIMES), outcome=draw(st.integers(0, 2)),
        score=score, raw_score=raw, model=model, revision=draw(st.integers(0, 1 << 40)), late=draw(st.booleans()),
        approximate=draw(names), reasons=draw(st.lists(REASONS, max_size=2)), degraded=draw(names),
        entities=[f"e{place}" for place in range(len(keys))], keys=keys, rules=draw(st.lists(SAID, max_size=2)),
        not_evaluated=draw(st.dictionaries(TEXTS, names, max_size=2)), shadow=draw(st.lists(SAID, max_size=2)),
        models=models, amount=draw(st.none() | st.floats(0, 9)),
        label=draw(st.none() | st.tuples(st.booleans(), TIMES, INTS)),
    )  # fmt: skip


@given(
    st.lists(records(), max_size=3), st.dictionaries(st.tuples(TEXTS, st.integers(0, 3)), st.lists(TEXTS, min_size=1))
)
def test_a_record_comes_back_as_it_was_also_behind_a_restore(found: list[Record], templates: Any) -> None:
    names, store = Names(), MemoryStore()
    encoded = [encode_record(one, names, templates) for one in found]
    names.keep(store)
    assert [decode_record(one, names) for one in encoded] == found
    assert [decode_record(one, Names(store)) for one in encoded] == found


@given(records(), st.tuples(st.booleans(), TIMES, INTS))
def test_a_label_changes_nothing_else(record: Record, label: tuple[bool, int, int]) -> None:
    names = Names()
    data = with_label(encode_record(record, names, {}), label, names)
    assert decode_record(data, names) == msgspec.structs.replace(record, label=label)


@pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE])
def test_names_keep_their_numbers(count: int) -> None:
    names, store = Names(), MemoryStore()
    for number in range(count):
        assert names.number((f"name {number}",)) == number
        if number % 5 == 0:
            names.keep(store)
    names.keep(store)
    again = Names(store)
    assert [again[number] for number in range(count)] == [(f"name {number}",) for number in range(count)]
    assert again.number(("name 0",)) == 0
    assert again.number(("new",)) == max(count, 1)
    before = dict(store.data)
    again = Names(store)
    again.keep(store)
    assert store.data == before


@pytest.mark.parametrize("labelled", [False, True])
def test_a_decision_of_three_models_and_three_rules_takes_at_most_150_bytes(labelled: bool) -> None:
    # Of examples/payments with its customers, cards, terminals and devices as `mitra sample` names them, and its rules.
    rng, names, sizes = random.Random(1), Names(), []
    templates = {
        ("card-testing", 3): ("", " tiny payments from this device within 15 minutes"),
        ("terminal", 2): ("", " frauds at this terminal in two weeks"),
        ("travel", 12): ("in ", ", ", " km/h from the payment before"),
    }
    for number in range(50):
        time_ms = 1_780_000_000_000 + number * 1_000
        customer, device = f"c{rng.randrange(10_000):05d}", f"d{rng.randrange(10_000):05d}"
        models = [
            (f"fraud@{version}", mode, float(np.float32(rng.random())), math.sqrt(rng.random()), rng.randrange(3))
            for version, mode in enumerate(("champion", "challenger", "shadow"))
        ]
        record = Record(
            content_hash=rng.randrange(-(1 << 63), 1 << 63), event_time=time_ms, decided_at=time_ms + 37, outcome=2,
            score=models[0][3], raw_score=models[0][2], model="fraud@0", revision=41, late=False, approximate=[],
            reasons=[], degraded=[],
            entities=["customer", "card", "terminal", "device", "own_device"],
            keys=[customer, f"k{rng.randrange(10_000):05d}", f"t{rng.randrange(1_000):04d}", device, f"{customer}\x1f{device}"],
            rules=[
                {"id": "card-testing", "version": 3, "outcome": "block", "reason": f"{rng.randrange(99)} tiny payments from this device within 15 minutes"},
                {"id": "terminal", "version": 2, "outcome": "review", "reason": "3 frauds at this terminal in two weeks"},
                {"id": "travel", "version": 12, "outcome": "review", "reason": f"in DE, {rng.randrange(2000)} km/h from the payment before"},
            ],
            not_evaluated={}, shadow=[], models=models, amount=round(rng.lognormvariate(3, 1), 2),
            label=(True, time_ms + 5 * 86_400_000, time_ms + 5 * 86_400_000) if labelled else None,
        )  # fmt: skip
        data = encode_record(record, names, templates)
        assert decode_record(data, names) == record
        sizes.append(len(data))
    assert max(sizes) <= 150


def test_the_reasons_of_a_flagged_decision_are_kept_without_their_sentences() -> None:
    names = Names()
    reasons = [
        {"feature": name, "value": value, "contribution": 1.234567, "text": sentence(name, value, 1.234567)}
        for name, value in (("amount", 820.5), ("online", True), ("speed_kmh", None))
    ]
    plain: dict[str, Any] = dict.fromkeys(Record.__struct_fields__[:8], 0) | {"late": False, "model": None}
    plain |= {name: [] for name in Record.__struct_fields__[9:17]} | {
        "not_evaluated": {},
        "score": None,
        "raw_score": None,
    }
    without = encode_record(Record(**plain), names, {})
    record = Record(**plain | {"reasons": reasons})
    data = encode_record(record, names, {})
    assert decode_record(data, names) == record
    assert len(data) - len(without) <= 3 * 16
