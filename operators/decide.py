"""The operator of the decide stage: keyed by bucket, it remembers decisions and gathers parts.

It emits one row a batch and topic: which topic, the records' keys, their values. SQL takes it apart into records inside the
JVM, where bytes stay bytes: as texts they would be decoded and encoded again.
"""

import time
from collections.abc import Iterator, Sequence

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from mitra.blueprint import Blueprint
from mitra.decide import State
from mitra.decision import encode_json
from mitra.graph_pace import shared_pace
from mitra.job_keys import spread_keys
from mitra.log.columns import LogColumns
from mitra.stages.decide import DecideStage, Output
from operators.interpreter import settle
from operators.rule_metrics import RuleMetrics
from operators.state import FlinkStore, MirroredStore
from operators.subtask import job_of, subtask_of

DECISION, DEAD_LETTER, OUTCOME, PROBE, ACK, CHANGE, MONITOR, ALERT, OBSERVED, EDGE, FEATURE = "DXOPACMLBEF"
GRACE_MS = 60_000
"""Timers that fell due while the job was down fire before its first input. A label's deadline counts only after input has
flowed this long, for its transaction may lie in the backlog."""


class DecideOperator(KeyedProcessFunction):
    """Decides transactions and joins labels."""

    def __init__(self, blueprint: Blueprint) -> None:
        """Take what the stage is compiled from, in `open`."""
        self._blueprint = blueprint

    def open(self, runtime_context: RuntimeContext) -> None:
        """Compile the stage and load the model."""
        pipeline = self._blueprint.pipeline
        pace = shared_pace(job_of(runtime_context))
        self._stage = DecideStage(self._blueprint, subtask=subtask_of(runtime_context), pace=pace)
        self._bucket_of = {key: bucket for bucket, key in enumerate(spread_keys(pipeline.job.buckets))}
        self._pending = MirroredStore(runtime_context, "pending_parts")
        self._state = State(
            pending=self._pending,
            decisions=FlinkStore(runtime_context, "decisions", pipeline.remembered_ms),
            waiting=FlinkStore(runtime_context, "waiting_labels"),
            revisions=FlinkStore(runtime_context, "revisions"),
        )
        self._first_input_ms: float | None = None
        self._log = self._blueprint.log_columns
        self._polls: set[int] = set()
        self._metrics = RuleMetrics(runtime_context.get_metrics_group())
        settle()

    def close(self) -> None:
        """Let the models go."""
        self._stage.close()

    def process_element(self, value: list[bytes], ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        """Take the messages that came for a bucket within a few milliseconds."""
        if self._first_input_ms is None:
            self._first_input_ms = time.time() * 1000
        bucket = self._bucket_of[ctx.get_current_key()]
        self._pending.use(bucket)
        out = self._stage.process(bucket, self._state, map(bytes, value))
        for due_ms in out.due_ms:
            ctx.timer_service().register_processing_time_timer(due_ms)
        self._call_at(bucket, out.poll_ms, out.wait_ms, ctx)
        if out.figures:
            self._metrics.count(out.figures)
        yield from output_rows(out, self._log)

    def _call_at(
        self, bucket: int, poll_ms: int | None, wait_ms: int | None, ctx: KeyedProcessFunction.Context
    ) -> None:
        """Have the timer called for what is due first. Deadlines come in their order: one that is set is never too late."""
        times = [at_ms for at_ms in (poll_ms, wait_ms) if at_ms is not None]
        if times and bucket not in self._polls:
            self._polls.add(bucket)
            ctx.timer_service().register_processing_time_timer(min(times) | 1)  # odd: labels fall due at full hours

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Row]:
        """Say which models are loaded and decide what the graph left waiting, or give up on labels without a transaction."""
        if timestamp & 1:
            bucket = self._bucket_of[ctx.get_current_key()]
            self._polls.discard(bucket)
            self._pending.use(bucket)
            polled, waited = self._stage.poll(bucket), self._stage.expire_waits(bucket, self._state)
            self._call_at(bucket, polled.poll_ms, waited.wait_ms, ctx)
            yield from output_rows(polled, self._log)
            yield from output_rows(waited, self._log)
            return
        now_ms = time.time() * 1000
        if self._first_input_ms is None or now_ms < self._first_input_ms + GRACE_MS:
            ctx.timer_service().register_processing_time_timer(int(now_ms + GRACE_MS) & ~1)
            return
        bucket = self._bucket_of[ctx.get_current_key()]
        letters = self._stage.expire(bucket, self._state)
        if letters:
            yield from output_rows(Output(letters=letters), self._log)


def output_rows(out: Output, log: LogColumns | None) -> Iterator[Row]:
    """Return a batch's output as rows of the records of one topic each; with a `log`, those of decisions bear its columns."""
    if log is None:
        yield from _records(out)
        return
    for row in _records(out):
        numbers, texts = log.rows(out.decided) if row[0] == DECISION else ((), ())
        yield Row(*row, numbers, texts)


def _records(out: Output) -> Iterator[Row]:
    if decisions := out.decisions:
        yield _row(DECISION, decisions)
    if out.outcomes:
        yield _row(OUTCOME, out.outcomes)
    if out.edges:
        yield _row(EDGE, out.edges)
    if out.letters:
        yield _row(DEAD_LETTER, [("", letter) for letter in out.letters])
    if out.alerts:
        yield _row(ALERT, out.alerts)
    if out.told:
        yield _row(FEATURE, out.told)
    if out.acks:
        yield _row(ACK, [("", ack) for ack in out.acks])
    if out.changes:
        yield _row(CHANGE, [("", change) for change in out.changes])
    if out.figures:
        yield _row(MONITOR, [("", one) for one in out.figures])
    for observation in out.observed:
        yield Row(OBSERVED, [b""], [observation])
    if out.probes:
        yield _row(PROBE, [(probe.id, encode_json(probe)) for probe in out.probes])


def _row(topic: str, records: Sequence[tuple[str, bytes]]) -> Row:
    return Row(topic, [key.encode() for key, _ in records], [value for _, value in records])
