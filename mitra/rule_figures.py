"""What each rule does: how often it fired, how often it could not be decided, and how right labels find it.

Counted in memory by each subtask of decide, and published every PERIOD_MS of input on the monitor topic: sums over the
records of a rule are its figures. After a crash, what was counted since the last record is counted again with the payments.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from mitra.decision import Record

PERIOD_MS = 10_000

encode_json = msgspec.json.Encoder().encode


class RuleFigures:
    """The counts of one subtask since it last published them."""

    def __init__(self, subtask: int) -> None:
        """Start with nothing."""
        self._subtask = subtask
        self._since_ms: float | None = None
        self._clear()

    def _clear(self) -> None:
        self._payments = 0
        self._judging_ms = 0.0
        self._labels: Counter[str] = Counter()
        self._rules: dict[str, Counter[str]] = {}

    def decided(self, records: Iterable[Record], judging_ms: float) -> None:
        """Count payments that were decided for the first time, and the time their rules took."""
        self._judging_ms += judging_ms
        for record in records:
            self._payments += 1
            for count, fired in (("fired", record.rules), ("shadow", record.shadow)):
                for one in fired:
                    self._of(f"{one['id']}@{one['version']}")[count] += 1
            for name in record.not_evaluated:
                self._of(name)["not_evaluated"] += 1

    def labelled(self, record: Record, *, fraud: bool) -> None:
        """Count a label of a payment with the rules that fired on it."""
        self._labels["frauds" if fraud else "legits"] += 1
        for one in (*record.rules, *record.shadow):
            self._of(f"{one['id']}@{one['version']}")["frauds" if fraud else "legits"] += 1

    def due(self, now_ms: float) -> list[bytes]:
        """Return the records to publish, where it is time; they are counted out."""
        if self._since_ms is None:
            self._since_ms = now_ms
        if now_ms - self._since_ms < PERIOD_MS:
            return []
        head = {"subtask": self._subtask, "from": int(self._since_ms), "to": int(now_ms)}
        found: list[dict[str, Any]] = []
        if self._payments or self._labels:
            judging_us = round(self._judging_ms * 1000 / self._payments, 1) if self._payments else 0.0
            totals = {"payments": self._payments, "judging_us": judging_us}
            found.append({"metric": "rules", **head, **totals, **_counts(self._labels, ("frauds", "legits"))})
            kinds = ("fired", "shadow", "not_evaluated", "frauds", "legits")
            found += [
                {"metric": "rule", "rule": name, **head, **_counts(c, kinds)} for name, c in sorted(self._rules.items())
            ]
        self._since_ms = now_ms
        self._clear()
        return [encode_json(one) for one in found]

    def _of(self, name: str) -> Counter[str]:
        counts = self._rules.get(name)
        if counts is None:
            counts = self._rules[name] = Counter()
        return counts


def _counts(counter: Counter[str], kinds: Sequence[str]) -> dict[str, int]:
    return {kind: counter[kind] for kind in kinds}
