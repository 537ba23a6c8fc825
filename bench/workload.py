"""What is measured: a pipeline of 3 entities × 40 windowed aggregates, and payments that touch all three.

Customers follow Zipf's law, terminals and devices are drawn evenly: a few entities are hot, most are met again after a
long while. 15 % of the payments carry a time up to ten minutes before their turn.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

CUSTOMERS, TERMINALS, DEVICES = 100_000, 10_000, 100_000
ZIPF_EXPONENT = 1.1
"""The most active customer then makes 13 % of all payments, the least active one in two million."""
OUT_OF_ORDER = 0.15
LATEST_MS = 600_000
HOT_SHARE = 0.3
HOT_TERMINAL = "t0"

WINDOWS = ("1h", "6h", "1d", "7d", "30d")
ENTITIES = ("customer", "terminal", "device")
COUNTRIES = ("DE", "FR", "NL", "PL", "US")
FUNCTIONS = (
    "count(by={by}, over={over})",
    "sum(amount, by={by}, over={over})",
    "mean(amount, by={by}, over={over})",
    "min(amount, by={by}, over={over})",
    "max(amount, by={by}, over={over})",
    "std(amount, by={by}, over={over})",
    "distinct(country, by={by}, over={over})",
    "distinct({other}, by={by}, over={over})",
)
_OTHER = {"customer": "terminal_id", "terminal": "customer_id", "device": "customer_id"}

_HEAD = """\
name: bench
kafka:
  partitions: 2
events:
  payment:
    topic: payments
    id: transaction_id
    time: event_time
    fields:
      transaction_id: string
      event_time: time
      customer_id: string
      terminal_id: string
      device_id: string
      country: string
      amount: number
entities:
  customer: customer_id
  terminal: terminal_id
  device: device_id
"""

Array = np.ndarray[Any, Any]


def features() -> dict[str, str]:
    """Return the 120 features by name, entity by entity."""
    found = {}
    for entity in ENTITIES:
        for window in WINDOWS:
            for function in FUNCTIONS:
                text = function.format(by=entity, over=f'"{window}"', other=_OTHER[entity])
                name = text.replace(f", by={entity}", "").replace(f'over="{window}"', "").strip("(), ")
                words = "".join(c if c.isalnum() else " " for c in name).split()
                found["_".join([entity, *words, window])] = text
    return found


def write_pipeline(
    path: Path, job: dict[str, Any], model: Path | None = None, *, log: Path | None = None, more: str = ""
) -> Path:
    """Write the pipeline file with the settings `job`, the folders of its model and its log, and `more` sections; return its path."""
    lines = [_HEAD.rstrip(), "features:", *(f"  {name}: '{text}'" for name, text in features().items())]
    if model is not None:
        # One that is put has its time measured while everything else runs too.
        lines += ["model:", f"  path: {model}", "limits:", "  model_us: 20000"]
    if job:
        lines += ["job:", *(f"  {name}: {value}" for name, value in job.items())]
    if log is not None:
        lines += ["log:", f"  path: {log}"]
    if more:
        lines.append(more)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@dataclass(frozen=True)
class Payments:
    """`count` payments without their times, the same for the same seed: columns of what each touches and how it differs.

    `behind_ms` is how far a payment's own time lies before its turn, 0 for those in order.
    """

    run: str
    customers: list[int]
    terminals: list[int]
    devices: list[int]
    countries: list[int]
    amounts: list[float]
    behind_ms: list[int]

    @classmethod
    def draw(cls, run: str, count: int, seed: int, *, hot: bool = False, part: int = 1) -> "Payments":
        """Draw them; with `hot`, one terminal gets 30 % of the traffic.

        Ids are `run-0`, `run-1`, … `part` = 10 draws from a tenth of all customers, terminals and devices.
        """
        rng = np.random.default_rng(seed)
        customers = CUSTOMERS // part
        weights = np.arange(1, customers + 1) ** -ZIPF_EXPONENT
        ranks = np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random(count))
        # Who is active is the same for every seed, and has nothing to do with the number in the name.
        names = np.random.default_rng(0).permutation(customers)
        terminals = rng.integers(1, TERMINALS // part, count)
        if hot:
            terminals[rng.random(count) < HOT_SHARE] = 0
        behind = rng.integers(1, LATEST_MS, count)
        behind[rng.random(count) >= OUT_OF_ORDER] = 0
        home = rng.random(count) < 0.9
        return cls(
            run=run,
            customers=names[np.minimum(ranks, customers - 1)].tolist(),
            terminals=terminals.tolist(),
            devices=rng.integers(0, DEVICES // part, count).tolist(),
            countries=np.where(home, 0, rng.integers(0, len(COUNTRIES), count)).tolist(),
            amounts=np.round(rng.lognormal(3.2, 1.0, count), 2).tolist(),
            behind_ms=behind.tolist(),
        )

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.customers)

    def encode(self, number: int, now_ms: int) -> tuple[bytes, bytes]:
        """Return key and value of a payment whose turn is at `now_ms`."""
        customer = self.customers[number]
        value = (
            f'{{"transaction_id":"{self.run}-{number}","event_time":{now_ms - self.behind_ms[number]},'
            f'"customer_id":"c{customer}","terminal_id":"t{self.terminals[number]}","device_id":"d{self.devices[number]}",'
            f'"country":"{COUNTRIES[self.countries[number]]}","amount":{self.amounts[number]}}}'
        )
        return b"c%d" % customer, value.encode()
