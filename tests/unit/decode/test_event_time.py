"""Texts of times: the quick way of reading a common pattern takes what the pattern takes, and nothing else."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitra.event_time import value_ms

PATTERNS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")


def slowly(text: str, pattern: str) -> int | None:
    try:
        return round(datetime.strptime(text, pattern).replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return None


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(
    "text",
    ["2024-01-01T12:30+05", "2024-01-01 12:30-05", "2024-01-01T12:30:45", "2024-01-01 12:30:45", "2024-W01-1T12:30:00", "2024-01-01T12.30.45"],
)  # fmt: skip
def test_a_text_is_read_as_its_pattern_says(text: str, pattern: str):
    assert value_ms(text, pattern) == slowly(text, pattern)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), st.integers(0, 18), st.characters(codec="ascii"))  # noqa: DTZ001 - UTC
def test_with_one_character_changed_it_is_still_read_so(moment: datetime, place: int, character: str):
    for pattern in PATTERNS:
        written = moment.strftime(pattern)
        text = written[:place] + character + written[place + 1 :]
        assert value_ms(text, pattern) == slowly(text, pattern)
