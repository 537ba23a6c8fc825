"""Files of rows (Parquet, CSV, JSON lines) as DuckDB sees them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from models.errors import TrainingError
from rules.plan import ValueType

_READERS = {
    ".parquet": "read_parquet",
    ".csv": "read_csv",
    ".jsonl": "read_json",
    ".ndjson": "read_json",
    ".json": "read_json",
}
_FLOATING = ("DOUBLE", "FLOAT", "REAL", "DECIMAL")


def open_tables(threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """Return a database in memory that works with so many threads, None for one a core."""
    return duckdb.connect(config={} if threads is None else {"threads": threads})


def scan(paths: Sequence[Path], what: str) -> str:
    """Return the SQL table function that reads `paths`, all of one kind; `what` names them in errors."""
    for path in paths:
        if not path.is_file():
            msg = f"{what}: {path} is not a file"
            raise TrainingError(msg)
    suffixes = {"".join(path.suffixes[-1:]).lower() for path in paths}
    reader = _READERS.get(next(iter(suffixes))) if len(suffixes) == 1 else None
    if reader is None:
        names = ", ".join(map(str, paths))
        msg = f"{what}: can't tell the format of {names}; allowed, one kind at a time: {', '.join(_READERS)}"
        raise TrainingError(msg)
    files = ", ".join(literal(str(path)) for path in paths)
    return f"{reader}([{files}])"


def column_types(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, str]:
    """Return the columns' SQL types by name, in the file's order."""
    try:
        rows = fetch(connection, f"DESCRIBE SELECT * FROM {source}")
    except duckdb.Error as error:
        msg = f"{source} can't be read: {str(error).splitlines()[0]}"
        raise TrainingError(msg) from error
    return {name: sql_type for name, sql_type, *_ in rows}


def fetch(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    """Return all rows of a query that has few."""
    rows: list[tuple[Any, ...]] = connection.execute(query).fetchall()
    return rows


def value_type(sql_type: str) -> ValueType:
    """Return which of Mitra's types a column's values have; all that is no number and no boolean counts as text."""
    if sql_type == "BOOLEAN":
        return "boolean"
    if sql_type.startswith(_FLOATING):
        return "number"
    return "integer" if sql_type.removeprefix("U").endswith("INT") or sql_type in ("INTEGER", "UINTEGER") else "string"


def join_key(left: str, left_type: str, right: str, right_type: str) -> tuple[str, str]:
    """Return two id expressions that can be compared: as they are, or both as text where one is a text."""
    same = (value_type(left_type) == "integer") == (value_type(right_type) == "integer")
    return (left, right) if same else (f"CAST({left} AS VARCHAR)", f"CAST({right} AS VARCHAR)")


def quoted(name: str) -> str:
    """Return a column's name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
