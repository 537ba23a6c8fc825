"""Gathering with a graph: a record goes on when its history parts have come and the graph has answered, or its deadline has.

What has come of a record that must wait lies in the `pending` store, the graph's answer as one more blob beside the parts. When
a deadline falls due is kept in memory, and found again from the store: after a restore it counts from the first input on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from mitra.gather import Parts, View, decode_pending, encode_pending
from mitra.graph_asking import Identity, Said, identities, said_of, single
from mitra.messages import PartBatch, Told, decode, encode


class PendingStore(Protocol):
    """A bucket's records that wait, by the transaction's id; `items` goes over all of them."""

    def get(self, key: str) -> bytes | None:
        """Return the value of a key, None where there is none."""

    def put_all(self, entries: dict[str, bytes]) -> None:
        """Write all entries."""

    def remove(self, key: str) -> None:
        """Forget a key; one that is not there is no error."""

    def items(self) -> Sequence[tuple[str, bytes]]:
        """Return all entries."""


class Wait(NamedTuple):
    """Until when a record whose parts have all come waits for the graph, and under which revision it was routed."""

    due_ms: float
    revision: int


class Ready(NamedTuple):
    """A record that goes on: its parts and what the graph said, None where it said nothing in time."""

    identity: Identity
    parts: Parts
    said: Said | None


@dataclass(slots=True)
class Collected:
    """What goes on, by revision, and what is to be written to and removed from the pending store."""

    ready: dict[int, list[Ready]] = field(default_factory=dict)
    puts: dict[str, bytes] = field(default_factory=dict)
    removes: list[str] = field(default_factory=list)
    late: int = 0
    """Answers that came after their payment was decided, and are dropped."""


@dataclass(slots=True)
class _Record:
    """What has come of a record."""

    parts: Parts
    said: Said | None = None
    answer: tuple[Told, int] | None = None


class GraphGather:
    """Gathers for one bucket."""

    def __init__(self, pending: PendingStore, plan: int, deadline_ms: int, now_ms: float) -> None:
        """Find what waits already; it has its whole time from now on. `plan` names what the graph is asked."""
        self._pending = pending
        self._plan = plan
        self._deadline_ms = deadline_ms
        self.waits: dict[Identity, Wait] = {}
        for key, data in pending.items():
            for *source, blobs in decode_pending(data):
                record = _restored(blobs, plan)
                if record.parts and len(record.parts) == _expected(record.parts):
                    revision = record.parts[0][0].batch.revision
                    self.waits[(key, *source)] = Wait(now_ms + deadline_ms, revision)  # type: ignore[index]

    def next_due_ms(self) -> float | None:
        """Return when the next record's deadline is, None if none waits."""
        return min((wait.due_ms for wait in self.waits.values()), default=None)

    def oldest(self) -> int | None:
        """Return the oldest revision that a record that waits was routed under, None if none waits."""
        return min((wait.revision for wait in self.waits.values()), default=None)

    def overdue(self, now_ms: float) -> set[Identity]:
        """Return the records whose deadline has passed."""
        return {identity for identity, wait in self.waits.items() if wait.due_ms <= now_ms}

    def collect(
        self,
        batches: Sequence[PartBatch],
        answers: Sequence[Told],
        overdue: set[Identity],
        is_decided: Callable[[str], bool],
    ) -> Collected:
        """Take parts and answers; what is `overdue` goes on without an answer. Nothing is written."""
        out = Collected()
        arrived: dict[Identity, Parts] = {}
        for batch in batches:
            view = View(batch)
            for row, identity in enumerate(view.identities()):
                arrived.setdefault(identity, []).append((view, row))
        told = {identity: (message, row) for message in answers for row, identity in enumerate(identities(message))}
        stored: dict[str, dict[tuple[int, int, int], list[bytes]]] = {}
        for identity in dict.fromkeys([*arrived, *told, *overdue]):
            parts, answer = arrived.get(identity, []), told.get(identity)
            if parts and answer is not None and len(parts) == _expected(parts):
                self._go(out, Ready(identity, parts, _said(answer, self._plan)))  # all of it in one batch
                continue
            key = identity[0]
            if key not in stored:
                data = self._pending.get(key)
                stored[key] = {} if data is None else {one[:3]: list(one[3]) for one in decode_pending(data)}
            blobs = stored[key].pop(identity[1:], [])
            record = _restored(blobs, self._plan)
            record.parts += parts
            if answer is not None:
                record.said, record.answer = _said(answer, self._plan), answer
            complete = bool(record.parts) and len(record.parts) == _expected(record.parts)
            if complete and (record.answer is not None or identity in overdue or is_decided(key)):
                self._go(out, Ready(identity, record.parts, record.said))
            elif not record.parts and is_decided(key):
                out.late += 1
            else:
                stored[key][identity[1:]] = _blobs(blobs, parts, answer)
                if complete:
                    view, row = record.parts[-1]
                    self.waits.setdefault(identity, Wait(view.decoded_ms[row] + self._deadline_ms, view.batch.revision))
        for key, kept in stored.items():
            if kept:
                out.puts[key] = encode_pending([(*source, blobs) for source, blobs in kept.items()])
            elif self._pending.get(key) is not None:
                out.removes.append(key)
        return out

    def _go(self, out: Collected, ready: Ready) -> None:
        self.waits.pop(ready.identity, None)
        out.ready.setdefault(ready.parts[0][0].batch.revision, []).append(ready)


def _expected(parts: Parts) -> int:
    view, row = parts[0]
    return view.expected[row]


def _said(answer: tuple[Told, int], plan: int) -> Said | None:
    """Return an answer; None for one to other questions than are asked now."""
    message, row = answer
    return said_of(message, row) if message.plan == plan else None


def _blobs(before: list[bytes], parts: Parts, answer: tuple[Told, int] | None) -> list[bytes]:
    fresh = [encode(view.single(row)) for view, row in parts]
    if answer is not None:
        fresh.append(encode(single(*answer)))
    return before + fresh


def _restored(blobs: Sequence[bytes], plan: int) -> _Record:
    record = _Record([])
    for blob in blobs:
        message = decode(blob)
        if isinstance(message, PartBatch):
            record.parts.append((View(message), 0))
        elif isinstance(message, Told):
            record.answer = message, 0
            record.said = _said(record.answer, plan)
    return record
