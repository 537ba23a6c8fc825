"""What the demo counts: percentiles of a histogram are those of the values, and only ten seconds are remembered one by one."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mitra.demo.tally import WINDOW_S, Tally, percentiles_ms


@given(st.lists(st.integers(0, 50), min_size=1, max_size=300))
def test_percentiles_are_those_of_the_sorted_values(tenths: list[int]) -> None:
    ranked = sorted(tenths)
    count = len(ranked)
    expected = ranked[count // 2] / 10, ranked[min(count - 1, count * 99 // 100)] / 10
    assert percentiles_ms(Counter(tenths)) == expected


def test_of_nothing_there_are_none() -> None:
    assert percentiles_ms({}) is None
    assert percentiles_ms(Tally().lately(0.0)) is None


def test_the_last_ten_seconds_are_told_apart_and_an_hour_takes_no_more_memory() -> None:
    tally = Tally()
    for second in range(3600):
        tally.answered(float(second), 20.0 if second < 3590 else 10.0)
    assert tally.decided == tally.tenths_ms.total() == 3600
    assert len(tally._recent) == WINDOW_S + 1
    assert percentiles_ms(tally.tenths_ms) == (20.0, 20.0)
    assert tally.lately(3600.0) == {100: 10}
    assert not tally.lately(3700.0)
