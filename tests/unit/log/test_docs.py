"""The examples of docs/log.md run as they are printed."""

import doctest
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def test_the_examples_of_the_page_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = doctest.testfile(str(ROOT / "docs" / "log.md"), module_relative=False, encoding="utf-8")
    assert found.attempted > 4
    assert found.failed == 0
