"""The names that a payment's label may carry: an ordinary payment, honest look-alikes, frauds.

A payment's `tag` is a place in `NAMES`. A new name goes to the end, so that the older ones keep their places.
"""

NAMES = (
    "ordinary",
    "traveller",
    "family_device",
    "new_phone",
    "big_purchase",
    "shopping_spree",
    "card_testing_burst",
    "impossible_travel",
    "compromised_terminal",
    "account_takeover",
    "device_ring",
    "reshipping",
    "gift",
    "moved",
)
FRAUDS = frozenset(NAMES[6:12])
LOOK_ALIKES = frozenset(NAMES) - FRAUDS - {"ordinary"}
TAG = {name: place for place, name in enumerate(NAMES)}
IS_FRAUD = tuple(name in FRAUDS for name in NAMES)
