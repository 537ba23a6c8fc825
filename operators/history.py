"""The operator of the history stage: keyed by bucket, its state is the histories of the bucket's entities."""

from collections.abc import Iterator

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from mitra.blueprint import Blueprint
from mitra.job_keys import spread_keys
from mitra.stages.history import HistoryStage
from operators.interpreter import settle
from operators.state import FlinkStore
from operators.subtask import subtask_of


class HistoryOperator(KeyedProcessFunction):
    """Answers the aggregates of the entities that a batch touches."""

    def __init__(self, blueprint: Blueprint, journal_events: int) -> None:
        """Take what the stage is compiled from, in `open`."""
        self._blueprint = blueprint
        self._journal_events = journal_events

    def open(self, runtime_context: RuntimeContext) -> None:
        """Compile the stage and its kernels."""
        blueprint, subtask = self._blueprint, subtask_of(runtime_context)
        cache_bytes = blueprint.pipeline.job.cache_mb << 20
        self._stage = HistoryStage(blueprint, cache_bytes, subtask=subtask, journal_events=self._journal_events)
        self._stage.warm_up()
        keys = spread_keys(blueprint.pipeline.job.buckets)
        self._keys = keys
        self._bucket_of = {key: bucket for bucket, key in enumerate(keys)}
        self._store = FlinkStore(runtime_context, "histories")
        settle()

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        """Take one message of a bucket."""
        bucket = self._bucket_of[ctx.get_current_key()]
        for target, blob in self._stage.process(bucket, self._store, (bytes(value),)):
            yield Row(self._keys[target], blob)
