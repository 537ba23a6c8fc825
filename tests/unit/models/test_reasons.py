"""Reasons in words."""

import numpy as np

from models.reasons import top_reasons

FEATURES = ("TERMINAL_ID_RISK_7DAY_WINDOW", "is_night", "count_1h", "last_country_km")
TYPES = ("number", "boolean", "integer", "number")
ROW = np.array([0.82, 1.0, 12.0, np.nan], dtype=np.float32)


def texts(contributions, k=4):
    return [reason["text"] for reason in top_reasons(FEATURES, TYPES, ROW, np.array(contributions), k)]


def test_only_what_raised_the_score_is_told_strongest_first():
    assert texts([1.0, 2.0, -3.0, 0.5]) == [
        "is_night is true, which raises the risk",
        "TERMINAL_ID_RISK_7DAY_WINDOW = 0.82 raises the risk",
        "last_country_km is missing, which raises the risk",
    ]


def test_no_more_than_asked_for():
    assert texts([1.0, 2.0, 3.0, 4.0], k=1) == ["last_country_km is missing, which raises the risk"]


def test_where_nothing_raised_it_what_lowered_it_least_is_told():
    assert texts([-1.0, -2.0, -0.5, -4.0], k=2) == [
        "count_1h = 12 lowers the risk",
        "TERMINAL_ID_RISK_7DAY_WINDOW = 0.82 lowers the risk",
    ]


def test_a_reason_carries_plain_values():
    reasons = top_reasons(FEATURES, TYPES, ROW, np.array([0.1234567, 0.2, 0.05, 0.01]), 4)
    assert [reason["value"] for reason in reasons] == [True, 0.82, 12.0, None]
    assert reasons[1]["contribution"] == 0.123457


def test_what_moved_nothing_is_no_reason():
    assert texts([0.0, 0.0, -0.5, 0.0]) == ["count_1h = 12 lowers the risk"]
    assert texts([0.0, 0.0, 0.0, 0.0]) == []
