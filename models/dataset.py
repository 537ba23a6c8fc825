"""Training rows: what replay wrote, joined with the labels and with the time each label became known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingError
from models.labels import LabelSource, label_relation
from models.manifest import ModelFeature
from models.matrix import Matrix, as_matrix
from models.tables import column_types, fetch, join_key, open_tables, quoted, scan, value_type
from models.windows import Span, show_time

DECISIONS = "decisions.parquet"

# Columns of decisions.parquet that are the decision's own; every other column is a feature.
DECISION_COLUMNS = frozenset(
    [
        "transaction_id",
        "event_time",
        "decided_at",
        "latency_ms",
        "timing_ms",
        "outcome",
        "score",
        "raw_score",
        "model",
        "rules",
        "not_evaluated",
        "shadow",
        "reasons",
        "revision",
        "degraded",
        "approximate",
        "late",
        "duplicate",
    ],
)

_BATCH_ROWS = 65_536

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class CardSource:
    """Whose payment it was: the transactions' files, the column of their id, and the columns that name a card."""

    paths: tuple[Path, ...]
    id: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """Rows in (event time, id) order. `x` has shape (n, features); the other columns have length n.

    `known_ms`: when the row's label became known. `cards`: a number for each card, None where none was asked for.
    """

    features: tuple[ModelFeature, ...]
    x: Matrix
    event_time_ms: NDArray[np.int64]
    labels: NDArray[np.bool_]
    known_ms: NDArray[np.int64]
    cards: NDArray[np.int64] | None
    unlabelled: int

    def within(self, span: Span) -> NDArray[np.bool_]:
        """Return which rows lie in `span`."""
        return (self.event_time_ms >= span.from_ms) & (self.event_time_ms < span.to_ms)


def read_dataset(
    decisions: Path,
    labels: LabelSource,
    features: Sequence[str] | None,
    span: Span,
    *,
    among: Sequence[str] = (),
    cards: CardSource | None = None,
    progress: Progress | None = None,
    threads: int | None = None,
) -> Dataset:
    """Return the labelled rows of `span`. `decisions`: replay's output folder or its Parquet file.

    `features` None: the numeric ones `among` those named, or of all columns that aren't the decision's own. Duplicates are left out: a payment counts once.
    `progress(done, of)` is called now and then with rows; `threads` read, None for one a core. Raises `TrainingError` for columns, labels or times missing.
    """
    path = decisions / DECISIONS if decisions.is_dir() else decisions
    connection = open_tables(threads)
    source = scan([path], "features")
    types = column_types(connection, source)
    _check_columns(path, types, ("transaction_id", "event_time"))
    chosen = _choose_features(path, types, features, among)
    _check_span(connection, source, path, span)
    connection.execute(f"CREATE TEMP VIEW decision AS SELECT * FROM {source}")
    label_rows = label_relation(connection, labels, types["transaction_id"])
    card_rows, card_value = _card_relation(connection, cards, types["transaction_id"])
    not_duplicate = "AND NOT coalesce(d.duplicate, false)" if "duplicate" in types else ""
    inputs = ", ".join(f"coalesce(CAST(d.{quoted(feature.name)} AS DOUBLE), 'nan')" for feature in chosen)
    query = f"""
        SELECT d.event_time, coalesce(l.label, -1), coalesce(l.known_ms, -1), {card_value}, {inputs}
        FROM decision d {label_rows} {card_rows}
        WHERE d.event_time >= {span.from_ms} AND d.event_time < {span.to_ms} {not_duplicate}
        ORDER BY d.event_time, d.transaction_id
    """
    ((total,),) = fetch(
        connection, f"SELECT count(*) FROM decision WHERE event_time >= {span.from_ms} AND event_time < {span.to_ms}"
    )
    return _collect(connection, query, chosen, labels, int(total), cards is not None, progress)


