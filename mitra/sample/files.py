"""A sample written to files: the payments, and their labels apart."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mitra.sample import tags
from mitra.sample.columns import Payments, concatenate
from mitra.sample.events import EventCounts, EventFiles
from mitra.sample.generator import make_payments, piece_ms
from mitra.sample.scenarios import MAX_FRAUD_SHARE
from mitra.sample.sinks import json_lines_file, parquet_file
from mitra.sample.texts import Texts
from mitra.sample.world import make_world

Format = Literal["parquet", "jsonl"]
LabelChoice = Literal["all", "frauds"]
_ROWS_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class Summary:
    """What was written: the number of payments by the name on their label, and the files."""

    counts: dict[str, int]
    payments_path: Path
    labels_path: Path
    others: EventCounts | None = None

    @property
    def payments(self) -> int:
        """The number of payments."""
        return sum(self.counts.values())

    @property
    def frauds(self) -> int:
        """The number of frauds."""
        return sum(count for name, count in self.counts.items() if name in tags.FRAUDS)


def write_sample(
    directory: Path,
    *,
    seed: int,
    customers: int,
    days: int,
    start_ms: int,
    file_format: Format = "parquet",
    labels: LabelChoice = "all",
    events: bool = False,
    progress: Callable[[int, int], None] = lambda _time_ms, _payments: None,
) -> Summary:
    """Write `payments` and `labels` files into a directory, which is made if need be, and return what they hold.

    `events` adds the other event types, in files of `events/`, and the labels of transfers. `labels`: "all" gives every payment a label, "frauds" only the frauds, as they are reported live. `progress` is
    called now and then with the event time reached and the payments written. Raises MitraError for arguments out of
    bounds, OSError where files can't be written.
    """
    payments_path = directory / f"payments.{file_format}"
    labels_path = directory / f"labels.{file_format}"
    world = make_world(seed, customers)
    pieces = make_payments(world, days=days, start_ms=start_ms)
    texts = Texts(world)
    counts = np.zeros(len(tags.NAMES), dtype=np.int64)
    is_fraud = np.array(tags.IS_FRAUD)
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:
        if file_format == "parquet":
            nothing = concatenate([])
            payment_schema, label_schema = texts.payment_table(nothing).schema, texts.label_table(nothing).schema
            write_table = files.enter_context(parquet_file(payments_path, payment_schema))
            write_label_table = files.enter_context(parquet_file(labels_path, label_schema))
        else:
            write_lines = files.enter_context(json_lines_file(payments_path))
            write_label_lines = files.enter_context(json_lines_file(labels_path))
        others = EventFiles(directory, world, start_ms, file_format, files) if events else None
        for piece in _gathered(pieces if others is None else _beside(pieces, others, start_ms, piece_ms(world))):
            labelled = piece if labels == "all" else piece.take(is_fraud[piece.tag])
            if file_format == "parquet":
                write_table(texts.payment_table(piece))
                write_label_table(texts.label_table(labelled))
            else:
                write_lines(texts.messages(piece))
                write_label_lines(texts.labels(labelled))
            counts += np.bincount(piece.tag, minlength=len(counts))
            progress(int(piece.time_ms[-1]), int(counts.sum()))
        share = counts[is_fraud].sum() / max(int(counts.sum()), 1)
        assert share <= MAX_FRAUD_SHARE, f"frauds are {share:.4%} of the payments"
    counted = None if others is None else others.counts
    return Summary(dict(zip(tags.NAMES, counts.tolist(), strict=True)), payments_path, labels_path, counted)


def _beside(pieces: Iterator[Payments], others: EventFiles, start_ms: int, step_ms: int) -> Iterator[Payments]:
    """Yield the same payments, and write what happens beside them."""
    end_ms = start_ms
    for piece in pieces:
        end_ms += step_ms
        others.beside(piece, end_ms)
        yield piece
    others.close(end_ms)


def _gathered(pieces: Iterator[Payments]) -> Iterator[Payments]:
    """Yield the same payments in pieces that are worth writing."""
    waiting: list[Payments] = []
    count = 0
    for piece in pieces:
        waiting.append(piece)
        count += len(piece)
        if count >= _ROWS_AT_ONCE:
            yield concatenate(waiting)
            waiting, count = [], 0
    if count:
        yield concatenate(waiting)
