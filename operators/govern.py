"""The operator of the govern stage: one instance under one key, its state is all that govern knows."""

import time
from collections.abc import Iterator

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from mitra.blueprint import Blueprint
from mitra.job_keys import spread_keys
from mitra.stages.govern import TICK_MS, GovernStage, Sent
from operators.interpreter import settle
from operators.state import FlinkStore

INTAKE, HISTORY, DECIDE = range(3)
"""Which stage a row goes to: its first field, by which SQL sends it on."""

_STAGES = {"intake": INTAKE, "history": HISTORY, "decide": DECIDE}


class GovernOperator(KeyedProcessFunction):
    """Gives changes their revision and brings revisions to every part of the job."""

    def __init__(self, blueprint: Blueprint) -> None:
        """Take what the stage is compiled from, in `open`."""
        self._blueprint = blueprint

    def open(self, runtime_context: RuntimeContext) -> None:
        """Open the state; what lies in it can be read once there is a key."""
        job = self._blueprint.pipeline.job
        buckets = spread_keys(job.buckets)
        self._keys = {"intake": spread_keys(job.lanes), "history": buckets, "decide": buckets}
        self._store = FlinkStore(runtime_context, "govern")
        self._stage: GovernStage | None = None
        settle()

    def process_element(self, value: list[str], ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        """Take the records of the control topics that came within a few milliseconds."""
        started = self._stage is None
        yield from self._rows(self._governing().process(value))
        if started:
            self._wait(ctx)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Row]:
        """Let govern ask again for what was not answered."""
        yield from self._rows(self._governing().tick())
        self._wait(ctx)

    def _governing(self) -> GovernStage:
        if self._stage is None:
            self._stage = GovernStage(self._blueprint, self._store)
        return self._stage

    def _rows(self, sent: Sent) -> Iterator[Row]:
        for stage, part, blob in sent:
            yield Row(_STAGES[stage], self._keys[stage][part], blob)

    @staticmethod
    def _wait(ctx: KeyedProcessFunction.Context) -> None:
        # Rounded, so that the timer of a run before this one and this run's own are one.
        ctx.timer_service().register_processing_time_timer((int(time.time() * 1000) // TICK_MS + 1) * TICK_MS)
