"""Files that rows go to, piece by piece: Parquet tables or JSON lines.

A file appears under its name when it is whole; until then it ends in `.part`, and a failure takes that away.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Lend a path to write to, and name the file `path` when that has gone well."""
    part = path.with_name(path.name + ".part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def parquet_file(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """Lend a function that appends a table to a Parquet file, as one row group."""
    with whole_file(path) as part, pq.ParquetWriter(part, schema, compression="zstd") as writer:
        yield writer.write_table


@contextmanager
def json_lines_file(path: Path) -> Iterator[Callable[[list[str]], None]]:
    """Lend a function that appends JSON texts to a file, one a line."""
    with whole_file(path) as part, part.open("w", encoding="utf-8", newline="\n") as file:

        def write(messages: list[str]) -> None:
            if messages:
                file.write("\n".join(messages))
                file.write("\n")

        yield write
