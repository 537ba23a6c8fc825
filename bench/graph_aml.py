"""AMLSim's accounts ranked by a model on graph features alone: `python -m bench.graph_aml FILE.tgz`.

20,000 accounts, 200 laundering circles. Every account is asked about once, as of the end, over the very columns that a job asks for.
Five folds; what is made from labels sees the labels of other folds only, for training rows as well.
"""

import argparse
import io
import tarfile
from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as pacsv
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from xgboost import XGBClassifier

from mitra.graph.columns import Columns, node_key
from mitra.graph.community import Communities, find_communities
from mitra.graph.embedded import link_table
from mitra.graph.features import COMMUNITY, Column, all_columns
from mitra.graph.measure import Measurer
from mitra.graph.questions import Question
from mitra.graph.records import Edges, Judged, Link
from mitra.hashing import text_hash

FOLDS = 5
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


class Accounts:
    """All transfers in a graph, whose labels are put on and taken off again."""

    def __init__(self, transfers: Any, accounts: list[str]) -> None:
        """Take the transfers; nobody is known to be a fraud."""
        columns = ("sourceNodeId", "targetNodeId", "time")
        self._transfers = list(zip(*(transfers.column(name).to_pylist() for name in columns), strict=True))
        self._accounts = accounts
        self._graph = Columns()
        self._graph.add(
            Edges(str(number), time * STEP_MS, [Link("account", str(source), "account", str(target))])
            for number, (source, target, time) in enumerate(self._transfers)
        )

    def know(self, frauds: set[str]) -> None:
        """Judge the transfers between these accounts as frauds, and no others."""
        graph = self._graph
        graph.labels.clear()
        graph.span_count[:] = 0
        graph.spans_used = 0
        graph.add(
            Judged(str(number), fraud=True, known_at=time * STEP_MS, version=1)
            for number, (source, target, time) in enumerate(self._transfers)
            if str(source) in frauds and str(target) in frauds
        )

    def values(self, columns: Sequence[Column]) -> np.ndarray:
        """Return the features of all accounts as of the end."""
        graph = self._graph
        moment_ms = graph.newest_ms + 1
        questions = [Question("account", one, moment_ms) for one in self._accounts]
        values = Measurer(graph).answer(questions, columns).values
        asked = {one.name: place for place, one in enumerate(columns) if one.name in COMMUNITY}
        if asked:
            communities = Communities([find_communities(link_table(graph, graph.newest_ms), graph.newest_ms)])
            keys = [text_hash(node_key("account", one)) for one in self._accounts]
            communities.fill(values, asked, keys, [moment_ms] * len(keys))
        return values


def known_to(accounts: list[str], fraud: np.ndarray, fold_of: np.ndarray, hidden: set[int]) -> set[str]:
    """Return the frauds outside of some folds."""
    return {one for one, bad, fold in zip(accounts, fraud, fold_of, strict=True) if bad and fold not in hidden}


def ranked(rows_for: Callable[[int], np.ndarray], fraud: np.ndarray, fold_of: np.ndarray) -> np.ndarray:
    """Return the score of each account from a model that never saw its fold; `rows_for(fold)` are all rows as it may see them."""
    scores = np.zeros(len(fraud))
    for fold in range(FOLDS):
        rows, train = rows_for(fold), fold_of != fold
        model = XGBClassifier(
            n_estimators=200, max_depth=4, learning_rate=0.06, subsample=0.8, colsample_bytree=0.7, min_child_weight=2,
            n_jobs=1,
        )  # fmt: skip
        model.fit(rows[train], fraud[train])
        scores[~train] = model.predict_proba(rows[~train])[:, 1]
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    nodes, transfers = read(args.file)
    accounts = [str(one) for one in nodes.column("nodeid").to_pylist()]
    fraud = np.array(nodes.column("isFraud").to_pylist(), dtype=np.int64)
    fold_of = np.zeros(len(accounts), dtype=np.int64)
    for fold, (_, test) in enumerate(StratifiedKFold(FOLDS, shuffle=True, random_state=args.seed).split(fraud, fraud)):
        fold_of[test] = fold
    graph = Accounts(transfers, accounts)
    structure = [one for one in ALL if one.name not in OF_LABELS]
    shape = graph.values(structure)
    degrees = [place for place, one in enumerate(structure) if one.over_ms == WINDOWS_MS[-1]]
    labelled = [one for one in ALL if one.name in OF_LABELS]
    # A row never sees its own fold's labels, and nobody sees those of the fold that is tested.
    seen = {}
    for one, other in combinations_with_replacement(range(FOLDS), 2):
        graph.know(known_to(accounts, fraud, fold_of, {one, other}))
        seen[one, other] = graph.values(labelled)

    def with_labels(fold: int) -> np.ndarray:
        told = np.empty((len(accounts), len(labelled)))
        for other in range(FOLDS):
            told[fold_of == other] = seen[min(fold, other), max(fold, other)][fold_of == other]
        return np.hstack([shape, told])

    kinds: list[tuple[str, Callable[[int], np.ndarray]]] = [
        ("in- and out-degrees", lambda _: shape[:, degrees]),
        ("structure", lambda _: shape),
        ("all", with_labels),
    ]
    for name, rows_for in kinds:
        scores = ranked(rows_for, fraud, fold_of)
        auc, precision = roc_auc_score(fraud, scores), average_precision_score(fraud, scores)
        print(f"{name:22} AUC {auc:.4f}  AP {precision:.4f}", flush=True)


if __name__ == "__main__":
    main()
