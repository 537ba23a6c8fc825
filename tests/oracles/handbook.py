"""The book's 14 features, computed a second time and another way: whole columns, integer arithmetic, nothing of Mitra.

Source: *Reproducible Machine Learning for Credit Card Fraud Detection* (Le Borgne et al., 2022), chapter 3, *Baseline
feature transformation*. Sums are of cents, as integers, so every value is the correctly rounded one.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Columns = dict[str, NDArray[np.float64]]

DAY_S = 86_400
WINDOWS_DAYS = (1, 7, 30)
DELAY_S = 7 * DAY_S
SATURDAY = 5
LAST_NIGHT_HOUR = 6

FEATURES = (
    "TX_DURING_WEEKEND",
    "TX_DURING_NIGHT",
    *(f"CUSTOMER_ID_NB_TX_{days}DAY_WINDOW" for days in WINDOWS_DAYS),
    *(f"CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW" for days in WINDOWS_DAYS),
    *(f"TERMINAL_ID_NB_TX_{days}DAY_WINDOW" for days in WINDOWS_DAYS),
    *(f"TERMINAL_ID_RISK_{days}DAY_WINDOW" for days in WINDOWS_DAYS),
)


@dataclass(frozen=True)
class Transactions:
    """Columns of equal length, sorted by (time, id). `time_s` is seconds since 1970, UTC; `cents` the amount times 100."""

    id: Ints
    time_s: Ints
    customer: Ints
    terminal: Ints
    cents: Ints
    fraud: Ints


def read(transactions: Path, labels: Path) -> Transactions:
    """Read the data's two Parquet files; raise `ValueError` where an amount isn't whole cents or a label is missing."""
    table, marks = pq.read_table(transactions), pq.read_table(labels)
    ids = table["TRANSACTION_ID"].to_numpy().astype(np.int64)
    time_s = table["TX_DATETIME"].to_numpy().astype("datetime64[s]").astype(np.int64)
    amount = table["TX_AMOUNT"].to_numpy()
    cents = np.rint(amount * 100).astype(np.int64)
    if not np.array_equal(cents / 100, amount):
        msg = "an amount is not whole cents, so sums of cents would not be sums of amounts"
        raise ValueError(msg)
    label_ids = marks["TRANSACTION_ID"].to_numpy().astype(np.int64)
    order = np.argsort(label_ids)
    place = np.minimum(np.searchsorted(label_ids, ids, sorter=order), len(order) - 1)
    if not np.array_equal(label_ids[order][place], ids):
        msg = "a transaction has no label"
        raise ValueError(msg)
    fraud = marks["TX_FRAUD"].to_numpy().astype(np.int64)[order][place]
    by_time = np.lexsort((ids, time_s))
    columns = (ids, time_s, table["CUSTOMER_ID"].to_numpy(), table["TERMINAL_ID"].to_numpy(), cents, fraud)
    return Transactions(*(column.astype(np.int64)[by_time] for column in columns))


def features(data: Transactions) -> Columns:
    """Return the 14 features by name, each in the order of `data`."""
    # 1970-01-01 was a Thursday, weekday 3.
    weekday = (data.time_s // DAY_S + 3) % 7
    hour = data.time_s % DAY_S // 3600
    columns: Columns = {
        "TX_DURING_WEEKEND": (weekday >= SATURDAY).astype(np.float64),
        "TX_DURING_NIGHT": (hour <= LAST_NIGHT_HOUR).astype(np.float64),
    }
    for days in WINDOWS_DAYS:
        count, cents = _customer_window(data, days * DAY_S)
        columns[f"CUSTOMER_ID_NB_TX_{days}DAY_WINDOW"] = count.astype(np.float64)
        columns[f"CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW"] = cents / (count * 100.0)
        count, frauds = _terminal_window(data, days * DAY_S)
        columns[f"TERMINAL_ID_NB_TX_{days}DAY_WINDOW"] = count.astype(np.float64)
        columns[f"TERMINAL_ID_RISK_{days}DAY_WINDOW"] = frauds / np.maximum(count, 1)
    return {name: columns[name] for name in FEATURES}


def _customer_window(data: Transactions, size_s: int) -> tuple[Ints, Ints]:
    """Return the count and cents of the customer's rows in (t - size, t], up to this row in (time, id) order."""
    order, moment, time_s = _grouped(data.customer, data.time_s)
    total = np.concatenate(([0], np.cumsum(data.cents[order])))
    # Times are whole seconds: those after t - size begin at t - size + 1.
    start = np.searchsorted(moment, moment - time_s + _inside(time_s - size_s + 1))
    end = np.arange(1, len(order) + 1)
    return _scatter(order, end - start), _scatter(order, total[end] - total[start])


def _terminal_window(data: Transactions, size_s: int) -> tuple[Ints, Ints]:
    """Return the count and frauds of the terminal's rows in (t - 7d - size, t - 7d]."""
    order, moment, time_s = _grouped(data.terminal, data.time_s)
    total = np.concatenate(([0], np.cumsum(data.fraud[order])))
    start = np.searchsorted(moment, moment - time_s + _inside(time_s - DELAY_S - size_s + 1))
    end = np.searchsorted(moment, moment - time_s + _inside(time_s - DELAY_S + 1))
    return _scatter(order, end - start), _scatter(order, total[end] - total[start])


def _grouped(entity: Ints, time_s: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the rows' order by (entity, time, id), and in that order each row's moment and seconds from the start.

    A moment is entity * SPAN + seconds from the start: one rising number for all entities.
    """
    since = time_s - time_s.min()
    order = np.argsort(entity, kind="stable")
    return order, entity[order] * _SPAN_S + since[order], since[order]


def _inside(time_s: Ints) -> Ints:
    """Keep a bound within its own entity's span of moments."""
    return np.maximum(time_s, 0)


def _scatter(order: Ints, values: Ints) -> Ints:
    back = np.empty_like(values)
    back[order] = values
    return back


_SPAN_S = 1 << 32
