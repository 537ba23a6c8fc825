"""Which entities a rule in rollout applies to: each has a fixed slot, and the percent says how many slots are in.

Who is in at 5 % is in at 10 % too. Another rule has its own slots, so that it's not always the same customers.
The function (XXH3, seed 0, of the rule's id, a zero byte and the key in UTF-8) can never change: decisions made under
an old revision must come out the same.
"""

import xxhash

SLOTS = 10_000
"""A percent has two decimals."""


def slot_of(rule_id: str, key: str) -> int:
    """Return the slot, 0 … 9,999, of an entity's key for a rule."""
    return xxhash.xxh3_64_intdigest(f"{rule_id}\0{key}".encode(errors="surrogatepass")) % SLOTS


def applies(rule_id: str, key: str | None, percent: float) -> bool:
    """Tell whether a rule with this percent applies to the entity; never where the event has no key."""
    return key is not None and slot_of(rule_id, key) < round(percent * 100)