def _collect(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    features: tuple[ModelFeature, ...],
    labels: LabelSource,
    total: int,
    with_cards: bool,  # noqa: FBT001
    progress: Progress | None,
) -> Dataset:
    """Read the query's rows batch by batch, so that only float32 is ever held for all of them."""
    x = np.empty((total, len(features)), dtype=np.float32)
    slow: list[list[NDArray[Any]]] = []
    rows = 0
    for batch in connection.sql(query).to_arrow_reader(_BATCH_ROWS):
        columns = [column.to_numpy(zero_copy_only=False) for column in batch.columns]
        x[rows : rows + batch.num_rows] = as_matrix(np.column_stack(columns[4:]))
        slow.append(columns[:4])
        rows += batch.num_rows
        if progress is not None:
            progress(rows, total)
    event_time_ms, label, known_ms, card = (_joined([part[place] for part in slow]) for place in range(4))
    absent = label < 0
    labelled = np.ones(rows, dtype=bool) if labels.absent_is_legit else ~absent
    known_ms = np.where(absent | (known_ms < 0), event_time_ms + labels.after_ms, known_ms)
    return Dataset(
        features=features,
        x=x[:rows][labelled],
        event_time_ms=event_time_ms[labelled].astype(np.int64),
        labels=label[labelled] > 0,
        known_ms=known_ms[labelled].astype(np.int64),
        cards=np.unique(card[labelled], return_inverse=True)[1].astype(np.int64) if with_cards else None,
        unlabelled=int(rows - labelled.sum()),
    )


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0)


def _card_relation(connection: duckdb.DuckDBPyConnection, cards: CardSource | None, id_type: str) -> tuple[str, str]:
    """Return the join that finds each row's card, and the expression for it."""
    if cards is None:
        return "", "0"
    source = scan(list(cards.paths), "transactions")
    types = column_types(connection, source)
    _check_columns(cards.paths[0], types, (cards.id, *cards.columns))
    parts = ", ".join(f"CAST({quoted(column)} AS VARCHAR)" for column in cards.columns)
    left, right = join_key("d.transaction_id", id_type, quoted(cards.id), types[cards.id])
    connection.execute(
        f"CREATE TEMP TABLE card AS SELECT {right} AS id, any_value(concat_ws(chr(31), {parts})) AS name"
        f" FROM {source} GROUP BY 1"
    )
    return f"LEFT JOIN card c ON c.id = {left}", "coalesce(c.name, '')"


def _choose_features(
    path: Path, types: Mapping[str, str], features: Sequence[str] | None, among: Sequence[str]
) -> tuple[ModelFeature, ...]:
    if features is None:
        _check_columns(path, types, among)
        candidates = among or [name for name in types if name not in DECISION_COLUMNS]
        own = [name for name in candidates if value_type(types[name]) != "string"]
        if not own:
            msg = f"{path} has no numeric feature; its columns: {', '.join(types)}"
            raise TrainingError(msg)
        return tuple(ModelFeature(name, value_type(types[name])) for name in own)
    _check_columns(path, types, features)
    texts = [name for name in features if value_type(types[name]) == "string"]
    if texts:
        msg = f"{path}: {', '.join(texts)} can't be a model's input: text; list numeric features under model.features"
        raise TrainingError(msg)
    return tuple(ModelFeature(name, value_type(types[name])) for name in features)


def _check_columns(path: Path, types: Mapping[str, str], needed: Sequence[str]) -> None:
    lacking = [name for name in needed if name not in types]
    if lacking:
        msg = (
            f"{path} lacks the column{'s' if len(lacking) > 1 else ''} {', '.join(lacking)}; it has {', '.join(types)};"
            " replay with the pipeline that names them"
        )
        raise TrainingError(msg)


def _check_span(connection: duckdb.DuckDBPyConnection, source: str, path: Path, span: Span) -> None:
    first, last = connection.execute(f"SELECT min(event_time), max(event_time) FROM {source}").fetchone() or (
        None,
        None,
    )
    if first is None or last is None:
        msg = f"{path} holds no decisions; replay some transactions first"
        raise TrainingError(msg)
    if last < span.from_ms or first >= span.to_ms:
        msg = f"{path} holds nothing in {span}; its data runs from {show_time(first)} to {show_time(last)}"
        raise TrainingError(msg)
