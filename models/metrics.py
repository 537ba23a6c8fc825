"""How good scores are: AUC ROC, average precision, card precision@k, and what a threshold catches.

Card precision and the removal of known compromised cards follow *Reproducible Machine Learning for Credit Card Fraud
Detection* (Le Borgne et al., 2022), chapters 3 and 4. A day is given as an integer, a card as anything sortable.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.bool_]
Floats = NDArray[np.float64]
Days = NDArray[np.int64]
Cards = NDArray[Any]


def auc_roc(scores: Floats, labels: Labels) -> float:
    """Return the chance that a fraud scores above a legit payment, ties counting half; NaN if either is lacking."""
    frauds = int(labels.sum())
    legit = len(labels) - frauds
    if not frauds or not legit:
        return float("nan")
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_rank = last - (counts - 1) / 2.0
    rank_sum = float(mean_rank[place][labels].sum())
    return (rank_sum - frauds * (frauds + 1) / 2.0) / (frauds * legit)


def average_precision(scores: Floats, labels: Labels) -> float:
    """Return the mean over the frauds of the precision at their score; NaN if there is none.

    Ties are taken together: precision is measured below each distinct score, never inside one.
    """
    frauds = int(labels.sum())
    if not frauds:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    caught = np.cumsum(labels[order])[ends]
    precision = caught / (ends + 1.0)
    gained = np.diff(caught, prepend=0)
    return float((precision * gained).sum() / frauds)


def card_precision(scores: Floats, labels: Labels, days: Days, cards: Cards, k: int = 100) -> float:
    """Return the mean over the days of the share of compromised cards among the `k` cards with the highest scores.

    A card's score and label on a day are the highest it has there. A card found on one day is left out on later ones.
    Equal scores are ranked by card. A day with fewer than `k` cards is still divided by `k`.
    """
    found: set[Any] = set()
    shares = []
    for day in np.unique(days):
        today = days == day
        if found:
            today &= ~np.isin(cards, list(found))
        names, place = np.unique(cards[today], return_inverse=True)
        best = np.full(len(names), -np.inf)
        np.maximum.at(best, place, scores[today])
        compromised = np.zeros(len(names), dtype=bool)
        np.logical_or.at(compromised, place, labels[today])
        top = np.argsort(-best, kind="stable")[:k]
        caught = top[compromised[top]]
        found.update(names[caught].tolist())
        shares.append(len(caught) / k)
    return float(np.mean(shares)) if shares else float("nan")


def unknown_cards(
    days: Days, labels: Labels, cards: Cards, *, train: tuple[int, int], test: tuple[int, int], label_delay: int
) -> NDArray[np.bool_]:
    """Return, of all rows, those of the test days whose card isn't yet known as compromised by then.

    `train` and `test` are days, first and last. On test day d a card is known by a fraud in the training days, or one
    between the first test day's and d's own `d - label_delay - 1`: its label has arrived before d begins.
    """
    known = set(cards[labels & (days >= train[0]) & (days <= train[1])].tolist())
    keep = np.zeros(len(days), dtype=bool)
    for day in range(test[0], test[1] + 1):
        arrived = labels & (days == day - label_delay - 1)
        known.update(cards[arrived].tolist())
        today = days == day
        keep |= today & ~np.isin(cards, list(known)) if known else today
    return keep


def at_threshold(scores: Floats, labels: Labels, threshold: float) -> dict[str, float | int]:
    """Return what reaching `threshold` means: rows flagged and their share, precision, and the recall of frauds."""
    flagged = scores >= threshold
    count, caught, frauds = int(flagged.sum()), int((flagged & labels).sum()), int(labels.sum())
    return {
        "threshold": threshold,
        "flagged": count,
        "share": count / len(scores) if len(scores) else 0.0,
        "precision": caught / count if count else float("nan"),
        "recall": caught / frauds if frauds else float("nan"),
    }


def log_loss(scores: Floats, labels: Labels) -> float:
    """Return the mean negative log-likelihood of the labels, scores kept 1e-7 from 0 and 1."""
    inside = np.clip(scores, 1e-7, 1 - 1e-7)
    return float(-np.mean(np.where(labels, np.log(inside), np.log(1.0 - inside))))
