"""Flink map state as the store of a bucket.

Values go to RocksDB as pickled bytes: thread mode has no type of its own for bytes that may be absent, and the pickle of a
bytes object is its length and the bytes. The bytes themselves carry Mitra's own version.
"""

from typing import Any

from pyflink.common import Time, Types
from pyflink.datastream import RuntimeContext
from pyflink.datastream.state import MapStateDescriptor, StateTtlConfig

_COMPACTION_ASKS_CLOCK = 1000
"""Entries between two looks at the clock while expired ones are compacted away."""


class FlinkStore:
    """The map state of whatever bucket Flink has set as the current key."""

    def __init__(self, context: RuntimeContext, name: str, keep_ms: int | None = None) -> None:
        """Open the state called `name`; entries go `keep_ms` of wall clock after they were written, or never."""
        descriptor = MapStateDescriptor(name, Types.STRING(), Types.PICKLED_BYTE_ARRAY())
        if keep_ms is not None:
            ttl = (
                StateTtlConfig.new_builder(Time.milliseconds(keep_ms))
                .set_update_type(StateTtlConfig.UpdateType.OnCreateAndWrite)
                .set_state_visibility(StateTtlConfig.StateVisibility.NeverReturnExpired)
                # What Flink does by default for RocksDB. Left to itself, PyFlink computes that default by starting a second
                # JVM out of this one, which then stays; the time given here is never asked for.
                .disable_cleanup_in_background()
                .cleanup_in_rocksdb_compact_filter(_COMPACTION_ASKS_CLOCK, Time.days(30))
                .build()
            )
            descriptor.enable_time_to_live(ttl)
        state: Any = context.get_map_state(descriptor)
        self.get = state.get
        self.remove = state.remove
        # In thread mode put_all takes a dict and crosses to the JVM once: 40 % cheaper an entry than put.
        self.put_all = state.put_all


class MirroredStore:
    """Map state that is mirrored in memory, bucket by bucket: reading an entry doesn't cross to the JVM.

    For state that is small and short-lived, such as parts that wait a few milliseconds for the others. A bucket is read whole
    when it is used for the first time.
    """

    def __init__(self, context: RuntimeContext, name: str) -> None:
        """Open the state called `name`."""
        self._state: Any = context.get_map_state(MapStateDescriptor(name, Types.STRING(), Types.PICKLED_BYTE_ARRAY()))
        self._mirrors: dict[int, dict[str, bytes]] = {}
        self._mirror: dict[str, bytes] = {}

    def use(self, bucket: int) -> None:
        """Say which bucket Flink has set as the current key."""
        mirror = self._mirrors.get(bucket)
        if mirror is None:
            mirror = self._mirrors[bucket] = dict(self._state.items())
        self._mirror = mirror

    def get(self, key: str) -> bytes | None:
        """Return the value of a key, None where there is none."""
        return self._mirror.get(key)

    def put_all(self, entries: dict[str, bytes]) -> None:
        """Write all entries."""
        self._state.put_all(entries)
        self._mirror.update(entries)

    def items(self) -> list[tuple[str, bytes]]:
        """Return all entries of the bucket."""
        return list(self._mirror.items())

    def remove(self, key: str) -> None:
        """Forget a key; one that is not there is no error."""
        if key in self._mirror:
            self._state.remove(key)
            del self._mirror[key]
