"""Metrics against hand-made cases, and against scikit-learn where it has them."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from models.metrics import at_threshold, auc_roc, average_precision, card_precision, log_loss, unknown_cards


def arrays(*pairs):
    scores, labels = zip(*pairs, strict=True)
    return np.array(scores, dtype=np.float64), np.array(labels, dtype=bool)


def test_auc_counts_pairs_in_order_and_ties_half():
    # frauds .9 .5; legit .5 .1: pairs won 1 + 1 + 0.5 + 1 of 4
    assert auc_roc(*arrays((0.9, 1), (0.5, 1), (0.5, 0), (0.1, 0))) == pytest.approx(3.5 / 4)


def test_average_precision_takes_ties_together():
    # .9: 1 of 1; .5: 2 frauds among 3 rows in all
    assert average_precision(*arrays((0.9, 1), (0.5, 1), (0.5, 0), (0.1, 0))) == pytest.approx((1 + 2 / 3) / 2)


def test_metrics_without_frauds_are_not_numbers():
    scores, labels = arrays((0.9, 0), (0.1, 0))
    assert math.isnan(auc_roc(scores, labels))
    assert math.isnan(average_precision(scores, labels))
    assert math.isnan(at_threshold(scores, labels, 0.5)["recall"])


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0]), st.booleans()), min_size=2).filter(
        lambda rows: len({label for _, label in rows}) == 2
    )
)
def test_auc_and_average_precision_agree_with_scikit_learn(rows):
    scores, labels = arrays(*rows)
    assert auc_roc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(scores, labels) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)


def test_card_precision_takes_a_cards_highest_score_and_label_of_the_day():
    scores = np.array([0.9, 0.1, 0.8, 0.7])
    labels = np.array([False, True, False, False])
    cards = np.array([1, 1, 2, 3])
    days = np.zeros(4, dtype=np.int64)
    # Card 1 leads by its legit payment, and is compromised by its other one.
    assert card_precision(scores, labels, days, cards, k=1) == 1.0
    assert card_precision(scores, labels, days, cards, k=2) == 0.5


def test_card_precision_leaves_found_cards_out_on_later_days_and_divides_by_k():
    scores = np.array([0.9, 0.8, 0.9, 0.8])
    labels = np.array([True, False, True, True])
    cards = np.array([1, 2, 1, 2])
    days = np.array([0, 0, 1, 1])
    # Day 0 finds card 1; day 1 is left with card 2.
    assert card_precision(scores, labels, days, cards, k=1) == 1.0
    assert card_precision(scores, labels, days, cards, k=2) == 0.5


def test_card_precision_ranks_equal_scores_by_card():
    scores, labels = np.array([0.5, 0.5]), np.array([True, False])
    days = np.zeros(2, dtype=np.int64)
    assert card_precision(scores, labels, days, np.array([1, 2]), k=1) == 1.0
    assert card_precision(scores, labels, days, np.array([2, 1]), k=1) == 0.0


def naive_card_precision(scores, labels, days, cards, k):
    """The definition, a dictionary at a time."""
    found, shares = set(), []
    for day in sorted(set(days.tolist())):
        best = {}
        for score, label, card in zip(scores[days == day], labels[days == day], cards[days == day], strict=True):
            if card not in found:
                old_score, old_label = best.get(card, (-1.0, False))
                best[card] = (max(old_score, score), old_label or label)
        top = sorted(best.items(), key=lambda item: (-item[1][0], item[0]))[:k]
        caught = [card for card, (_, label) in top if label]
        found.update(caught)
        shares.append(len(caught) / k)
    return sum(shares) / len(shares)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_card_precision_agrees_with_its_definition(seed, k):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 60))
    scores, labels = rng.integers(0, 8, size) / 8, rng.random(size) < 0.3
    days, cards = rng.integers(0, 4, size), rng.integers(0, 9, size)
    assert card_precision(scores, labels, days, cards, k) == pytest.approx(
        naive_card_precision(scores, labels, days, cards, k)
    )


def test_a_card_is_known_from_the_day_its_label_has_arrived():
    # Train on days 0–1, test on days 4–6, labels after two days: on day d the labels of day d - 3 are in.
    days = np.array([day for day, _ in product(range(7), range(4))])
    cards = np.array([card for _, card in product(range(7), range(4))])
    frauds = {(1, 0), (2, 1), (3, 2), (4, 3)}  # in training; in the delay; in the delay; in the test
    labels = np.array([(day, card) in frauds for day, card in zip(days, cards, strict=True)])
    keep = unknown_cards(days, labels, cards, train=(0, 1), test=(4, 6), label_delay=2)
    left = {day: sorted(cards[keep & (days == day)].tolist()) for day in range(7)}
    assert left == {0: [], 1: [], 2: [], 3: [], 4: [1, 2, 3], 5: [2, 3], 6: [3]}


def test_a_threshold_flags_the_scores_that_reach_it():
    scores, labels = arrays((0.9, 1), (0.5, 0), (0.5, 1), (0.1, 1))
    assert at_threshold(scores, labels, 0.5) == {
        "threshold": 0.5,
        "flagged": 3,
        "share": 0.75,
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
    }


def test_log_loss_of_certainty_stays_finite():
    assert log_loss(*arrays((0.0, 1), (1.0, 0))) == pytest.approx(-math.log(1e-7), rel=1e-6)
