"""What is counted of rules, and when it is published."""

import json
from typing import Any

from mitra.decision import Record
from mitra.rule_figures import PERIOD_MS, RuleFigures


def fired(*names: str) -> list[dict[str, Any]]:
    return [{"id": name, "version": 2, "outcome": "block", "reason": ""} for name in names]


def record(rules: tuple[str, ...] = (), shadow: tuple[str, ...] = (), lacking: tuple[str, ...] = ()) -> Record:
    return Record(
        content_hash=1, event_time=1, decided_at=1, outcome=0, score=None, raw_score=None, model=None, revision=3, late=False,
        approximate=[], reasons=[], degraded=[], entities=[], keys=[],
        rules=fired(*rules), shadow=fired(*shadow), not_evaluated={name: ["x"] for name in lacking},
    )  # fmt: skip


def test_counts_are_published_once_a_period_and_begin_anew() -> None:
    figures = RuleFigures(1)
    assert figures.due(1000.0) == []
    figures.decided([record(("a",)), record(("a", "b"), ("s",)), record(lacking=("b",))], 0.6)
    figures.labelled(record(("a",), ("s",)), fraud=True)
    figures.labelled(record(), fraud=True)
    figures.labelled(record(("a",)), fraud=False)
    assert figures.due(1000.0 + PERIOD_MS - 1) == []
    found = [json.loads(one) for one in figures.due(1000.0 + PERIOD_MS)]
    head = {"subtask": 1, "from": 1000, "to": 1000 + PERIOD_MS}
    none = {"fired": 0, "shadow": 0, "not_evaluated": 0, "frauds": 0, "legits": 0}
    assert found == [
        {"metric": "rules", **head, "payments": 3, "judging_us": 200.0, "frauds": 2, "legits": 1},
        {"metric": "rule", "rule": "a@2", **head, **none, "fired": 2, "frauds": 1, "legits": 1},
        {"metric": "rule", "rule": "b", **head, **none, "not_evaluated": 1},
        {"metric": "rule", "rule": "b@2", **head, **none, "fired": 1},
        {"metric": "rule", "rule": "s@2", **head, **none, "shadow": 1, "frauds": 1},
    ]
    assert figures.due(1000.0 + 2 * PERIOD_MS) == []
