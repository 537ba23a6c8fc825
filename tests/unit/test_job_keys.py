"""The keys of buckets and lanes spread evenly at every parallelism, by both of Flink's hashes, and never change."""

import json
from pathlib import Path

import pytest

from mitra.job_keys import MAX_BUCKETS, MAX_PARALLELISM, spread_keys, sql_key_group, stream_key_group

GOLDEN = Path(__file__).parent.parent / "golden" / "job_keys.json"
COUNTS = (1, 2, 4, 8, 16, 32, 64)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("key_group", [stream_key_group, sql_key_group])
def test_keys_spread_evenly_at_every_parallelism(count: int, key_group) -> None:
    keys = spread_keys(count)
    for parallelism in (one for one in COUNTS if one <= count):
        # As Flink's KeyGroupRangeAssignment.computeOperatorIndexForKeyGroup has it.
        subtasks = [key_group(key) * parallelism // MAX_PARALLELISM for key in keys]
        assert [subtasks.count(subtask) for subtask in range(parallelism)] == [count // parallelism] * parallelism


@pytest.mark.parametrize("count", COUNTS)
def test_a_batch_stays_on_its_subtask_between_sql_and_stream(count: int) -> None:
    for key in spread_keys(count):
        assert stream_key_group(key) * count // MAX_PARALLELISM == sql_key_group(key) * count // MAX_PARALLELISM


@pytest.mark.parametrize("count", COUNTS)
def test_keys_are_distinct_and_in_the_order_of_their_subtasks(count: int) -> None:
    keys = spread_keys(count)
    assert len(set(keys)) == count
    assert [stream_key_group(key) * count // MAX_PARALLELISM for key in keys] == list(range(count))


def test_keys_never_change() -> None:
    """State lies under them: another list here means that every savepoint is lost."""
    golden = {int(count): tuple(keys) for count, keys in json.loads(GOLDEN.read_text(encoding="utf-8")).items()}
    assert {count: spread_keys(count) for count in COUNTS} == golden
    assert (MAX_PARALLELISM, MAX_BUCKETS) == (128, 64)


def test_keys_that_were_seen_to_spread_in_a_running_flink() -> None:
    assert [stream_key_group(key) * 8 // MAX_PARALLELISM for key in (19, 4, 0, 14, 22, 8, 2, 6)] == list(range(8))


@pytest.mark.parametrize("key", [0, 1, 62, 1 << 20, (1 << 31) - 1])
def test_groups_lie_within_the_maximum(key: int) -> None:
    assert 0 <= stream_key_group(key) < MAX_PARALLELISM
    assert 0 <= sql_key_group(key) < MAX_PARALLELISM
