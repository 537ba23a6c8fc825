"""A sample of ten days, decided by the live stages in this process in order of time, with its labels, and the log of that."""

from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mitra.pipeline import Pipeline, load_pipeline
from mitra.sample import write_sample
from tests.factories.wired import WiredJob, json_records

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "payments" / "pipeline.yaml"
MORE = {
    "country": "country",
    "before": "previous(merchant_category, by=customer)",
    "abroad": 'country != "AT" and amount > 20',
    "seldom": "previous(amount, by=device) if amount > 100 else previous(amount, by=card)",
    "known_frauds": "sum(fraud, by=customer, over='7d')",
}
"""Features of the types that the example lacks."""
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Sample:
    """Payments in order of time and their labels, a fraud in twenty, each known an hour after its payment; files of both; the log."""

    payments: pa.Table
    labels: pa.Table
    payments_path: Path
    labels_path: Path
    job: WiredJob
    log: Path


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    """The example, with features of every type and without its model."""
    example = load_pipeline(EXAMPLE)
    return replace(example, features={**example.features, **MORE}, model=None)


@pytest.fixture(scope="session")
def sample(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """The sample, run through the stages."""
    folder = tmp_path_factory.mktemp("sample")
    made = write_sample(folder, seed=3, customers=60, days=10, start_ms=1_740_960_000_000)
    payments, labels = pq.read_table(made.payments_path), pq.read_table(made.labels_path)
    times = payments["event_time"].cast(pa.int64()).to_pylist()
    by_id = dict(zip(payments["transaction_id"].to_pylist(), times, strict=True))
    known_at = [by_id[id] + HOUR_MS for id in labels["transaction_id"].to_pylist()]
    labels = labels.set_column(labels.schema.get_field_index("known_at"), "known_at", pa.array(known_at))
    # A world so small has hardly any frauds.
    frauds = pa.array([place % 20 == 0 for place in range(labels.num_rows)])
    labels = labels.set_column(labels.schema.get_field_index("is_fraud"), "is_fraud", frauds)
    pq.write_table(labels, made.labels_path)
    assert pipeline.labels is not None
    # A label that becomes known at the time of a payment counts for it, so it goes first.
    turns = [
        *((at, 1, pipeline.decided.topic, value) for at, value in zip(times, json_records(payments), strict=True)),
        *((at, 0, pipeline.labels.topic, value) for at, value in zip(known_at, json_records(labels), strict=True)),
    ]
    job = WiredJob(pipeline)
    for at, _, topic, value in sorted(turns, key=lambda turn: turn[:2]):
        job.read(at, [(topic, value)])
    job.write_log(folder / "log")
    return Sample(payments, labels, made.payments_path, made.labels_path, job, folder / "log")
