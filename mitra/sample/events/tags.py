"""The names that a transfer's label may carry: ordinary, honest look-alikes, frauds. A new name goes to the end."""

NAMES = (
    "ordinary",
    "collection",
    "rent",
    "new_phone",
    "returned",
    "account_takeover",
    "mule_fan_in",
    "dormant_awakened",
)
FRAUDS = frozenset(NAMES[5:])
TAG = {name: place for place, name in enumerate(NAMES)}
IS_FRAUD = tuple(name in FRAUDS for name in NAMES)
