"""The revisions that one bucket keeps, in its state: what was prepared, what runs, and who has said so.

    NUL revisions             where the bucket is: base, chain, running, and the last marker of every sender
    NUL revisions NUL base    the live set as of the base
    NUL revision NUL number   what a revision changes of the one before it in the chain

The chain begins behind `base`; a revision is the base with the changes up to it. Those before `running` are only kept
to build on, until the chain is long: then the base moves up.
"""

from collections.abc import Sequence

import msgspec

from control_stream.live_set import Delta, LiveSet
from mitra.errors import MitraError
from mitra.history import Store
from mitra.messages import Marker, Revise
from mitra.versioned import rest_of

STATE_VERSION = 1
CHAIN_MOST = 64
"""A change writes what it changes; the whole live set is written once in so many changes."""

_HEADER_KEY = "\0revisions"
_BASE_KEY = "\0revisions\0base"
_HEAD = bytes((STATE_VERSION,))


class Header(msgspec.Struct, array_like=True):
    """Where a bucket is. `marked` has the last (revision, attempt) of each lane or history bucket.

    `running` lies behind the least of them where a record of an older revision waits.
    """

    base: int = 0
    chain: list[int] = []
    running: int = 0
    marked: list[tuple[int, int]] = []


_encode = msgspec.msgpack.Encoder().encode
_decode_header = msgspec.msgpack.Decoder(Header).decode
_decode_changes = msgspec.msgpack.Decoder(list[bytes]).decode


class UnknownRevisionsError(MitraError):
    """A bucket's revisions have a version that this release doesn't read."""


class KeptRevisions:
    """What one bucket knows of revisions, read from its store when it is first asked for."""

    def __init__(self, store: Store, senders: int) -> None:
        """Read the state; markers come from so many `senders`."""
        data = store.get(_HEADER_KEY)
        self._header = Header() if data is None else _decode_header(_rest(data))
        self._senders = senders
        if len(self._header.marked) != senders:  # lanes may change between two runs: then all have to mark again
            self._header.marked = [(0, 0)] * senders
        marked = min(self._header.marked)
        # Further than what runs: something of an older revision still waited.
        self._reached = marked if marked[0] <= self._header.running else (self._header.running, -1)
        base = store.get(_BASE_KEY)
        live = LiveSet() if base is None else LiveSet.decode(base)
        self.live_sets: dict[int, LiveSet] = {self._header.base: live}
        for number in self._header.chain:
            live = _patched(live, _decode_changes(_rest(store.get(_revision_key(number)) or b"")))
            self.live_sets[number] = live
        self._drop()

    @property
    def running(self) -> int:
        """The revision below which nothing comes any more."""
        return self._header.running

    @property
    def numbers(self) -> Sequence[int]:
        """The revisions that messages may still be stamped with, the oldest first."""
        return sorted(self.live_sets)

    def prepare(self, revise: Revise, store: Store) -> None:
        """Keep another revision. One that is kept already changes nothing."""
        header = self._header
        if revise.revision in header.chain or revise.revision <= header.base:
            return
        before = header.chain[-1] if header.chain else header.base
        if before != revise.base:
            msg = f"revision {revise.revision} builds on {revise.base}, but this bucket's last one is {before}"
            raise MitraError(msg)
        self.live_sets[revise.revision] = _patched(self.live_sets[before], revise.changes)
        header.chain.append(revise.revision)
        store.put_all(
            {_revision_key(revise.revision): _HEAD + _encode(revise.changes), _HEADER_KEY: _HEAD + _encode(header)}
        )

    def mark(self, marker: Marker, store: Store, oldest: int | None = None) -> tuple[int, int] | None:
        """Take a sender's marker; return what `reach` does."""
        header = self._header
        if not 0 <= marker.part < self._senders:  # a lane that is no more
            return None
        header.marked[marker.part] = max(header.marked[marker.part], (marker.revision, marker.attempt))
        reached = self.reach(store, oldest)
        if reached is None:
            store.put_all({_HEADER_KEY: _HEAD + _encode(header)})
        return reached

    def reach(self, store: Store, oldest: int | None = None) -> tuple[int, int] | None:
        """Return (revision, attempt) where the bucket has come further than before, and forget what came before that.

        It has come as far as all senders have, but no further than to the `oldest` revision of a record that waits in it.
        """
        revision, attempt = min(self._header.marked)
        reached = revision if oldest is None else min(revision, oldest), attempt
        if reached <= self._reached:
            return None
        self._reached = reached
        self._header.running = max(self._header.running, reached[0])
        self._drop()
        self._fold(store)
        return reached

    def _drop(self) -> None:
        """Forget what no message can be stamped with any more, but for what the next revision builds on."""
        last = self._header.chain[-1] if self._header.chain else self._header.base
        for number in [number for number in self.live_sets if number < self._header.running and number != last]:
            del self.live_sets[number]

    def _fold(self, store: Store) -> None:
        """Write where the bucket is, and the base anew where the chain behind the running revision is long."""
        header = self._header
        entries = {}
        old = [number for number in header.chain if number <= header.running]
        if len(old) >= CHAIN_MOST:
            header.base = old[-1]
            header.chain = header.chain[len(old) :]
            entries[_BASE_KEY] = self.live_sets[header.base].encode()
        entries[_HEADER_KEY] = _HEAD + _encode(header)
        store.put_all(entries)
        if _BASE_KEY in entries:
            for number in old:
                store.remove(_revision_key(number))


def _revision_key(number: int) -> str:
    return f"\0revision\0{number}"


def _patched(live: LiveSet, changes: Sequence[bytes]) -> LiveSet:
    for change in changes:
        live = live.patched(Delta.decode(change))
    return live


def _rest(data: bytes) -> memoryview:
    return rest_of(data, STATE_VERSION, "the revisions in a bucket have", UnknownRevisionsError)
