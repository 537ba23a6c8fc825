"""What a broken pipeline file is told, word for word: each tests/golden/pipeline/NAME.yaml has its NAME.txt.

After a change on purpose, run with MITRA_WRITE_GOLDEN=1 and read the difference.
"""

import os
from pathlib import Path

import pytest

from mitra.errors import ProblemsError
from mitra.pipeline_whole import check_whole

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "pipeline"
CASES = sorted(path.stem for path in GOLDEN.glob("*.yaml"))


def rendered(case: str) -> str:
    _, problems = check_whole(GOLDEN / f"{case}.yaml")
    text = str(ProblemsError(f"{case}.yaml", problems)) if problems else f"{case}.yaml: nothing wrong"
    return text.replace(f"{GOLDEN}/", "") + "\n"


@pytest.mark.parametrize("case", CASES)
def test_a_broken_file_is_told_everything_that_is_wrong_with_it(case: str) -> None:
    golden = GOLDEN / f"{case}.txt"
    if os.environ.get("MITRA_WRITE_GOLDEN"):
        golden.write_text(rendered(case), encoding="utf-8")
    assert rendered(case) == golden.read_text(encoding="utf-8")


def test_every_golden_text_has_its_file() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.txt")) == CASES
