"""What the demo shows on terminals of every size."""

from typing import Any

import pytest
from rich.console import Console

from mitra.demo.screen import flagged_table, why

REASONS = [
    {"feature": "device_customers_7d", "value": 8.0, "contribution": 8.9, "text": ""},
    {"feature": "country_changed", "value": False, "contribution": 2.1, "text": ""},
    {"feature": "hours_since_last", "value": 0.00854917, "contribution": 1.2, "text": ""},
]


def row(number: int) -> dict[str, Any]:
    payment = {"customer_id": f"c{number:07}", "amount": 1234.5, "currency": "EUR"}
    return {
        "outcome": "block",
        "score": 0.98,
        "payment": payment,
        "rules": [],
        "reasons": REASONS,
        "scenario": "compromised_terminal",
    }


def lines(width: int, height: int, count: int = 8) -> list[str]:
    console = Console(width=width, height=height, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(flagged_table([row(number) for number in range(count)], console, height))
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize("height", [10, 20, 40])
def test_the_table_fits_and_every_reason_can_be_read(width: int, height: int) -> None:
    shown = lines(width, height)
    assert len(shown) <= height
    assert max(map(len, shown)) <= width
    text = "".join(character for character in "".join(shown) if not character.isspace())
    for word in ("block", "1,234.50EUR", "device_customers_7d", "hours_since_last", "terminal"):
        assert word in text


def test_on_a_tall_terminal_all_are_shown_and_on_a_low_one_the_newest() -> None:
    assert sum("c0000" in line for line in lines(140, 40)) == 8
    low = lines(140, 6)
    assert "c0000000" in "".join(low)
    assert "c0000007" not in "".join(low)


def test_no_payment_is_no_row() -> None:
    assert not any("block" in line for line in lines(80, 20, count=0))


def test_reasons_are_features_with_their_values() -> None:
    assert (
        why({"rules": [], "reasons": REASONS}) == "device_customers_7d=8, not country_changed, hours_since_last=0.00855"
    )
    assert why(
        {"rules": [], "reasons": [{"feature": "amount", "value": 12345.6}, {"feature": "speed", "value": None}]}
    ) == ("amount=12,346, no speed")
    assert why({"rules": [], "reasons": []}) == "–"
    fired = [{"id": "a", "reason": "900 from a new device"}, {"id": "b", "reason": ""}]
    assert why({"rules": fired, "reasons": REASONS[:1]}) == "900 from a new device, b, device_customers_7d=8"
