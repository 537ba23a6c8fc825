"""The operator of the intake stage: one call for the records that one lane read within a few milliseconds."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueStateDescriptor

from mitra.blueprint import Blueprint
from mitra.graph_pace import shared_pace
from mitra.held_records import HeldRecords
from mitra.job_keys import LOOKUP_KEY, spread_keys
from mitra.lane import TICK_MS, Lane
from mitra.stages.intake import Intake
from operators.state import FlinkStore
from operators.subtask import job_of, subtask_of

LANE_VERSION = 1
"""A lane lies in state as the MessagePack array (version, clock in epoch ms, revision, settled offset of the control topic)."""

_encode_lane = msgspec.msgpack.Encoder().encode
_decode_lane = msgspec.msgpack.Decoder(tuple[Literal[1], int, int, int]).decode


class IntakeOperator(KeyedProcessFunction):
    """Keyed by lane: its state is the lane's clock and revision, and the records held until the control log is active."""

    def __init__(self, blueprint: Blueprint) -> None:
        """Take what the stage is compiled from, in `open`."""
        self._blueprint = blueprint

    def open(self, runtime_context: RuntimeContext) -> None:
        """Compile the stage."""
        job = self._blueprint.pipeline.job
        name = job_of(runtime_context)
        pace = shared_pace(name)
        pace.heard()  # of a run before this one nothing comes any more
        self._intake = Intake(self._blueprint, subtask=subtask_of(runtime_context), job=name, pace=pace)
        self._keys = (*spread_keys(job.buckets), LOOKUP_KEY)
        self._lane_of = {key: lane for lane, key in enumerate(spread_keys(job.lanes))}
        self._state = runtime_context.get_state(ValueStateDescriptor("lane", Types.PICKLED_BYTE_ARRAY()))
        self._store = FlinkStore(runtime_context, "held_records")
        self._lanes: dict[int, tuple[Lane, HeldRecords]] = {}

    def process_element(self, value: list[str], ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        """Route one batch of records, or hear one message of govern."""
        key = ctx.get_current_key()
        known = self._lanes.get(key)
        if known is None:
            known = self._open(key)
            self._wait(ctx)
        lane, held = known
        before = replace(lane)
        for bucket, blob in self._intake.process(lane, value, held):
            yield Row(self._keys[bucket], blob)
        if lane != before:
            self._state.update(_encode_lane((LANE_VERSION, lane.clock_ms, lane.revision, lane.read_to)))

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Row]:
        """Let a lane tell how far it has come."""
        key = ctx.get_current_key()
        if key not in self._lane_of:
            return  # of a lane that there was before `job.lanes` was changed
        lane, held = self._lanes.get(key) or self._open(key)
        for bucket, blob in self._intake.tick(lane, held):
            yield Row(self._keys[bucket], blob)
        self._wait(ctx)

    @staticmethod
    def _wait(ctx: KeyedProcessFunction.Context) -> None:
        # Rounded, so that the timer of a run before this one and this run's own are one.
        ctx.timer_service().register_processing_time_timer((int(time.time() * 1000) // TICK_MS + 1) * TICK_MS)

    def _open(self, key: int) -> tuple[Lane, HeldRecords]:
        found = self._lanes[key] = self._restored(key), HeldRecords(self._store)
        return found

    def _restored(self, key: int) -> Lane:
        # A batch collected before `job.lanes` was changed may come under a key that is no lane's any more.
        lane = Lane(self._lane_of.get(key, 0))
        stored = self._state.value()
        if stored is not None:
            _, lane.clock_ms, lane.revision, lane.read_to = _decode_lane(stored)
        return lane
