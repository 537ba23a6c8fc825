"""The operator of the graph lookup: asynchronous, in a worker process of its own.

PyFlink loses a batch whose coroutine raises, so none does: `Lookup` answers whatever happens, if only without an answer.
"""

from pyflink.common import Row
from pyflink.datastream import AsyncFunction, RuntimeContext

from mitra.graph.lookup import Lookup
from mitra.job_keys import spread_keys
from mitra.pipeline import Pipeline


class GraphLookup(AsyncFunction):
    """Asks the graph about the payments of a batch."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Take what the lookup is made from, in `open`."""
        self._pipeline = pipeline

    def open(self, runtime_context: RuntimeContext) -> None:
        """Make the lookup; its channel is opened by the first batch, on the loop that it belongs to."""
        pipeline = self._pipeline
        assert pipeline.graph is not None
        self._keys = spread_keys(pipeline.job.buckets)
        self._lookup = Lookup(pipeline.graph, pipeline.job.buckets, runtime_context.get_index_of_this_subtask())

    async def async_invoke(self, value: Row) -> list[Row]:
        """Look up one batch."""
        return [Row(self._keys[bucket], blob) for bucket, blob in await self._lookup.look_up(bytes(value[1]))]

    def timeout(self, value: Row) -> list[Row]:
        """Flink's own timeout is off."""
        return []
