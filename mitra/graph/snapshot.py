"""The embedded store on disk: one file, so that a start reads seconds of the topic instead of months.

An uncompressed .npz: the columns, cut to what is used; `texts`, a MessagePack map of what is no column (version, types, keys
of the nodes in their order, hashes of payments, labels, the offsets that the topic had been read to); snapshots of communities.
It is written beside the old one and put in its place, so there is always a whole one.
"""

import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import msgspec
import numpy as np

from mitra.errors import MitraError
from mitra.graph.columns import Columns
from mitra.graph.community import Communities, Snapshot
from mitra.graph.labels import Label
from mitra.hashing import text_hash

FILE = "graph.npz"


class _Texts(msgspec.Struct):
    version: Literal[1]
    types: list[str]
    nodes: list[str]
    labels: dict[int, list[Label]]
    newest_ms: int
    topic: str
    offsets: dict[int, int]
    snapshots: list[int]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Texts).decode


class SnapshotError(MitraError):
    """A snapshot can't be read."""


@dataclass
class Saved:
    """A graph, its communities, and how far its topic had been read: by partition the next offset."""

    columns: Columns = field(default_factory=Columns)
    communities: Communities = field(default_factory=Communities)
    topic: str = ""
    offsets: dict[int, int] = field(default_factory=dict)


def pack(saved: Saved) -> bytes:
    """Return the bytes of a snapshot."""
    return delayed_pack(saved)()


def delayed_pack(saved: Saved) -> Callable[[], bytes]:
    """Return what packs in another thread, as of now: payments are waiting for answers, and a million links take a second."""
    graph = saved.columns
    nodes, links, payments = len(graph.nodes), graph.links, list(graph.payments)
    snapshots = saved.communities.snapshots
    texts = _Texts(
        1, list(graph.types), list(graph.nodes), {payment: list(known) for payment, known in graph.labels.items()},
        graph.newest_ms, saved.topic, dict(saved.offsets), [one.time_ms for one in snapshots],
    )  # fmt: skip
    arrays: dict[str, Any] = {
        "type_of": graph.type_of[:nodes], "time": graph.time[:links], "rank": graph.rank[:links],
        "payment": graph.payment[:links], "ends": graph.ends[: 2 * links], "spans": graph.spans[: graph.spans_used],
        # What comes meanwhile changes these; the others only grow.
        "head": graph.head[:nodes].copy(), "next": graph.next[: 2 * links].copy(),
        "span_first": graph.span_first[: len(payments)].copy(), "span_count": graph.span_count[: len(payments)].copy(),
    }  # fmt: skip
    for place, one in enumerate(snapshots):
        arrays |= {f"{name}_{place}": getattr(one, name) for name in ("nodes", "community", "size", "fraud_share")}

    def packed() -> bytes:
        out = io.BytesIO()
        told: dict[str, Any] = {
            "texts": np.frombuffer(_encode(texts), np.uint8),
            "payments": np.fromiter(payments, np.int64, len(payments)),
        }
        np.savez(out, **told, **arrays)
        return out.getvalue()

    return packed


def write(data: bytes, folder: Path) -> None:
    """Put a snapshot in the place of the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f"{FILE}.new"
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / FILE)


def read(folder: Path) -> Saved | None:
    """Read the snapshot of a folder, None where there is none. Raises SnapshotError for one that can't be read."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            texts = _decode(arrays["texts"].tobytes())
            return _restored(texts, arrays)
    except (OSError, ValueError, KeyError, BadZipFile, msgspec.MsgspecError) as error:
        hint = "move it away, and the graph is rebuilt from the edges topic"
        raise SnapshotError(f"{path} is no snapshot of this release: {error}; {hint}") from error


def _restored(texts: _Texts, arrays: Any) -> Saved:
    graph = Columns()
    graph.types, graph.labels, graph.newest_ms = texts.types, texts.labels, texts.newest_ms
    graph.nodes = {key: number for number, key in enumerate(texts.nodes)}
    graph.payments = {rank: number for number, rank in enumerate(arrays["payments"].tolist())}
    graph.hashes = np.fromiter(map(text_hash, texts.nodes), np.int64, len(texts.nodes))
    for name in ("type_of", "head", "time", "rank", "payment", "ends", "next", "span_first", "span_count", "spans"):
        setattr(graph, name, arrays[name])
    graph.links, graph.spans_used = len(graph.time), len(graph.spans)
    snapshots = [
        Snapshot(time_ms, *(arrays[f"{name}_{place}"] for name in ("nodes", "community", "size", "fraud_share")))
        for place, time_ms in enumerate(texts.snapshots)
    ]
    return Saved(graph, Communities(snapshots), texts.topic, texts.offsets)
