"""The types of ids in files: events are read, ordered and written back by the type that their files have them in.

A pipeline says integer or string. A Parquet file may have either, in any width: what it has counts, so that ids come back
as they went in, integers sort as numbers and texts as texts.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mitra.replay.files import kind_of, reading
from mitra.schema import EventType, FieldType


def id_type_of(event: EventType, paths: Sequence[Path]) -> Any:
    """Return the Arrow type that the event's ids have in all of the files; int64 or string where they differ."""
    standard = pa.string() if event.by_name[event.id].type == "string" else pa.int64()
    types = []
    for path in paths:
        kind = standard
        if kind_of(path) == "parquet":
            with reading(path, "parquet"):
                schema = pq.read_schema(path)
            if event.id in schema.names:
                kind = schema.field(event.id).type
        types.append(kind.value_type if pa.types.is_dictionary(kind) else kind)
    if not types or all(kind == types[0] for kind in types):
        return types[0] if types else standard
    return pa.int64() if all(pa.types.is_integer(kind) for kind in types) else pa.string()


def with_id_type(event: EventType, id_type: Any) -> EventType:
    """Return the event type with its id as it is in the files: an integer, also one kept as a float, or a string."""
    if pa.types.is_integer(id_type) or pa.types.is_floating(id_type) or pa.types.is_decimal(id_type):
        kind: FieldType = "integer"
    elif pa.types.is_string(id_type) or pa.types.is_large_string(id_type):
        kind = "string"
    else:
        return event
    if event.by_name[event.id].type == kind:
        return event
    return replace(
        event, fields=tuple(replace(field, type=kind) if field.name == event.id else field for field in event.fields)
    )


def restore_ids(ids: Sequence[str], id_type: Any) -> Any:
    """Return ids, from their canonical texts, as an Arrow array of the type they came in; texts if one doesn't fit."""
    texts = pa.array(ids, pa.string())
    try:
        if pa.types.is_floating(id_type) or pa.types.is_decimal(id_type):
            return texts.cast(pa.int64()).cast(id_type)
        return texts.cast(id_type)
    except pa.ArrowException:
        return texts
