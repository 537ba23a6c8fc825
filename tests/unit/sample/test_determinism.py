"""The same seed gives the same bytes; a scenario more or less leaves the others as they are."""

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from mitra.errors import MitraError
from mitra.sample import generator, tags, write_sample
from mitra.sample.columns import Payments, concatenate
from mitra.sample.generator import make_payments
from mitra.sample.streams import Numbers, mix
from mitra.sample.world import World, make_world

START_MS = 1_740_960_000_000
# Changes only with a change of the generator that the changelog names, or with numpy's random streams.
GOLDEN = {
    "payments.jsonl": "ce567992baf9783410c9b4c12b719f1801083a596f0c0562fb2cb5ed2857d3d2",
    "labels.jsonl": "d4d54d4867a92ec1d5f5359e6c71511f7c856fd18dcad17ab9ec9c6ea5953605",
}


def _small(seed: int = 7, days: int = 3) -> Payments:
    return concatenate(list(make_payments(make_world(seed, 1_000), days=days, start_ms=START_MS)))


def _rows(payments: Payments) -> set[tuple[int, ...]]:
    return set(zip(*(getattr(payments, name).tolist() for name in Payments.__dataclass_fields__), strict=True))


def test_a_seed_gives_the_golden_bytes(tmp_path: Path) -> None:
    write_sample(tmp_path, seed=7, customers=2_000, days=4, start_ms=START_MS, file_format="jsonl")
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()}
    assert found == GOLDEN


def test_parquet_and_json_lines_hold_the_same(tmp_path: Path) -> None:
    for file_format in ("jsonl", "parquet"):
        write_sample(tmp_path, seed=3, customers=200, days=2, start_ms=START_MS, file_format=file_format)
    for name in ("payments", "labels"):
        lines = [msgspec.json.decode(line) for line in (tmp_path / f"{name}.jsonl").read_bytes().splitlines()]
        table = pq.read_table(tmp_path / f"{name}.parquet").to_pylist()
        assert [{key: value for key, value in row.items() if value is not None} for row in table] == lines
        assert lines


def test_more_days_continue_fewer() -> None:
    three, five = _small(days=3), _small(days=5)
    assert _rows(five.take(np.arange(len(three)))) == _rows(three)


def test_another_seed_gives_other_payments_with_other_ids() -> None:
    assert not set(_small(7).id.tolist()) & set(_small(8).id.tolist())


@pytest.mark.parametrize("left_out", [scenario.name for scenario in generator.SCENARIOS])
def test_a_scenario_leaves_the_others_as_they_are(left_out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _small(days=6)
    without = tuple(scenario for scenario in generator.SCENARIOS if scenario.name != left_out)
    monkeypatch.setattr(generator, "SCENARIOS", without)
    assert _rows(whole.take(whole.tag != tags.TAG[left_out])) == _rows(_small(days=6))


def test_the_order_of_time_holds_and_ids_are_unique(month: Payments) -> None:
    keys = list(zip(month.time_ms.tolist(), month.id.tolist(), strict=True))
    assert keys == sorted(keys)
    assert len(np.unique(month.id)) == len(month)


def test_no_half_file_stays_behind(tmp_path: Path) -> None:
    def fail(_time_ms: int, _payments: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path, seed=1, customers=10, days=2, start_ms=START_MS, progress=fail)
    assert not list(tmp_path.iterdir())


def test_numbers_don_t_meet_and_mixing_is_one_to_one() -> None:
    first, second = Numbers(1, "a"), Numbers(1, "b")
    assert not set(first.take(1_000).tolist()) & set(second.take(1_000).tolist())
    assert not set(first.take(1_000).tolist()) & set(Numbers(1, "a").take(1_000).tolist())
    assert len(np.unique(mix(np.arange(100_000, dtype=np.uint64)))) == 100_000


@pytest.mark.parametrize(
    ("customers", "days", "start_ms", "message"),
    [(0, 1, 0, "customers=0"), (3_000_000, 1, 0, "customers=3000000"), (5, 0, 0, "days=0"), (5, 1, 5, "start_ms=5")],
)
def test_arguments_out_of_bounds_are_named(customers: int, days: int, start_ms: int, message: str) -> None:
    with pytest.raises(MitraError, match=message):
        list(make_payments(make_world(1, customers), days=days, start_ms=start_ms))


def test_one_customer_is_a_world(world: World) -> None:
    assert len(world.customers) == 4_000
    alone = concatenate(list(make_payments(make_world(5, 1), days=40, start_ms=START_MS)))
    assert len(alone) > 5
    assert set(alone.customer.tolist()) == {0}
