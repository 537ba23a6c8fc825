"""The book's features, out of the job, for a tenth of the customers: every value as the oracle has it."""

from pathlib import Path

import pytest

from bench.handbook import Files, part_of_customers, replay
from bench.parity import compare

pytestmark = [pytest.mark.flow, pytest.mark.data]


def test_a_tenth_of_the_customers_has_exactly_the_books_features(handbook: Path, tmp_path: Path) -> None:
    published = Files(handbook / "transactions.parquet", handbook / "labels.parquet")
    files = part_of_customers(published, 0.1, tmp_path)
    replay(files, tmp_path / "replay")
    comparison = compare(tmp_path / "replay" / "decisions.parquet", files)
    assert comparison.compared == 133_274 * 14
    assert [difference for difference in comparison.differences if difference.off] == []
    assert comparison.lacking == 0
