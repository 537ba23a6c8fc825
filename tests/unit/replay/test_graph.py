"""A replay's graph: fed by the replayed payments in the order of time, it says what a service would have said."""

from pathlib import Path

import pyarrow as pa

from mitra.table_features import features_of

PIPELINE = """
name: shop
events:
  payment:
    id: id
    time: at
    fields: {id: string, at: time, customer: string, device: {type: string, required: false}}
entities: {customer: customer}
labels: {id: id, label: fraud, known_at: known_at}
features:
  cards: graph("degree", by=device, to=customer)
  frauds: graph("frauds_1_hop", by=device)
  peers: graph("peers", by=customer, via=device)
  lately: graph("fan_in", by=device, over="1d")
  size: graph("community_size", by=device)
graph:
  address: nowhere:1
  nodes: {customer: customer, device: device}
  links: [[customer, device]]
"""
DAY_MS = 86_400_000
START_MS = 20_000 * DAY_MS


def test_each_payment_sees_what_was_before_it_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    hours = [0, 1, 2, 26, 26, 50]
    devices = ["D", "D", "D", "D", "D", None]
    payments = pa.table(
        {
            "id": [f"p{n}" for n in range(6)],
            "at": [START_MS + hour * 3_600_000 for hour in hours],
            "customer": ["a", "b", "c", "d", "e", "a"],
            "device": devices,
        }
    )
    # Known a moment after the third payment, long before the others.
    labels = pa.table({"id": ["p0"], "fraud": [True], "known_at": [START_MS + 2 * 3_600_000 + 1]})
    found = features_of(path, payments.take([5, 4, 3, 2, 1, 0]), labels=labels).to_pylist()[::-1]
    # The fourth and fifth come at one moment: neither sees the other.
    assert [row["cards"] for row in found] == [0, 1, 2, 3, 3, None]
    assert [row["frauds"] for row in found] == [0, 0, 0, 1, 1, None]
    assert [row["lately"] for row in found] == [0, 1, 2, 0, 0, None]
    assert [row["peers"] for row in found] == [0, 0, 0, 0, 0, 4]
    # Communities are those of the night before; a window of a day begins behind what is a whole day back.
    assert [row["size"] for row in found] == [None, None, None, 4, 4, None]
