"""`mitra replay` over the same payments as the live job, bad ones among them, under rules, at parallelism 1 and 2."""

import json
import random
from collections import Counter
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mitra.cli import main
from tests.factories.bad_input import KINDS, conflict, message, odd_payments, raw
from tests.factories.live import HOUR_MS, Customers, Payment, differences, write_pipeline
from tests.oracles.history import OracleHistory, PastEvent, Question

pytestmark = pytest.mark.flow

START_MS = 1_700_000_000_000
MINUTE_MS = 60_000
EACH = 20
NOT_IN_FILES = {"a Kafka null"}


def payments(count: int) -> list[Payment]:
    """Payments of 30 customers at 5 terminals, in no order, some of them at one time."""
    chance = random.Random(8)
    made = [
        Payment(f"p{n}", START_MS + n // 3 * 60_000, f"c{chance.randrange(30)}", f"t{chance.randrange(5)}", n / 7)
        for n in range(count)
    ]
    chance.shuffle(made)
    return made


RULES = """
features: {half: amount / 2}
rules:
- {id: large, when: half > 100, outcome: block}
- {id: busy, when: 'count(by=customer, over="17m", where=amount > 20) >= 2', outcome: review, mode: shadow}
- {id: reported, when: frauds >= 1 and count_1h > 1, outcome: review}
- {id: noted, when: 'note == "x"', outcome: review}
- {id: at_rest, when: amount > 0, outcome: block, mode: paused}
- {id: later, when: amount > 0, outcome: allow, from: 2100-01-01T00:00:00Z}
"""
BUSY = Question("count", None, ("over", 17 * MINUTE_MS), where=lambda values: values["amount"] > 20)


@dataclass(frozen=True)
class Replayed:
    """The good payments, those whose ids are disputed, and what replays at parallelism 1 and 2 made of them."""

    good: list[Payment]
    disputed: list[Payment]
    frauds: set[str]
    tables: list[pa.Table]
    letters: list[list[str]]

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        return {row["transaction_id"]: row for row in self.tables[0].to_pylist()}

    @property
    def in_order(self) -> list[Payment]:
        return sorted(self.good, key=lambda payment: (payment.at, payment.id))


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    """Payments in no order, bad messages among them, labels and rules, replayed twice."""
    folder = tmp_path_factory.mktemp("replayed")
    path = write_pipeline(folder, "replayed")
    odd = odd_payments()
    good = payments(2000 - len(odd))
    lines = [payment.value for payment in good] + [raw(payment) for payment in odd]
    bad = [message(kind, n) for kind in KINDS for n in range(EACH) if kind not in NOT_IN_FILES]
    lines += [line.replace(b"\n", b"") for line in bad if line is not None]
    disputed = good[:EACH]
    lines += [conflict(payment).value for payment in disputed]
    random.Random(9).shuffle(lines)
    (folder / "payments.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    labels = [{"id": payment.id, "fraud": 1, "known_at": payment.at + HOUR_MS} for payment in good[::10]]
    (folder / "labels.jsonl").write_text("".join(json.dumps(label) + "\n" for label in labels))
    (folder / "rules.yaml").write_text(RULES)
    tables, letters = [], []
    for parallelism in (1, 2):
        output = folder / f"by-{parallelism}"
        tables.append(replay(path, output, parallelism))
        letters.append(sorted((output / "dead_letters.jsonl").read_text().splitlines()))
    return Replayed([*good, *odd], disputed, {label["id"] for label in labels}, tables, letters)


def replay(path: Path, output: Path, parallelism: int) -> pa.Table:
    """Replay the files beside a pipeline, check the counts, and return the decisions."""
    call = ["replay", str(path), "--output", str(output), "--parallelism", str(parallelism), "--json"]
    for name in ("transactions payments.jsonl", "labels labels.jsonl", "rules rules.yaml"):
        option, file = name.split()
        call += [f"--{option}", str(path.with_name(file))]
    with redirect_stdout(StringIO()) as said:
        assert main(call) == 0
    counts = json.loads(said.getvalue())
    dead = EACH * (len(KINDS) - len(NOT_IN_FILES) + 1)
    assert {name: counts[name] for name in ("transactions", "decisions", "dead_letters", "duplicates")} == {
        "transactions": 2000 + dead, "decisions": 2000, "dead_letters": dead, "duplicates": 0,
    }  # fmt: skip
    return pq.read_table(output / "decisions.parquet")


def test_the_table_is_the_same_at_parallelism_1_and_2(replayed: Replayed) -> None:
    one, two = replayed.tables
    assert one.equals(two)
    assert replayed.letters[0] == replayed.letters[1]


def test_features_are_the_oracle_s(replayed: Replayed) -> None:
    customers, found = Customers(), replayed.rows
    wrong = {}
    for payment in replayed.in_order:
        expected = customers.expect(payment)
        if payment.id in replayed.frauds:
            customers.note(payment, 1.0, payment.at + HOUR_MS)
        off = differences(found[payment.id], expected)
        if off:
            wrong[payment.id] = off
    assert wrong == {}
    assert sum(row["frauds"] for row in found.values()) > 0


def test_under_rules_each_payment_is_judged_as_the_oracle_says(replayed: Replayed) -> None:
    found = replayed.rows
    histories: dict[str, OracleHistory] = {}
    wrong = {}
    for payment in replayed.in_order:
        event = PastEvent("payment", payment.at, payment.id, hash(payment), {"amount": payment.amount})
        _, _, [recent] = histories.setdefault(payment.customer, OracleHistory()).touch(event, [BUSY])
        row = found[payment.id]
        large, reported = payment.amount > 200, row["frauds"] >= 1 and row["count_1h"] > 1
        expected = {
            "outcome": "block" if large else "review" if reported else "allow",
            "rules": ["large"] * large + ["reported"] * reported,
            "shadow": ["busy"] * (recent >= 2),
            "not_evaluated": ["noted"] * (payment.note is None),
            "half": payment.amount / 2,
        }
        off = {name: (row[name], value) for name, value in expected.items() if row[name] != value}
        if off:
            wrong[payment.id] = off
    assert wrong == {}
    fired = Counter(name for row in found.values() for name in row["rules"] + row["shadow"])
    assert set(fired) == {"large", "busy", "reported"}


def test_what_is_no_payment_is_a_dead_letter_with_its_reason(replayed: Replayed) -> None:
    letters = map(json.loads, replayed.letters[0])
    reasons = sorted((letter["reason"], letter["field"] or "") for letter in letters)
    expected = [(KINDS[kind].reason, KINDS[kind].field or "") for kind in KINDS if kind not in NOT_IN_FILES]
    assert reasons == sorted([*expected * EACH, *[("conflict", "id")] * len(replayed.disputed)])
