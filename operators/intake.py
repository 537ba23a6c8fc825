"""The operator of the intake stage: one call for the records that one lane read within a few milliseconds."""

from collections.abc import Iterator
from typing import Literal

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueStateDescriptor

from mitra.blueprint import Blueprint
from mitra.job_keys import spread_keys
from mitra.route import Lane
from mitra.stages.intake import Intake

CLOCK_VERSION = 1
"""A lane's clock lies in state as the MessagePack array (version, epoch milliseconds)."""

_encode_clock = msgspec.msgpack.Encoder().encode
_decode_clock = msgspec.msgpack.Decoder(tuple[Literal[1], int]).decode


class IntakeOperator(KeyedProcessFunction):
    """Keyed by lane: its state is the lane's event-time clock."""

    def __init__(self, blueprint: Blueprint) -> None:
        """Take what the stage is compiled from, in `open`."""
        self._blueprint = blueprint

    def open(self, runtime_context: RuntimeContext) -> None:
        """Compile the stage."""
        job = self._blueprint.pipeline.job
        self._intake = Intake(self._blueprint)
        self._keys = spread_keys(job.buckets)
        self._lane_of = {key: lane for lane, key in enumerate(spread_keys(job.lanes))}
        self._clock = runtime_context.get_state(ValueStateDescriptor("lane_clock", Types.PICKLED_BYTE_ARRAY()))
        self._lanes: dict[int, Lane] = {}

    def process_element(self, value: list[str], ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        """Route one batch of records."""
        key = ctx.get_current_key()
        lane = self._lanes.get(key)
        if lane is None:
            stored = self._clock.value()
            # A batch collected before `job.lanes` was changed may come under a key that is no lane's any more.
            lane = self._lanes[key] = Lane(self._lane_of.get(key, 0))
            if stored is not None:
                _, lane.clock_ms = _decode_clock(stored)
        before = lane.clock_ms
        for bucket, blob in self._intake.process(lane, value):
            yield Row(self._keys[bucket], blob)
        if lane.clock_ms != before:
            self._clock.update(_encode_clock((CLOCK_VERSION, lane.clock_ms)))
