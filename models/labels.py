"""The labels' file: each transaction's newest label and when it became known."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from models.errors import TrainingError
from models.tables import column_types, fetch, join_key, literal, quoted, scan

_TRUE, _FALSE = ("1", "1.0", "true"), ("0", "0.0", "false")
_VERSION = "version"


@dataclass(frozen=True)
class LabelSource:
    """A file of labels: the columns of id, label and (if it has one) the time it became known.

    `known_at_format` is `epoch_ms`, `epoch_s`, `iso8601` or a `strptime` pattern; times without a zone are UTC.
    Without a known-at column a label is known `after_ms` after its event. `absent_is_legit`: so is silence.
    Of several labels of one event that with the greatest `version` counts, a column of whole numbers; without one, the one known last.
    """

    path: Path
    id: str
    label: str
    known_at: str | None = None
    known_at_format: str = "epoch_ms"
    after_ms: int = 0
    absent_is_legit: bool = False


def label_relation(connection: duckdb.DuckDBPyConnection, source: LabelSource, id_type: str) -> str:
    """Make the table of newest labels and return the SQL that joins it as `l` (label 1 or 0, known_ms) to `d`.

    Raises `TrainingError` for missing columns, labels neither true nor false, and contradictions without an order.
    """
    rows = scan([source.path], "labels")
    types = column_types(connection, rows)
    lacking = [name for name in (source.id, source.label) if name not in types]
    if lacking:
        msg = (
            f"{source.path} has no column {' and no '.join(lacking)}; it has {', '.join(types)}; see the section labels"
        )
        raise TrainingError(msg)
    known_at = source.known_at if source.known_at in types else None
    known_ms = _known_ms(known_at, types.get(known_at or "", ""), source.known_at_format)
    text = f"lower(CAST({quoted(source.label)} AS VARCHAR))"
    version = "NULL"
    if _VERSION in types:
        _check_versions(connection, source, rows)
        version = f"CAST({quoted(_VERSION)} AS BIGINT)"
    left, right = join_key("d.transaction_id", id_type, quoted(source.id), types[source.id])
    connection.execute(f"""
        CREATE TEMP TABLE label_version AS
        SELECT {right} AS id, {text} AS text, {known_ms} AS known_ms, coalesce({version}, {known_ms}) AS version,
            row_number() OVER () AS place
        FROM {rows} WHERE {quoted(source.label)} IS NOT NULL
    """)
    allowed = ", ".join(f"'{value}'" for value in (*_TRUE, *_FALSE))
    strange = fetch(
        connection, f"SELECT DISTINCT text FROM label_version WHERE text NOT IN ({allowed}) ORDER BY 1 LIMIT 5"
    )
    if strange:
        values = ", ".join(repr(value) for (value,) in strange)
        msg = f"{source.path}: {source.label} holds {values}; a label is 1, 0, true or false"
        raise TrainingError(msg)
    _check_contradictions(connection, source)
    true = ", ".join(f"'{value}'" for value in _TRUE)
    connection.execute(f"""
        CREATE TEMP TABLE label AS
        SELECT id, CASE WHEN newest.text IN ({true}) THEN 1 ELSE 0 END AS label, newest.known_ms AS known_ms
        FROM (
            SELECT id, arg_max({{'text': text, 'known_ms': known_ms}}, (coalesce(version, -1), -place)) AS newest
            FROM label_version GROUP BY id
        )
    """)
    return f"LEFT JOIN label l ON l.id = {left}"


def _known_ms(column: str | None, sql_type: str, time_format: str) -> str:
    """Return the expression for epoch milliseconds of a known-at column, by what the column holds."""
    if column is None:
        return "CAST(NULL AS BIGINT)"
    name = quoted(column)
    if sql_type.startswith(("TIMESTAMP", "DATE")):
        return f"epoch_ms(CAST({name} AS TIMESTAMP))"
    if sql_type != "VARCHAR" or time_format in ("epoch_ms", "epoch_s"):
        unit_ms = 1000 if time_format == "epoch_s" else 1
        return f"CAST(round(CAST({name} AS DOUBLE) * {unit_ms}) AS BIGINT)"
    if time_format == "iso8601":
        return f"epoch_ms(CAST({name} AS TIMESTAMPTZ))"
    return f"epoch_ms(strptime({name}, {literal(time_format)}))"


def _check_versions(connection: duckdb.DuckDBPyConnection, source: LabelSource, rows: str) -> None:
    name = quoted(_VERSION)
    strange = fetch(
        connection,
        f"SELECT DISTINCT CAST({name} AS VARCHAR) FROM {rows} WHERE {name} IS NOT NULL AND "
        f"coalesce(TRY_CAST({name} AS BIGINT) <> TRY_CAST({name} AS DOUBLE), true) ORDER BY 1 LIMIT 5",
    )
    if strange:
        values = ", ".join(repr(value) for (value,) in strange)
        msg = f"{source.path}: {_VERSION} holds {values}; a version is a whole number of 64 bits"
        raise TrainingError(msg)


def _check_contradictions(connection: duckdb.DuckDBPyConnection, source: LabelSource) -> None:
    """Raise TrainingError where nothing says which of two labels is newer."""
    ((count, example),) = fetch(
        connection,
        "SELECT count(*), min(id) FROM "
        "(SELECT id FROM label_version WHERE version IS NULL GROUP BY id HAVING count(DISTINCT text) > 1)",
    )
    if count:
        msg = (
            f"{source.path}: {count} transactions (one is {example!r}) are labelled both ways, and"
            f" nothing says which label is newer; give them a {_VERSION}, or name the column that tells their times under labels.known_at"
        )
        raise TrainingError(msg)
