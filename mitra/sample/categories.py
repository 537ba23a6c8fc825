"""What merchants sell: for each category how common it is in the street and online, and what a payment is like."""

from dataclasses import dataclass

import numpy as np

from mitra.sample.columns import Floats, Ints


@dataclass(frozen=True, slots=True)
class Category:
    """A merchant category: relative number of merchants in the street and online, median amount, spread (log)."""

    name: str
    street: float
    online: float
    median: float
    spread: float


CATEGORIES = (
    Category("groceries", 26, 6, 28, 0.60),
    Category("restaurants", 22, 8, 24, 0.55),
    Category("fuel", 8, 0, 48, 0.35),
    Category("transport", 8, 8, 9, 0.60),
    Category("pharmacy", 7, 4, 16, 0.55),
    Category("fashion", 9, 18, 52, 0.60),
    Category("home", 6, 10, 58, 0.75),
    Category("entertainment", 5, 10, 21, 0.50),
    Category("digital_goods", 0, 16, 13, 0.70),
    Category("electronics", 4, 10, 95, 0.80),
    Category("travel", 2, 8, 170, 0.75),
    Category("jewellery", 2, 2, 120, 0.80),
)
NAMES = tuple(category.name for category in CATEGORIES)
LOG_MEDIAN: Floats = np.log(np.array([category.median for category in CATEGORIES]))
SPREAD: Floats = np.array([category.spread for category in CATEGORIES])


def shares(*, online: bool) -> Floats:
    """Return the share of each category among the merchants online or in the street."""
    weights = np.array([category.online if online else category.street for category in CATEGORIES], dtype=np.float64)
    total: Floats = weights / weights.sum()
    return total


def numbers(*names: str) -> Ints:
    """Return the numbers of some categories by name."""
    return np.array([NAMES.index(name) for name in names], dtype=np.int64)
