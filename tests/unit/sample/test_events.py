"""What happens beside the payments: every line decodes by the example, incidents bear their marks, payments stay as they are."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from mitra.cli import main
from mitra.decode import Decoder, Event
from mitra.pipeline import load_pipeline
from mitra.sample import write_sample
from mitra.sample.events.columns import KINDS
from mitra.sample.events.tags import FRAUDS, NAMES

PIPELINE = Path(__file__).resolve().parents[3] / "examples" / "payments" / "pipeline.yaml"
START_MS = 1_740_960_000_000
MINUTE_MS = 60_000
DAY_MS = 86_400_000

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("events")
    write_sample(folder, seed=11, customers=700, days=38, start_ms=START_MS, events=True)
    return folder


def rows(sample: Path, name: str) -> Rows:
    found: Rows = pq.read_table(sample / f"{name}.parquet").to_pylist()
    return found


@pytest.fixture(scope="module")
def transfers(sample: Path) -> dict[str, Rows]:
    """The transfers by the name on their label."""
    names = {row["transaction_id"]: row["scenario"] for row in rows(sample, "transfer_labels")}
    found: dict[str, Rows] = {name: [] for name in NAMES}
    for row in rows(sample, "events/transfer"):
        found[names[row["transaction_id"]]].append(row)
    return found


def test_every_event_decodes_by_the_example_and_lies_in_the_order_of_time(sample: Path) -> None:
    pipeline = load_pipeline(PIPELINE)
    for kind in KINDS:
        event = pipeline.event(kind)
        assert event is not None
        decoder = Decoder(event, pipeline.limits)
        made = [decoder.decode(json.dumps(row).encode(), None) for row in rows(sample, f"events/{kind}")]
        assert made
        assert all(isinstance(one, Event) for one in made)
        keys = [(one.time_ms, one.id) for one in made if isinstance(one, Event)]
        assert keys == sorted(keys)
        assert len({id for _, id in keys}) == len(keys)
        assert START_MS <= keys[0][0] <= keys[-1][0] < START_MS + 38 * DAY_MS


def test_payments_are_the_same_with_and_without(tmp_path: Path) -> None:
    def written(name: str, *, events: bool) -> dict[str, str]:
        folder = tmp_path / name
        write_sample(folder, seed=7, customers=300, days=3, start_ms=START_MS, file_format="jsonl", events=events)
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}

    with_events, without = written("with", events=True), written("without", events=False)
    assert {name: with_events[name] for name in without} == without
    assert set(with_events) - set(without) == {"transfer_labels.jsonl"}
    again = tmp_path / "again"
    write_sample(again, seed=7, customers=300, days=3, start_ms=START_MS, file_format="jsonl", events=True)
    for kind in KINDS:
        assert (again / "events" / f"{kind}.jsonl").read_bytes() == (
            tmp_path / f"with/events/{kind}.jsonl"
        ).read_bytes()


def test_a_takeover_is_a_strange_login_a_reset_and_money_gone_within_half_an_hour(
    sample: Path, transfers: dict[str, Rows]
) -> None:
    logins = {(row["customer_id"], row["device_id"]): row for row in rows(sample, "events/login") if row["succeeded"]}
    resets = {(row["customer_id"], row["device_id"]): row for row in rows(sample, "events/password_reset")}
    taken = transfers["account_takeover"]
    assert len(taken) >= 20
    honest = {(row["customer_id"], row["device_id"]) for row in transfers["ordinary"]}
    for row in taken:
        key = row["customer_id"], row["device_id"]
        login, reset = logins[key], resets[key]
        assert login["event_time"] < reset["event_time"] < row["event_time"] < login["event_time"] + 30 * MINUTE_MS
        assert row["amount"] > 500
        assert key not in honest


def test_a_mule_collects_within_hours_from_many_who_never_sent_there(transfers: dict[str, Rows]) -> None:
    mules: dict[str, Rows] = {}
    for row in transfers["mule_fan_in"]:
        mules.setdefault(row["to_account"], []).append(row)
    assert len(mules) >= 3
    for sent in mules.values():
        assert len({row["customer_id"] for row in sent}) == len(sent)
        assert sent[-1]["event_time"] - sent[0]["event_time"] < 9 * 60 * MINUTE_MS
    others = {row["to_account"] for name in NAMES if name != "mule_fan_in" for row in transfers[name]}
    assert not others & set(mules)
    gifts = [row["amount"] for row in transfers["collection"]]
    assert max(gifts) <= 100
    assert gifts


def test_a_dormant_account_has_slept_for_a_month(sample: Path, transfers: dict[str, Rows]) -> None:
    seen: dict[str, list[int]] = {}
    for row in rows(sample, "events/login"):
        seen.setdefault(row["customer_id"], []).append(row["event_time"])
    for name in ("dormant_awakened", "returned"):
        firsts: dict[str, int] = {}
        for row in transfers[name]:
            firsts.setdefault(row["customer_id"], row["event_time"])
        assert len(firsts) >= 3
        for customer, first_ms in firsts.items():
            before = [at for at in seen[customer] if at < first_ms - 60 * MINUTE_MS]
            assert before
            assert first_ms - max(before) > 28 * DAY_MS


def test_an_order_is_picked_and_delivered_or_cancelled_and_some_courier_keeps_them(sample: Path) -> None:
    created, picked, delivered, cancelled = (
        {row["order_id"]: row for row in rows(sample, f"events/order_{state}")}
        for state in ("created", "picked", "delivered", "cancelled")
    )
    assert set(delivered) < set(picked) < set(created)
    assert not set(cancelled) & set(picked)
    old = {id for id, row in picked.items() if row["event_time"] < START_MS + 37 * DAY_MS}
    kept = [picked[id]["courier_id"] for id in old - set(delivered)]
    assert 0.001 < len(kept) / len(old) < 0.05
    times = [delivered[id]["event_time"] - picked[id]["event_time"] for id in delivered]
    assert 0.003 < np.mean(np.array(times) > 45 * MINUTE_MS) < 0.04


def test_few_transfers_are_frauds_and_logins_keep_the_rhythm_of_the_day(sample: Path) -> None:
    labels = rows(sample, "transfer_labels")
    assert sum(label["is_fraud"] for label in labels) < 0.05 * len(labels)
    assert {label["scenario"] for label in labels if label["is_fraud"]} == FRAUDS
    hours = np.array([row["event_time"] // 3_600_000 % 24 for row in rows(sample, "events/login")])
    counts = np.bincount(hours, minlength=24)
    assert counts[1:5].max() < 0.6 * counts.max()


def test_the_command_counts_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["sample", "--customers", "200", "--days", "2", "--events", "--output", str(tmp_path)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in (*KINDS, *NAMES))
    assert main([*command, "--json", "--format", "jsonl"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["events"]["login"] == len((tmp_path / "events/login.jsonl").read_bytes().splitlines())
    assert sum(told["transfers"].values()) == told["events"]["transfer"]
