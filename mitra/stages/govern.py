"""Govern: records of the control topics in, revisions and acks out to every lane and bucket."""

from collections.abc import Iterator, Sequence
from typing import Literal

from control_stream import Govern, Mark, Output, read_ack
from mitra.blueprint import Blueprint
from mitra.hashing import bucket_of
from mitra.history import Store
from mitra.messages import Control, Message, Revise, RollCall, encode
from mitra.stages import Clock, wall_clock_ms
from mitra.stages.intake import FIELD_SEPARATOR

Target = Literal["intake", "history", "decide"]
Sent = Iterator[tuple[Target, int, bytes]]
"""The stage, its lane or bucket, and a message."""

TICK_MS = 1_000
_ATTEMPT_KEY = "attempt"


class GovernStage:
    """Drives the state machine of revisions with what was read of its topics, and addresses what it wants done."""

    def __init__(self, blueprint: Blueprint, store: Store, clock: Clock = wall_clock_ms) -> None:
        """Go on where `store` left off."""
        pipeline = blueprint.pipeline
        self._clock = clock
        self._job = pipeline.job
        self._acks_topic = pipeline.topics.control_acks
        # Answers to an earlier run don't count, so each run has a number of its own, above all before: a clock may go back.
        self._attempt = max(int(clock()), int(store.get(_ATTEMPT_KEY) or b"0") + 1)
        store.put_all({_ATTEMPT_KEY: b"%d" % self._attempt})
        self._govern = Govern(
            store,
            pipeline.control_context(blueprint.schema),
            lanes=self._job.lanes,
            buckets=self._job.buckets,
            attempt=self._attempt,
            first=blueprint.control_first,
            begins_at=pipeline.control_begins_at,
        )

    def process(self, records: Sequence[str]) -> Sent:
        """Take source records of the control topic and of the acks, in the order in which they were read."""
        for record in records:
            topic, _, offset, _, rest = record.split(FIELD_SEPARATOR, 4)
            value = rest[1:].encode("latin-1") if rest[0] == "V" else None
            now_ms = int(self._clock())
            if topic == self._acks_topic:
                ack = read_ack(value)
                if ack is not None:
                    yield from self._send(self._govern.ack(ack, now_ms))
            else:
                yield from self._send(self._govern.control(int(offset), value, now_ms))

    def tick(self) -> Sent:
        """Ask again for what a restore has lost, and make known what is due; to be called every TICK_MS."""
        yield from self._send(self._govern.tick(int(self._clock())))

    def _send(self, output: Output) -> Sent:
        buckets = range(self._job.buckets)
        for prepare in output.prepare:
            marks: dict[int, list[Mark]] = {bucket: [] for bucket in buckets}
            for mark in prepare.marks:
                marks[bucket_of(mark.key, len(buckets))].append(mark)
            head = (prepare.attempt, prepare.revision, prepare.base, prepare.changes)
            for bucket in buckets:
                yield "history", bucket, encode(Revise(*head, marks[bucket]))
                yield "decide", bucket, encode(Revise(*head, []))
        for activate in output.activate:
            yield from self._to_lanes(activate)
        for load in output.load:
            for bucket in buckets:
                yield "decide", bucket, encode(load)
        if output.roll_call:
            call = RollCall(self._attempt)
            yield from self._to_lanes(call)
            for bucket in buckets:
                yield "history", bucket, encode(call)
                yield "decide", bucket, encode(call)
        if output.acks or output.publish:
            yield "decide", 0, encode(Control([ack.to_json() for ack in output.acks], output.publish))

    def _to_lanes(self, message: Message) -> Sent:
        blob = encode(message)
        for lane in range(self._job.lanes):
            yield "intake", lane, blob
