"""A label's version in a file does what it does on the topic: replay, training set, backtest and training take the greatest."""

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from mitra.pipeline import load_pipeline
from mitra.table_features import features_of
from tests.factories.wired import WiredJob

PIPELINE = """
name: shop
events:
  payment:
    id: id
    time: at
    fields: {id: string, at: time, customer: string}
entities: {customer: customer}
labels: {id: id, label: fraud, known_at: known_at}
features:
  frauds: sum(fraud, by=customer, over="30d")
  part: mean(fraud, by=customer, over="ever")
"""
HOUR_MS = 3_600_000
START_MS = 1_700_000_000_000


def labels(chance: random.Random, payments: int) -> list[dict[str, Any]]:
    """Labels in no order, many of one payment; some have no version, some the same one with another verdict."""
    made = []
    for number in range(payments):
        for _ in range(chance.choice((1, 2, 4))):
            known_at = START_MS + chance.randrange(1, 40) * HOUR_MS
            version = chance.choice((None, chance.randrange(-2, 4), START_MS + chance.randrange(40) * HOUR_MS))
            label = {"id": f"p{number}", "fraud": chance.random() < 0.5, "known_at": known_at}
            made.append(label if version is None else {**label, "version": version})
    chance.shuffle(made)
    return made


@pytest.mark.parametrize("seed", range(8))
def test_labels_of_a_file_count_as_those_of_the_topic(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    pipeline = load_pipeline(path)
    assert pipeline.labels is not None
    payments = [{"id": f"p{n}", "at": START_MS + n, "customer": "c"} for n in range(10)]
    payments += [{"id": f"asks{n}", "at": START_MS + n * HOUR_MS + 20, "customer": "c"} for n in range(42)]
    said = labels(chance, 10)
    job = WiredJob(pipeline)
    for payment in payments[:10]:
        job.read(START_MS, [(pipeline.decided.topic, json.dumps(payment).encode())])
    job.read(START_MS, [(pipeline.labels.topic, json.dumps(label).encode()) for label in said])
    for payment in payments[10:]:
        job.read(payment["at"], [(pipeline.decided.topic, json.dumps(payment).encode())])
    live = {row["transaction_id"]: (row["frauds"], row["part"]) for row in job.logged}
    table = pa.Table.from_pylist([{"version": None, **label} for label in said])
    found = features_of(path, pa.Table.from_pylist(payments), labels=table).to_pylist()
    assert {row["transaction_id"]: (row["frauds"], row["part"]) for row in found} == live
    assert len({frauds for frauds, _ in live.values()}) > 2
