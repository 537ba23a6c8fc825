"""A graph in columns: links and who made them, growing at the end, each node's links as a chain from the newest to the oldest.

A link has two *ends*: end 2i is its from-node's, end 2i + 1 its to-node's. `head[node]` is the node's newest end, `next[end]`
the one before it, -1 behind the oldest. Order is (time, rank) with the hash of the payment's id as rank, so it doesn't
depend on who came first. A link to itself says nothing of anybody else and is left out.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitra.errors import MitraError
from mitra.graph.features import MAX_TYPES
from mitra.graph.kernels import chain
from mitra.graph.labels import Label, Span, fraud_spans
from mitra.graph.records import Edges, Judged, Record
from mitra.hashing import text_hash

_SEPARATOR = "\x1f"


class TooManyTypesError(MitraError):
    """A graph has more types of nodes than its answers can tell apart."""


def node_key(kind: str, identity: str) -> str:
    """Return the key of a node: its type comes first, and no type holds the separator."""
    return f"{kind}{_SEPARATOR}{identity}"


def _grown(column: NDArray[Any], needed: int) -> NDArray[Any]:
    """Return the column with room for `needed` rows: itself, or a copy of at least twice its length."""
    if needed <= len(column):
        return column
    larger = np.zeros(max(needed, 2 * len(column), 1024), dtype=column.dtype)
    larger[: len(column)] = column
    return larger


class Columns:
    """The columns, and the numbers of nodes and payments by their names."""

    def __init__(self) -> None:
        """Start empty."""
        self.types: list[str] = []
        self.nodes: dict[str, int] = {}
        self.payments: dict[int, int] = {}
        """Hash of a payment's id -> its number. Only payments whose links are known have one."""
        self.links = 0
        self.newest_ms = 0
        self.type_of: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self.hashes: NDArray[np.int64] = np.zeros(0, np.int64)
        """Of each node's key."""
        self.head: NDArray[np.int32] = np.zeros(0, np.int32)
        self.time: NDArray[np.int64] = np.zeros(0, np.int64)
        self.rank: NDArray[np.int64] = np.zeros(0, np.int64)
        self.ends: NDArray[np.int32] = np.zeros(0, np.int32)
        """The node of each end."""
        self.next: NDArray[np.int32] = np.zeros(0, np.int32)
        self.payment: NDArray[np.int32] = np.zeros(0, np.int32)
        self.span_first: NDArray[np.int32] = np.zeros(0, np.int32)
        """For each payment where its spans of being a fraud begin in `spans`, and how many they are."""
        self.span_count: NDArray[np.int32] = np.zeros(0, np.int32)
        self.spans: NDArray[np.int64] = np.zeros((0, 2), np.int64)
        self.spans_used = 0
        self.labels: dict[int, list[Label]] = {}
        """By hash of the payment's id; a label may come before the links."""

    def add(self, records: Iterable[Record]) -> tuple[int, int]:
        """Take records; return how many were new, and how many were known and changed nothing."""
        records = list(records)
        before = self.links
        taken = sum(self._add(record) for record in records)
        chain(self.head, self.next, self.ends, self.time, self.rank, before, self.links)
        return taken, len(records) - taken

    def _add(self, record: Record) -> bool:
        return self._add_links(record) if isinstance(record, Edges) else self._add_label(record)

    def _add_links(self, record: Edges) -> bool:
        rank = text_hash(record.id)
        if rank in self.payments:
            return False
        links = list(dict.fromkeys(link for link in record.links if link[:2] != link[2:]))
        pairs = [(self._node(*link[:2]), self._node(*link[2:])) for link in links]
        number = self.payments[rank] = len(self.payments)
        self._reserve(number + 1, self.links + len(pairs))
        for one, other in pairs:
            at = self.links
            self.time[at], self.rank[at], self.payment[at] = record.time, rank, number
            self.ends[2 * at], self.ends[2 * at + 1] = one, other
            self.links = at + 1
        self.newest_ms = max(self.newest_ms, record.time)
        if rank in self.labels:
            self._set_spans(number, fraud_spans(self.labels[rank]))
        return True

    def _node(self, kind: str, identity: str) -> int:
        key = node_key(kind, identity)
        number = self.nodes.get(key)
        if number is None:
            if kind not in self.types:
                if len(self.types) == MAX_TYPES:
                    raise TooManyTypesError(
                        f"type {kind!r} of a node is one too many; a graph has up to {MAX_TYPES} types"
                    )
                self.types.append(kind)
            number = self.nodes[key] = len(self.nodes)
            self.type_of = _grown(self.type_of, number + 1)
            self.hashes = _grown(self.hashes, number + 1)
            self.head = _grown(self.head, number + 1)
            self.hashes[number] = text_hash(key)
            self.type_of[number] = self.types.index(kind)
            self.head[number] = -1
        return number

    def _reserve(self, payments: int, links: int) -> None:
        self.span_first, self.span_count = _grown(self.span_first, payments), _grown(self.span_count, payments)
        self.time, self.rank, self.payment = (_grown(one, links) for one in (self.time, self.rank, self.payment))
        self.ends, self.next = _grown(self.ends, 2 * links), _grown(self.next, 2 * links)

    def _add_label(self, record: Judged) -> bool:
        rank = text_hash(record.id)
        known = self.labels.setdefault(rank, [])
        if any(label.version == record.version for label in known):
            return False
        known.append(Label(record.known_at, record.version, record.fraud))
        number = self.payments.get(rank)
        if number is not None:
            self._set_spans(number, fraud_spans(known))
        return True

    def set_spans(self, payment: str, spans: Sequence[Span]) -> None:
        """Say when a payment whose links are known was known to be a fraud."""
        self._set_spans(self.payments[text_hash(payment)], spans)

    def _set_spans(self, number: int, spans: Sequence[Span]) -> None:
        """Put a payment's spans behind all others: corrections are few, and what they leave behind is small."""
        start, self.spans_used = self.spans_used, self.spans_used + len(spans)
        if self.spans_used > len(self.spans):
            larger = np.zeros((max(2 * len(self.spans), self.spans_used, 256), 2), np.int64)
            larger[:start] = self.spans[:start]
            self.spans = larger
        self.spans[start : self.spans_used] = np.array(spans, dtype=np.int64).reshape(-1, 2)
        self.span_first[number], self.span_count[number] = start, len(spans)
