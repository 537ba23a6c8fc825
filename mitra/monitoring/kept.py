"""What the monitor keeps in state: its windows, what else it knows, and a journal of what came since these were written.

Each batch is put into the journal as it came; windows are written anew only now and then, so that bytes written stay near
those that come in. After a restore the journal's batches are taken once more, without telling anything.
"""

from collections.abc import Iterable

import msgspec

from mitra.errors import MitraError
from mitra.history import Store
from mitra.monitoring.monitor import Monitor
from mitra.monitoring.observed import Sheet, decode
from mitra.monitoring.window import Window
from mitra.versioned import rest_of

VERSION = 1
JOURNAL_BATCHES = 60
"""So many batches, and what they changed is written: a minute, at a batch a second."""

_HEAD_KEY = "head"


class Head(msgspec.Struct, array_like=True):
    """Everything but the windows and the journal; `windows` and `batches` (from, to) say where these are."""

    windows: list[int]
    batches: tuple[int, int]
    told_to_ms: int | None
    clock_ms: int | None
    heard: list[tuple[int, int, int, float]]
    alarms: list[tuple[str, str]]
    sheets: list[Sheet]


class UnknownMonitorError(MitraError):
    """What the monitor keeps has a version that this release doesn't read."""


_encode = msgspec.msgpack.Encoder().encode
_decode_head = msgspec.msgpack.Decoder(Head).decode
_decode_batch = msgspec.msgpack.Decoder(tuple[float, list[bytes]]).decode


class KeptMonitor:
    """A monitor with its store."""

    def __init__(self, monitor: Monitor, store: Store, exact_scores: int) -> None:
        """Go on where the store left off."""
        self.monitor = monitor
        self._store = store
        self._first = self._next = 0
        self._resumed = False
        data = store.get(_HEAD_KEY)
        if data is None:
            self.write()
        else:
            self._restore(data, exact_scores)

    def take(self, blobs: Iterable[bytes], now_ms: float) -> None:
        """Count a batch of observations, and keep it."""
        batch = list(blobs)
        if not self._resumed:
            self.monitor.clocks.resume(now_ms)
            self._resumed = True
        for blob in batch:
            self.monitor.take(decode(blob), now_ms)
        self._store.put_all({_batch_key(self._next): _encode((now_ms, batch))})
        self._next += 1
        if self._next - self._first >= JOURNAL_BATCHES:
            self.write()

    def write(self) -> None:
        """Write what has changed and begin the journal anew."""
        monitor = self.monitor
        entries = {
            _window_key(start): monitor.windows[start].encode() for start in monitor.touched if start in monitor.windows
        }
        gone = [_window_key(start) for start in monitor.touched if start not in monitor.windows]
        gone += [_batch_key(number) for number in range(self._first, self._next)]
        self._first = self._next
        head = Head(
            windows=sorted(monitor.windows),
            batches=(self._first, self._next),
            told_to_ms=monitor.told_to_ms,
            clock_ms=monitor.clocks.told_ms,
            heard=[(*place, *heard) for place, heard in monitor.clocks.heard.items()],
            alarms=sorted(monitor.alarms.on),
            sheets=list(monitor.sheets.values()),
        )
        entries[_HEAD_KEY] = bytes((VERSION,)) + _encode(head)
        self._store.put_all(entries)
        for key in gone:
            self._store.remove(key)
        monitor.touched.clear()

    def _restore(self, data: bytes, exact_scores: int) -> None:
        head = _decode_head(rest_of(data, VERSION, "the monitor's head has", UnknownMonitorError))
        monitor = self.monitor
        for sheet in head.sheets:
            monitor.learn(sheet)
        for start in head.windows:
            stored = self._store.get(_window_key(start))
            assert stored is not None, "the head names windows that are there"
            monitor.windows[start] = Window.decode(stored, exact_scores)
        monitor.told_to_ms, monitor.clocks.told_ms = head.told_to_ms, head.clock_ms
        monitor.clocks.heard = {(bucket, lane): (clock, at) for bucket, lane, clock, at in head.heard}
        monitor.alarms.on = set(head.alarms)
        self._first = self._next = head.batches[0]
        while (batch := self._store.get(_batch_key(self._next))) is not None:
            now_ms, blobs = _decode_batch(batch)
            for blob in blobs:
                monitor.take(decode(blob), now_ms)
            self._next += 1


def _window_key(start: int) -> str:
    return f"window {start}"


def _batch_key(number: int) -> str:
    return f"batch {number}"
