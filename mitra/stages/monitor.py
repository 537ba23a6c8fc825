"""Monitor: what decide observed in, records of the monitor topic out. One instance for the whole job."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from mitra.blueprint import Blueprint
from mitra.history import Store
from mitra.monitoring.clocks import Clocks
from mitra.monitoring.kept import KeptMonitor
from mitra.monitoring.lineage import built_on
from mitra.monitoring.monitor import Monitor
from mitra.monitoring.settings import Monitoring
from mitra.monitoring.told import Telling
from mitra.stages import Clock, wall_clock_ms

_encode = msgspec.json.Encoder().encode


def monitor_of(blueprint: Blueprint, monitoring: Monitoring) -> Monitor:
    """Return a monitor that has seen nothing yet."""
    pipeline = blueprint.pipeline
    labels = pipeline.labels
    silent_is_legit = labels is not None and labels.absent_is == "legit"
    telling = Telling(monitoring, built_on(blueprint.compiled), silent_is_legit=silent_is_legit)
    clocks = Clocks(pipeline.job.buckets)
    return Monitor(monitoring, telling, clocks, late_ms=pipeline.decided.late_after_ms, labelled=labels is not None)


class MonitorStage:
    """Watches the decisions of all buckets."""

    def __init__(
        self, blueprint: Blueprint, monitoring: Monitoring, store: Store, clock: Clock = wall_clock_ms
    ) -> None:
        """Go on where `store` left off."""
        self._clock = clock
        self._kept = KeptMonitor(monitor_of(blueprint, monitoring), store, monitoring.exact_scores)

    def process(self, blobs: Iterable[bytes]) -> list[bytes]:
        """Take a batch of observations; return what is to be told, as JSON."""
        now_ms = self._clock()
        self._kept.take(blobs, now_ms)
        return self._tell(self._kept.monitor.due(now_ms))

    def _tell(self, records: Sequence[dict[str, Any]]) -> list[bytes]:
        if records:
            self._kept.write()
        return [_encode(record) for record in records]
