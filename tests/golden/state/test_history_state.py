"""The bytes of histories in state: what this release writes, and that it reads what every release wrote.

`history-1.json` holds a bucket (key -> base64) and what the next events are answered from it. It never changes: a new
version of the bytes gets a file of its own. MITRA_WRITE_GOLDEN=1 writes the newest one.
"""

import base64
import json
import os
import zlib
from pathlib import Path
from random import Random

import pytest

from mitra.history import History, MemoryStore, Plan, Result, sealing
from mitra.schema import HistoryLimits, Labels
from rules.plan import Pair
from tests.factories.history import ENTITIES, LAYOUT, WHERES, aggregate, columns, notes, touches
from tests.oracles.history import Label, PastEvent

FOLDER = Path(__file__).parent
NEWEST = FOLDER / "history-1.json"
HOUR, DAY = 3_600_000, 86_400_000
START = 1_700_000_000_000
ASKED = [
    aggregate("count", "customer", None, ("over", HOUR)),
    aggregate("sum", "customer", "amount", ("over", 30 * DAY), where=WHERES[1]),
    aggregate("std", "customer", "amount"),
    aggregate("distinct", "customer", "device", ("over", 30 * DAY)),
    aggregate("mean", "customer", "fraud", ("over", 30 * DAY)),
    aggregate("previous", "customer", "country", event="payment"),
    aggregate("first", "customer", "device"),
    aggregate("count", "terminal", None, ("last", 5), where=WHERES[0]),
]
PLAN = Plan(
    ASKED,
    LAYOUT,
    ENTITIES,
    Labels("fraud", "labels", "id", "label", absent_is="legit", after_ms=DAY),
    HistoryLimits(raw_events=64),
)


def made_up(number: int) -> PastEvent:
    random = Random(number)
    values: dict[str, float | int | str | bool | None] = {"device": f"device-{random.randrange(9)}"}
    if random.random() < 0.7:
        values |= {
            "amount": random.choice([None, 12.5, 80.0, 0.25]),
            "items": random.randrange(4),
            "online": random.choice([None, True, False]),
            "country": random.choice(["DE", "FR", "日本", None]),
        }
        return PastEvent("payment", START + number * HOUR, f"id{number}", 0, values)
    return PastEvent("login", START + number * HOUR - random.randrange(6 * HOUR), f"id{number}", 0, values)


def fill(history: History, store: MemoryStore) -> None:
    for first in range(0, 100, 5):
        events = [made_up(number) for number in range(first, first + 5)]
        members = [(row, 0, "anna") for row in range(5)] + [(0, 1, "терминал")]
        told = [
            (0, "anna", Label(e.id, e.time_ms, float(e.values["device"] == "device-1"), e.time_ms + HOUR, 1))
            for e in events[:2]
        ]
        history.process(3, store, columns(events), touches(members), notes(told), START)


def answers(history: History, store: MemoryStore) -> list[object]:
    """Answer the next events from what a store holds."""
    events = [made_up(number) for number in (100, 101, 40)]
    result: Result = history.process(
        3,
        store,
        columns(events),
        touches([(0, 0, "anna"), (1, 0, "anna"), (1, 1, "терминал"), (2, 0, "anna")]),
        None,
        START,
    )
    values = [["missing" if v != v else v for v in row] for row in result.values.tolist()]
    return [result.status.tolist(), result.arrival.tolist(), values, result.texts]


def unpacked(key: str, data: bytes) -> str:
    """Return bytes as text; deflated ones inflated, for zlib's own bytes differ from build to build."""
    if key.startswith("\0s") and data[7] & 0x80:
        data = data[:32] + zlib.decompress(data[32:])
    return base64.b64encode(data).decode()


@pytest.fixture
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    # So that a bucket of a few kilobytes has open, sealed and packed rows. The sizes are no part of the format.
    monkeypatch.setattr(sealing, "SEGMENT_ROWS", 12)
    monkeypatch.setattr(sealing, "PACK_FROM", 2)


@pytest.mark.usefixtures("_small_segments")
def test_this_release_writes_the_golden_bytes() -> None:
    store = MemoryStore()
    fill(History(PLAN, journal_events=40), store)
    if os.environ.get("MITRA_WRITE_GOLDEN"):
        bucket = {key: base64.b64encode(data).decode() for key, data in sorted(store.data.items())}
        told = answers(History(PLAN), MemoryStore(dict(store.data)))
        NEWEST.write_text(
            json.dumps({"bucket": bucket, "answers": told}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    golden = json.loads(NEWEST.read_text(encoding="utf-8"))["bucket"]
    written = {key: unpacked(key, data) for key, data in store.data.items()}
    assert written == {key: unpacked(key, base64.b64decode(data)) for key, data in golden.items()}
    kinds = {key.split("\0")[1] if key.startswith("\0") else "header" for key in golden}
    assert {"s" if kind[:1] == "s" else kind for kind in kinds} == {
        "header", "s", "t", "l", "layout", "conditions", "day", "days", "journal",
    }  # fmt: skip
    assert any(key.startswith("\0s") and base64.b64decode(data)[7] & 0x80 for key, data in golden.items())


@pytest.mark.parametrize("path", sorted(FOLDER.glob("history-*.json")), ids=lambda path: path.stem)
def test_what_a_release_wrote_is_read(path: Path) -> None:
    golden = json.loads(path.read_text(encoding="utf-8"))
    store = MemoryStore({key: base64.b64decode(data) for key, data in golden["bucket"].items()})
    found, wanted = answers(History(PLAN), store), golden["answers"]
    assert found[:2] == wanted[:2]
    assert found[3] == wanted[3]
    for found_row, wanted_row in zip(found[2], wanted[2], strict=True):  # type: ignore[call-overload]
        for value, expected in zip(found_row, wanted_row, strict=True):
            assert value == (expected if expected == "missing" else pytest.approx(expected, rel=1e-12))


@pytest.mark.usefixtures("_small_segments")
def test_pairs_are_answered_from_bytes_that_know_nothing_of_them() -> None:
    """They lie in no state: a history that is asked of them for the first time answers from the rows that were there."""
    pair = Pair("login", ("payment",), "device")
    asked = [
        aggregate("mean", "customer", None, ("last", 10), event="payment", pair=pair),
        aggregate("open", "customer", None, ("over", 3 * DAY), event="login", pair=pair),
    ]
    plan = Plan([*ASKED, *asked], LAYOUT, ENTITIES, PLAN.labels, PLAN.limits)
    golden = json.loads(NEWEST.read_text(encoding="utf-8"))["bucket"]
    filled = MemoryStore()
    fill(History(plan, journal_events=40), filled)
    stored = MemoryStore({key: base64.b64decode(data) for key, data in golden.items()})
    found, wanted = answers(History(plan), stored), answers(History(plan), filled)
    assert found == wanted
    assert all(isinstance(value, float) for value in found[2][0][-len(asked) :])  # type: ignore[index]
