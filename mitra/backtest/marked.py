"""Which past payments are of somebody on a list, or are spared a rule by a snooze."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from control_stream import Mark
from mitra.pipeline import Pipeline
from mitra.replay.files import read_events
from mitra.route import key_reader

SCHEMA = pa.schema([("id", pa.string()), ("mark", pa.string())])

Progress = Callable[[str, int, int], None]


def marked_payments(
    pipeline: Pipeline, files: Mapping[str, Sequence[Path]], marks: Iterable[Mark], progress: Progress
) -> Any:
    """Return a table of the payments' ids and what each is marked with, as of its own time.

    `files` are those of each decided type, by its name.
    """
    by_entity: dict[str, dict[str, list[Mark]]] = {}
    for mark in marks:
        by_entity.setdefault(mark.entity, {}).setdefault(mark.key, []).append(mark)
    ids: list[str] = []
    found: list[str] = []
    done = 0
    kinds = [(event, path) for event in pipeline.decided_events for path in files.get(event.name, ())]
    for kind, path in kinds:
        readers = [
            (reader, by_entity[one.name])
            for one in pipeline.entities
            if one.name in by_entity and (reader := key_reader(one, kind)) is not None
        ]
        for piece in read_events(path, kind, pipeline.limits):
            for event in piece.events:
                for reader, known in readers:
                    for mark in known.get(reader(event.values) or "", ()):
                        if mark.until_ms is None or event.time_ms < mark.until_ms:
                            ids.append(event.id)
                            found.append(mark.name)
            done += len(piece.events)
            progress("looking for who is on lists", done, 0)
    return pa.table([pa.array(ids, pa.string()), pa.array(found, pa.string())], schema=SCHEMA)
