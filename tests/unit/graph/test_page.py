"""docs/graph.md against the code: its tables and numbers are what the graph does."""

import re
from pathlib import Path

from mitra.graph.breaker import FAILURES, FIRST_PAUSE_MS, LONGEST_PAUSE_MS
from mitra.graph.caps import STANDARD
from mitra.graph.features import FEATURES
from mitra.graph.lookup import FIGURES_S

PAGE = (Path(__file__).parents[3] / "docs" / "graph.md").read_text(encoding="utf-8")


def test_every_feature_is_on_the_page_and_no_other() -> None:
    table = PAGE.partition("## What can be asked")[2].partition("**As of")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(FEATURES)


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"the newest {STANDARD.own_links:,} links" in PAGE
    assert f"the newest {STANDARD.links} of each of {STANDARD.nodes} nodes" in PAGE
    assert (FAILURES, FIRST_PAUSE_MS, LONGEST_PAUSE_MS, FIGURES_S) == (3, 250, 1_000, 5)
    assert "nothing is asked for 250 ms" in PAGE
