"""The operator of the monitor stage: one instance under one key, its state is the windows that it counts."""

from collections.abc import Iterator

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from mitra.blueprint import Blueprint
from mitra.stages.monitor import MonitorStage
from operators.decide import MONITOR
from operators.interpreter import settle
from operators.state import FlinkStore


class MonitorOperator(KeyedProcessFunction):
    """Watches quality, drift and data."""

    def __init__(self, blueprint: Blueprint) -> None:
        """Take what the stage is compiled from, in `open`."""
        self._blueprint = blueprint

    def open(self, runtime_context: RuntimeContext) -> None:
        """Open the state; what lies in it can be read once there is a key."""
        self._store = FlinkStore(runtime_context, "monitor")
        self._stage: MonitorStage | None = None
        settle()

    def process_element(self, value: list[bytes], ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        """Take what decide observed within a second."""
        if self._stage is None:
            monitoring = self._blueprint.pipeline.monitoring
            assert monitoring is not None, "the job has no monitor without the section"
            self._stage = MonitorStage(self._blueprint, monitoring, self._store)
        told = self._stage.process(map(bytes, value))
        if told:
            yield Row(MONITOR, [b""] * len(told), told)
