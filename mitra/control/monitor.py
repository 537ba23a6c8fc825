"""What the monitor topic has said lately of models: the newest records, summed up."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mitra.control.replay import said_by
from mitra.kafka_clients import tail
from mitra.pipeline import Pipeline

_NEWEST = 2_000
"""Records of each partition: a quarter of an hour and more, with a dozen models on a few subtasks."""
_READ_S = 5.0


@dataclass(slots=True)
class ModelUse:
    """What a model did between two times: calls are batches, and the latency is of one."""

    from_ms: int
    to_ms: int
    payments: int = 0
    calls: int = 0
    failed: int = 0
    spent_us: float = 0.0

    @property
    def call_us(self) -> float | None:
        """Microseconds a call."""
        return self.spent_us / self.calls if self.calls else None


def model_use(pipeline: Pipeline) -> dict[str, ModelUse]:
    """Return what each model did lately, by name@version; empty where the topic tells nothing."""
    with tail(pipeline, pipeline.topics.monitor) as reader:
        return sum_up(said_by(data) for data in _newest(reader))


def sum_up(records: Iterable[dict[str, Any]]) -> dict[str, ModelUse]:
    """Sum up the records of models among those of the monitor topic."""
    found: dict[str, ModelUse] = {}
    for one in records:
        if one.get("metric") != "model":
            continue
        use = found.setdefault(str(one["model"]), ModelUse(one["from"], one["to"]))
        use.from_ms, use.to_ms = min(use.from_ms, one["from"]), max(use.to_ms, one["to"])
        use.payments += one["payments"]
        use.calls += one["batches"]
        use.failed += one["failed"]
        use.spent_us += one["spent_us"]
    return found


def _newest(reader: Any) -> list[bytes | None]:
    places = list(reader.assignment())
    firsts, ends = reader.beginning_offsets(places), reader.end_offsets(places)
    for place in places:
        reader.seek(place, max(firsts[place], ends[place] - _NEWEST))
    found: list[bytes | None] = []
    deadline = time.monotonic() + _READ_S
    while any(reader.position(place) < ends[place] for place in places) and time.monotonic() < deadline:
        found += [message.value for batch in reader.poll(timeout_ms=200).values() for message in batch]
    return found
