"""How right the example's ready rules are, and what they catch, on samples of any seeds.

`python -m bench.ready_rules --seeds 41 42 43 --customers 1000 --days 40` makes each sample with its other events, replays it through the job's
stages with the rules of examples/payments/rules live, and prints precision and recall by rule, of each seed and of all together. The
precision that is asked is that of all seeds together: a rule that fires twice on one is right about all of it or about half. The
thresholds were chosen on seeds 21, 22 and 31 to 33, that of compromised-terminal on seeds 1 to 30.
"""

import argparse
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow.parquet as pq

from mitra.backtest.trial import read_trial
from mitra.cli.replay import event_files
from mitra.control.replay import context_of
from mitra.pipeline import load_pipeline
from mitra.replay.inline import replay_inline
from mitra.replay.prepare import prepare
from mitra.sample import write_sample

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "payments"
START_MS = 1_740_960_000_000
MEANT = {
    "impossible-travel": ("labels", "impossible_travel"),
    "card-testing": ("labels", "card_testing_burst"),
    "velocity": ("labels", "account_takeover"),
    "compromised-terminal": ("labels", "compromised_terminal"),
    "account-takeover": ("transfer_labels", "account_takeover"),
    "mule-fan-in": ("transfer_labels", "mule_fan_in"),
    "dormant-account": ("transfer_labels", "dormant_awakened"),
}
"""What each rule or sequence is meant for: a scenario among payments or among transfers."""
RECALL = {"impossible-travel": 0.95, "account-takeover": 0.95}
"""How much of that these are to catch at least."""
PRECISION = 0.9


@dataclass(slots=True)
class Figures:
    """What rules did on one sample.

    `fired` counts payments by rule, `right` those among them that are frauds, `caught` those of the scenario that is meant;
    `of` counts payments by scenario. `testing` has, for each burst of card testing of four payments or more, the place of the
    first one that fired, None where none did.
    """

    fired: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    caught: Counter[str] = field(default_factory=Counter)
    of: Counter[tuple[str, str]] = field(default_factory=Counter)
    testing: list[int | None] = field(default_factory=list)

    def precision(self, rule: str) -> float | None:
        """Return the share of frauds among what a rule fired on; None where it never did."""
        return self.right[rule] / self.fired[rule] if self.fired[rule] else None

    def add(self, other: "Figures") -> None:
        """Take in what the rules did on another sample."""
        for mine, others in ((self.fired, other.fired), (self.right, other.right), (self.caught, other.caught)):
            mine.update(others)
        self.of.update(other.of)
        self.testing += other.testing

    def recall(self, rule: str) -> float | None:
        """Return how much of what it is meant for a rule caught; None where the sample has nothing of it."""
        of = self.of[MEANT[rule]]
        return self.caught[rule] / of if of else None


def measure(seed: int, customers: int, days: int) -> Figures:
    """Make a sample, replay it under the ready rules and count."""
    with tempfile.TemporaryDirectory(prefix="mitra-ready-rules-") as name:
        folder = Path(name)
        write_sample(folder, seed=seed, customers=customers, days=days, start_ms=START_MS, events=True)
        pipeline = replace(load_pipeline(EXAMPLE / "pipeline.yaml"), model=None)
        trial = read_trial([EXAMPLE / "rules", EXAMPLE / "sequences"], context_of(pipeline))
        prepare(
            pipeline,
            [folder / "payments.parquet"],
            folder / "input",
            dead_letters=folder / "rejected.jsonl",
            events=event_files([str(folder / "events")], pipeline),
            labels=[folder / "labels.parquet", folder / "transfer_labels.parquet"],
        )
        fired = {
            str(decision.transaction_id): {rule["id"] for rule in (*decision.rules, *decision.shadow)}
            for decided in replay_inline(pipeline, folder / "input", live=trial.live)
            for decision in decided.decisions
            if decision.rules or decision.shadow
        }
        return _counted(folder, fired)


def _counted(folder: Path, fired: dict[str, set[str]]) -> Figures:
    found = Figures()
    payments = pq.read_table(folder / "payments.parquet", columns=["transaction_id", "device_id"])
    device_of = dict(zip(*(column.to_pylist() for column in payments.columns), strict=True))
    bursts: dict[str, list[bool]] = {}
    for name in ("labels", "transfer_labels"):
        for row in pq.read_table(folder / f"{name}.parquet").to_pylist():
            id, scenario = row["transaction_id"], row["scenario"]
            rules = fired.get(id, set())
            found.of[name, scenario] += 1
            if scenario == "card_testing_burst":
                bursts.setdefault(device_of[id], []).append("card-testing" in rules)
            for rule in rules:
                found.fired[rule] += 1
                found.right[rule] += row["is_fraud"]
                found.caught[rule] += (name, scenario) == MEANT.get(rule)
    found.testing = [
        next((n for n, hit in enumerate(hits, 1) if hit), None) for hits in bursts.values() if len(hits) > 3
    ]
    return found


def main() -> int:
    """Measure and print; 1 where a bar isn't met: precision over all seeds together, the others on each."""
    parser = argparse.ArgumentParser(prog="python -m bench.ready_rules", description=__doc__, allow_abbrev=False)
    parser.add_argument("--seeds", type=int, nargs="+", default=[41, 42, 43])
    parser.add_argument("--customers", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=40)
    args = parser.parse_args()
    together, missed = Figures(), 0
    for seed in args.seeds:
        figures = measure(seed, args.customers, args.days)
        _show(f"seed {seed}", figures)
        together.add(figures)
        for rule, least in RECALL.items():
            recall = figures.recall(rule)
            missed += recall is not None and recall < least
        missed += _late(figures)
    _show("all seeds", together)
    for rule in MEANT:
        precision = together.precision(rule)
        missed += precision is not None and precision < PRECISION
    return 1 if missed else 0


def _show(name: str, figures: Figures) -> None:
    for rule in MEANT:
        shown = ", ".join(
            f"{what} {'–' if value is None else format(value, '.3f')}"
            for what, value in (("precision", figures.precision(rule)), ("recall", figures.recall(rule)))
        )
        print(f"{name}  {rule:22} fired {figures.fired[rule]:4}  {shown}")
    print(
        f"{name}  bursts of card testing {len(figures.testing)}, caught after their 4th payment {_late(figures)}",
        flush=True,
    )


def _late(figures: Figures) -> int:
    return sum(place is None or place > 4 for place in figures.testing)


if __name__ == "__main__":
    sys.exit(main())
