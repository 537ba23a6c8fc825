"""The examples in docs/models.md run as they are printed."""

import doctest
from pathlib import Path

import models.windows

ROOT = Path(__file__).resolve().parents[3]


def test_the_examples_of_the_guide_hold(monkeypatch):
    monkeypatch.chdir(ROOT)
    found = doctest.testfile(
        str(ROOT / "docs" / "models.md"), module_relative=False, optionflags=doctest.ELLIPSIS, encoding="utf-8"
    )
    assert found.attempted > 10
    assert found.failed == 0


def test_the_examples_in_docstrings_hold():
    found = doctest.testmod(models.windows)
    assert found.attempted > 0
    assert found.failed == 0
