"""Rings of devices among honest families, found by one rule on graph features: `python -m bench.graph_ring [--seeds 901 902 903]`.

The sample's payments are replayed with a graph fed by the payments themselves, in the order of time; the rule is a feature of the
replay. It asks nothing of labels: a ring is noticed at its second member, long before anybody reports a fraud.
"""

import argparse
import json
import tempfile
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from mitra.local.files import checkout
from mitra.sample import write_sample
from mitra.table_features import features_of

RULE = """
graph("degree", by=device, to=customer) > (1 if count(by=own_device, over="ever") > 1 else 0)
and default(address_similarity(billing_address, previous(billing_address, by=device)), 1) < 0.5
and amount >= 0.25 * mean(amount, by=customer, over="ever")
"""
"""Others have paid with the device, and whoever did last is billed elsewhere: a family shares its address with its tablet.

Cards that are tried out on one device are another fraud, with a rule of its own: that one pays next to nothing of what their
owners are used to.
"""

START_MS = 1_735_689_600_000


def pipeline(folder: Path) -> Path:
    """Write the example's pipeline with a graph and the rule as its one feature."""
    document = yaml.safe_load((checkout() / "examples" / "payments" / "pipeline.yaml").read_text(encoding="utf-8"))
    document |= {
        "entities": {"customer": "customer_id", "device": "device_id", "own_device": ["customer_id", "device_id"]},
        "features": {"ring": " ".join(RULE.split())},
        "graph": {
            "address": "localhost:7070",
            "nodes": {"customer": "customer_id", "device": "device_id"},
            "links": [["customer", "device"]],
        },
    }
    document.pop("model", None)
    document.pop("log", None)
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path


def measure(seed: int, customers: int, days: int) -> dict[str, float]:
    """Return recall on second and later members of rings, and the share of members among what is flagged."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        made = write_sample(folder, seed=seed, customers=customers, days=days, start_ms=START_MS)
        payments = pq.read_table(made.payments_path)
        labels = pq.read_table(made.labels_path)
        found = features_of(pipeline(folder), payments)
    names = labels.column("scenario" if "scenario" in labels.column_names else labels.column_names[2])
    place = pc.index_in(payments.column("transaction_id"), value_set=labels.column("transaction_id"))
    names, frauds = (column.take(place).to_pylist() for column in (names, labels.column("is_fraud")))
    flagged = found.column("ring").to_pylist()
    columns = (payments.column(name).to_pylist() for name in ("event_time", "device_id", "customer_id"))
    members: dict[str, list[str]] = {}
    caught = wanted = right = wrong = honest = family = 0
    rows = sorted(zip(*columns, names, frauds, flagged, strict=True), key=lambda row: row[0])
    for _, device, customer, name, fraud, flag in rows:
        if name == "device_ring":
            known = members.setdefault(device, [])
            if customer not in known:
                known.append(customer)
            if known.index(customer) > 0:
                wanted += 1
                caught += bool(flag)
        # Members of rings alone are right: another fraud that is flagged is a wrong one here.
        right += bool(flag) and name == "device_ring"
        wrong += bool(flag) and name != "device_ring"
        honest += bool(flag) and not fraud
        family += name == "family_device"
    return {
        "seed": seed,
        "payments": len(rows),
        "on_family_devices": family,
        "by_second_and_later_members": wanted,
        "recall": round(caught / max(wanted, 1), 4),
        "precision": round(right / max(right + wrong, 1), 4),
        "honest_flagged": honest,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[901, 902, 903])
    parser.add_argument("--customers", type=int, default=2_000)
    parser.add_argument("--days", type=int, default=60)
    args = parser.parse_args()
    for seed in args.seeds:
        print(json.dumps(measure(seed, args.customers, args.days)), flush=True)


if __name__ == "__main__":
    main()
