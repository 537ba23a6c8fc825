"""The scenarios of the sample, each in a file of its own.

A new one is a module with a `SCENARIO`, listed here, and a name at the end of tags.NAMES. The frauds' shares may add
up to at most `MAX_FRAUD_SHARE`, which is checked on import and, on what was made, at the end of every sample.
"""

from mitra.sample import tags
from mitra.sample.scenarios import (
    account_takeover,
    card_testing_burst,
    compromised_terminal,
    device_ring,
    impossible_travel,
    reshipping,
    shopping_spree,
)
from mitra.sample.scenarios.scene import Scenario, Scene

MAX_FRAUD_SHARE = 0.005

SCENARIOS: tuple[Scenario, ...] = (
    shopping_spree.SCENARIO,
    card_testing_burst.SCENARIO,
    impossible_travel.SCENARIO,
    compromised_terminal.SCENARIO,
    account_takeover.SCENARIO,
    device_ring.SCENARIO,
    reshipping.SCENARIO,
)

assert sum(s.share for s in SCENARIOS if s.name in tags.FRAUDS) <= MAX_FRAUD_SHARE

__all__ = ["MAX_FRAUD_SHARE", "SCENARIOS", "Scenario", "Scene"]
