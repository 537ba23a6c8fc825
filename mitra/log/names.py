"""Names that the log and what is made of it have in common with the rest."""

LOG_NAMES = frozenset({"decided_at", "latency_ms", "partition", "offset", "entities", "more", "day"})
"""The log's own columns beside those of every table of decisions: no feature of a pipeline with a log has one of these names."""

LABELS = "labels.parquet"
"""The labels of a training set, beside its features."""
