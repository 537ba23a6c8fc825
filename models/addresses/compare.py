"""What expressions ask of addresses: how alike two are, whether one is complete, one of its parts.

Likeness is a mean over the parts that both have, weighted by `WEIGHTS`: a street is as like another as their letters
are, a number is the same or isn't, a postcode counts as far as it agrees from the left. A part that only one has says
nothing; two that share none are compared as whole texts. Case, punctuation and common abbreviations make no difference.
"""

from collections import Counter

from models.addresses.features import tokens
from models.addresses.parser import normal, parse

WEIGHTS = {"number": 2.0, "street": 3.0, "city": 2.0, "region": 1.0, "postcode": 2.0, "other": 1.0}
"""In the order of an address's parts."""


def address_similarity(one: str, other: str) -> float | None:
    """Return how alike two addresses are, from 0 to 1; the order doesn't matter. None where either is empty."""
    first, second = _whole(one), _whole(other)
    if not first or not second:
        return None
    if first == second:
        return 1.0
    total = weights = 0.0
    for (name, weight), a, b in zip(WEIGHTS.items(), parse(one), parse(other), strict=True):
        if a and b:
            total += weight * _alike(name, a, b)
            weights += weight
    return total / weights if weights else _letters(first, second)


def address_complete(address: str) -> bool | None:
    """Return whether street, number, and city or postcode are there. None where the address is empty."""
    if not _whole(address):
        return None
    found = parse(address)
    return bool(found.street and found.number and (found.city or found.postcode))


def address_part(address: str, part: str) -> str | None:
    """Return one of an address's parts as it is compared: lower case, no punctuation. None where it has none."""
    found: str = getattr(parse(address), part)
    return found or None


def _whole(address: str) -> str:
    return " ".join(filter(None, map(normal, tokens(address))))


def _alike(name: str, a: str, b: str) -> float:
    if a == b:
        return 1.0
    if name == "number":
        return 0.0
    if name == "postcode":
        agree = next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        return agree / max(len(a), len(b))
    return _letters(a, b)


def _letters(a: str, b: str) -> float:
    """Return Dice's coefficient of the pairs of neighbouring letters, the ends counted as letters."""
    if a == b:
        return 1.0
    first, second = _pairs(a), _pairs(b)
    return 2 * (first & second).total() / (first.total() + second.total())


def _pairs(text: str) -> Counter[str]:
    padded = f" {text} "
    return Counter(padded[place : place + 2] for place in range(len(padded) - 1))
