"""Mitra decides about payments while they can still be stopped.

`mitra.features(pipeline, events)` gives the features of a table of events, as the job computes them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mitra.pipeline import Pipeline

__version__ = "0.1.0"


def features(
    pipeline: "str | Path | Pipeline",
    events: Any,
    *,
    labels: Any = None,
    label_delay: str | None = None,
    others: "Mapping[str, Any] | None" = None,
) -> Any:
    """Return the features of a table of events, by the job's own stages and without Flink: an Arrow table.

    `pipeline` is a pipeline file; `events` a table (pandas, Polars, Arrow) of the event type that gets decisions, with the
    schema's names as columns. The result has a row for each of its rows, in their order: `transaction_id`, `event_time` in
    milliseconds, then a column for each feature of the file, as of the event's own time. Each row sees what lies before it
    in the table, whatever the table's order.

    `labels` is a table as the section labels describes it; a label without a time counts from `label_delay`, such as "7d",
    after its event. `others` are tables of other event types by name. Raises MitraError for rows that are no events.
    """
    from mitra.table_features import features_of  # noqa: PLC0415 - `import mitra` alone loads nothing

    return features_of(pipeline, events, labels=labels, label_delay=label_delay, others=others)
