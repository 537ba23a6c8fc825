"""The other events of a sample in files: `events/TYPE` for each type, and the labels of transfers beside the payments' own."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitra.sample.columns import Payments
from mitra.sample.events.columns import KINDS, Events, Kind, together
from mitra.sample.events.life import Life
from mitra.sample.events.tags import NAMES
from mitra.sample.events.texts import event_table, messages, transfer_label_table
from mitra.sample.sinks import json_lines_file, parquet_file
from mitra.sample.world import World

FOLDER, LABELS = "events", "transfer_labels"


@dataclass(slots=True)
class EventCounts:
    """How many events of each type were written, and how many transfers by the name on their label."""

    events: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    transfers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))


class EventFiles:
    """Writes the other events of a world into a sample's folder, beside the payments as they are made."""

    def __init__(self, directory: Path, world: World, start_ms: int, file_format: str, files: ExitStack) -> None:
        """Open the files; `files` closes them."""
        self._life = Life(world, start_ms)
        self.counts = EventCounts()
        (directory / FOLDER).mkdir(parents=True, exist_ok=True)

        def sink(path: Path, empty: Any) -> Any:
            if file_format == "parquet":
                return files.enter_context(parquet_file(path, empty.schema))
            write = files.enter_context(json_lines_file(path))
            return lambda table: write(messages(table))

        self._sinks = {
            kind: sink(directory / FOLDER / f"{kind}.{file_format}", event_table(together(kind, []))) for kind in KINDS
        }
        labels = transfer_label_table(together("transfer", []))
        self._labels = sink(directory / f"{LABELS}.{file_format}", labels)

    def beside(self, payments: Payments, end_ms: int) -> None:
        """Write what happened beside the payments up to `end_ms`, but for the last hour."""
        self._write(self._life.beside(payments, end_ms))

    def close(self, end_ms: int) -> None:
        """Write what is left of the time before `end_ms`."""
        self._write(self._life.rest(end_ms))

    def _write(self, made: dict[Kind, Events]) -> None:
        for kind, events in made.items():
            if not len(events):
                continue
            self._sinks[kind](event_table(events))
            self.counts.events[kind] += len(events)
        transfers = made["transfer"]
        if len(transfers):
            self._labels(transfer_label_table(transfers))
            for tag in transfers.columns["tag"].tolist():
                self.counts.transfers[NAMES[tag]] += 1
