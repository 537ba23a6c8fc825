"""AMLSim's accounts ranked by a model on graph features alone: `python -m bench.graph_aml FILE.tgz`.

20,000 accounts, 200 laundering circles. Every account is asked about once, as of the end, over the very columns that a job asks for.
Five folds; what is made from labels sees the labels of other folds only, for training rows as well.
"""

import argparse
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as pacsv
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from xgboost import XGBClassifier

from mitra.graph.columns import Columns
from mitra.graph.community import Communities, find_communities
from mitra.graph.embedded import link_table
from mitra.graph.features import COMMUNITY, all_columns
from mitra.graph.measure import Measurer
from mitra.graph.questions import Question
from mitra.graph.records import Edges, Judged, Link, Record
from mitra.hashing import text_hash

STEP_MS = 86_400_000
WINDOWS_MS = tuple(days * STEP_MS for days in (7, 30, 90, 366))
ALL = [
    one
    for one in all_columns(("account",), WINDOWS_MS)
    if one.name not in {"community_id", "community_age"} and not one.kind
]
OF_LABELS = {"frauds_1_hop", "frauds_2_hops", "fraud_distance", "community_fraud_share"}


def read(path: Path) -> tuple[Any, Any]:
    """Return the tables of accounts and of transfers."""
    tables = {}
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            name = Path(member.name).name
            if name in {"nodes.csv", "transactions.csv"}:
                file = archive.extractfile(member)
                assert file is not None
                tables[name] = pacsv.read_csv(io.BytesIO(file.read()))
    return tables["nodes.csv"], tables["transactions.csv"]


def features(transfers: Any, accounts: list[str], frauds: set[str], moments: Sequence[int] = ()) -> np.ndarray:
    """Return the features of all accounts as of the end, knowing some of the frauds; then as of each of some moments, in steps."""
    sources, targets, times = (transfers.column(name).to_pylist() for name in ("sourceNodeId", "targetNodeId", "time"))
    records: list[Record] = []
    for number, (source, target, time) in enumerate(zip(sources, targets, times, strict=True)):
        id = str(number)
        records.append(Edges(id, time * STEP_MS, [Link("account", str(source), "account", str(target))]))
        if str(source) in frauds and str(target) in frauds:
            records.append(Judged(id, fraud=True, known_at=time * STEP_MS, version=1))
    graph = Columns()
    graph.add(records)
    end_ms = graph.newest_ms + 1
    questions = [Question("account", one, end_ms) for one in accounts]
    values = Measurer(graph).answer(questions, ALL).values
    communities = Communities([find_communities(link_table(graph, graph.newest_ms), graph.newest_ms)])
    asked = {one.name: place for place, one in enumerate(ALL) if one.name in COMMUNITY}
    keys = [text_hash(f"account\x1f{one}") for one in accounts]
    communities.fill(values, asked, keys, [end_ms] * len(accounts))
    measurer = Measurer(graph)
    before = [
        measurer.answer([Question("account", one, moment * STEP_MS) for one in accounts], ALL).values
        for moment in moments
    ]
    return np.hstack([values, *before])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    nodes, transfers = read(args.file)
    accounts = [str(one) for one in nodes.column("nodeid").to_pylist()]
    fraud = np.array(nodes.column("isFraud").to_pylist(), dtype=np.int64)
    folds = StratifiedKFold(5, shuffle=True, random_state=args.seed)
    place = np.zeros(len(accounts), dtype=np.int64)
    for number, (_, test) in enumerate(folds.split(fraud, fraud)):
        place[test] = number
    known = [
        {one for one, fold, bad in zip(accounts, place, fraud, strict=True) if bad and fold not in out}
        for out in [{a} | {b} for a in range(5) for b in range(5)]
    ]
    table = [features(transfers, accounts, one) for one in known]
    moments = range(15, 150, 15)
    over_time = features(transfers, accounts, set(), moments)[:, len(ALL) :]
    structure = [column for column, one in enumerate(ALL) if one.name not in OF_LABELS]
    degrees = [
        column for column, one in enumerate(ALL) if one.name in {"fan_in", "fan_out"} and one.over_ms == WINDOWS_MS[-1]
    ]
    for name, columns in (("in- and out-degrees", degrees), ("structure", structure), ("all", list(range(len(ALL))))):
        scores = np.zeros(len(accounts))
        for fold in range(5):
            rows = np.empty((len(accounts), len(ALL)))
            for other in range(5):
                # A row never sees its own fold's labels, and nobody sees those of the fold that is tested.
                rows[place == other] = table[5 * fold + other][place == other]
            rows = np.hstack([rows, over_time])
            train = place != fold
            model = XGBClassifier(
                n_estimators=200,
                max_depth=4,
                learning_rate=0.05,
                subsample=0.8,
                colsample_bytree=0.8,
                n_jobs=1,
                random_state=args.seed,
            )
            model.fit(rows[train][:, columns], fraud[train])
            scores[~train] = model.predict_proba(rows[~train][:, columns])[:, 1]
        print(f"{name:22} AUC {roc_auc_score(fraud, scores):.4f}  AP {average_precision_score(fraud, scores):.4f}")


if __name__ == "__main__":
    main()
