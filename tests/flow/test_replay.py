"""`mitra replay` over the same payments as the live job, bad ones among them, at parallelism 1 and 2."""

import json
import random
from collections import Counter
from pathlib import Path

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


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[Payment], list[Payment]]:
    """The pipeline, the file of transactions, the good payments and those whose ids are disputed."""
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
    return path, folder / "payments.jsonl", [*good, *odd], disputed


def replay(
    path: Path, file: Path, output: Path, parallelism: int, capsys: pytest.CaptureFixture[str], *more: str
) -> pa.Table:
    """Replay, check the counts, and return the decisions."""
    labels = file.with_name("labels.jsonl")
    call = ["replay", str(path), "--transactions", str(file), "--labels", str(labels), "--output", str(output)]
    status = main([*call, *more, "--parallelism", str(parallelism), "--json"])
    said = capsys.readouterr()
    assert status == 0, said.err
    counts = json.loads(said.out)
    dead = EACH * (len(KINDS) - len(NOT_IN_FILES) + 1)
    assert {name: counts[name] for name in ("transactions", "decisions", "dead_letters", "duplicates")} == {
        "transactions": 2000 + dead, "decisions": 2000, "dead_letters": dead, "duplicates": 0,
    }  # fmt: skip
    return pq.read_table(output / "decisions.parquet")


def test_the_table_is_the_oracle_s_and_the_same_at_parallelism_1_and_2(
    replayed: tuple[Path, Path, list[Payment], list[Payment]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, file, good, disputed = replayed
    one = replay(path, file, tmp_path / "one", 1, capsys)
    two = replay(path, file, tmp_path / "two", 2, capsys)
    assert one.equals(two)
    letters = [sorted((tmp_path / name / "dead_letters.jsonl").read_text().splitlines()) for name in ("one", "two")]
    assert letters[0] == letters[1]

    customers = Customers()
    ordered = sorted(good, key=lambda payment: (payment.at, payment.id))
    found = {row["transaction_id"]: row for row in one.to_pylist()}
    frauds = {payment.id for payment in good[: 2000 - len(odd_payments()) : 10]}
    wrong = {}
    for payment in ordered:
        expected = customers.expect(payment)
        if payment.id in frauds:
            customers.note(payment, 1.0, payment.at + HOUR_MS)
        off = differences(found[payment.id], expected)
        if off:
            wrong[payment.id] = off
    assert wrong == {}
    assert sum(row["frauds"] for row in found.values()) > 0
    _check_letters([json.loads(line) for line in letters[0]], disputed)


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


def test_under_rules_each_payment_is_judged_as_the_oracle_says(
    replayed: tuple[Path, Path, list[Payment], list[Payment]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, file, good, _ = replayed
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    table = replay(path, file, tmp_path / "ruled", 2, capsys, "--rules", str(rules))
    found = {row["transaction_id"]: row for row in table.to_pylist()}
    histories: dict[str, OracleHistory] = {}
    wrong = {}
    for payment in sorted(good, key=lambda payment: (payment.at, payment.id)):
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


def _check_letters(letters: list[dict[str, object]], disputed: list[Payment]) -> None:
    reasons = sorted((str(letter["reason"]), letter["field"] or "") for letter in letters)
    expected = [(KINDS[kind].reason, KINDS[kind].field or "") for kind in KINDS if kind not in NOT_IN_FILES]
    assert reasons == sorted([*expected * EACH, *[("conflict", "id")] * len(disputed)])
