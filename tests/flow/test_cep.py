"""Flink's CEP library as an engine beside the job's own: both find the same.

`python -m bench.cep` compares the engines on many more patterns.
"""

import random
from pathlib import Path

import pytest

from tests.factories.cep import both_can, differences, flink_finds, stream

pytestmark = pytest.mark.flow

PATTERNS, STREAMS, SEED = 16, 12, 7


def test_both_engines_find_the_same_matches(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    streams = [stream(chance) for _ in range(STREAMS)]
    pairs = both_can(PATTERNS, SEED)
    matching, wrong = differences(pairs, streams, flink_finds(pairs, streams, tmp_path / "cep"))
    assert wrong == [], wrong[0]
    assert len(pairs) == PATTERNS
    assert matching * 3 >= PATTERNS * STREAMS, f"{matching} of {PATTERNS * STREAMS}"
