"""Places as people write them: invented streets and towns, in several formats, with units and slips of the pen.

What a place is follows from its number alone. How it is written is a *hand*: the format in the low three bits, above
them 0 or the number of a slip (a letter left out, doubled, or changed places with the next).
"""

from functools import lru_cache

import numpy as np

from mitra.sample.columns import Ints, Mask, Payments, Words
from mitra.sample.geography import CITIES
from mitra.sample.post import CITY_BITS
from mitra.sample.streams import mix

HAND_BITS = 3
KEPT = 200_000
"""Written addresses that are kept, about 200 bytes each: people write theirs again and again."""

_STREET_STARTS = (
    "Alder", "Amber", "Barrow", "Birch", "Bram", "Cinder", "Clay", "Copper", "Dun", "Elder", "Fenn", "Flint", "Garrow",
    "Hazel", "Heron", "Iron", "Juniper", "Kestrel", "Lark", "Linden", "Marl", "Mossy", "Nettle", "Orchard", "Otter",
    "Pell", "Quarry", "Raven", "Rowan", "Rush", "Sable", "Sorrel", "Tanner", "Thistle", "Umber", "Vane", "Weaver",
    "Willow", "Wren", "Yarrow",
)  # fmt: skip
_STREET_ENDS = ("", "brook", "dale", "field", "gate", "land", "mere", "side", "stone", "well", "wick", "wood")
_TOWN_STARTS = (
    "Ash", "Brack", "Corn", "Dray", "Elm", "Farn", "Gild", "Hart", "Ing", "Kel", "Lorn", "Mar", "Nor", "Ost", "Pen",
    "Quill", "Ros", "Stan", "Thorn", "Ulver",
)  # fmt: skip
_TOWN_ENDS = ("bury", "caster", "den", "ford", "ham", "haven", "leigh", "mouth", "stead", "ton", "worth", "by")
_KINDS = (("Street", "St"), ("Avenue", "Ave"), ("Road", "Rd"), ("Lane", "Ln"), ("Drive", "Dr"), ("Court", "Ct"))
_SIDES = (("North", "N"), ("South", "S"), ("East", "E"), ("West", "W"))
_UNITS = ("Apt", "Unit", "Suite", "Floor")
_TOWNS_A_CITY = 8
_FORMATS, _USUAL_FORMATS = np.uint64(6), np.uint64(5)  # nobody always leaves half of it out
_HAND_SALT = np.uint64(0x68616E64)  # "hand": apart from any other use of the number


class Writer:
    """Writes the addresses of places."""

    def __init__(self) -> None:
        """Keep what has been written."""
        self._written = lru_cache(maxsize=KEPT)(_written)

    def of(self, payments: Payments) -> tuple[list[str | None], list[str | None]]:
        """Return the billing and the shipping address of each payment, None where it has none."""
        billing, shipping = hands(payments)
        return self._write(payments.billing, billing), self._write(payments.shipping, shipping)

    def _write(self, places: Words, hands: Ints) -> list[str | None]:
        written: list[str | None] = [None] * len(places)
        there = np.flatnonzero(places)
        rows = (there, places[there], mix(places[there]), hands[there])
        for row, place, word, hand in zip(*(column.tolist() for column in rows), strict=True):
            written[row] = self._written(place, word, hand)
        return written


def _written(place: int, word: int, hand: int) -> str:
    """Return a place's address; `word` is its number well mixed, whose bits say what it is like."""
    city = place & (1 << CITY_BITS) - 1
    town_of = word % _TOWNS_A_CITY
    town = (
        _TOWN_STARTS[(7 * city + 3 * town_of) % len(_TOWN_STARTS)] + _TOWN_ENDS[(city + 5 * town_of) % len(_TOWN_ENDS)]
    )
    number = str(1 + (word >> 4) % 960) + ("B" if (word >> 14) % 23 == 0 else "")
    street = _STREET_STARTS[(word >> 20) % len(_STREET_STARTS)] + _STREET_ENDS[(word >> 26) % len(_STREET_ENDS)]
    kind, kind_short = _KINDS[(word >> 32) % len(_KINDS)]
    side, side_short = _SIDES[(word >> 36) % len(_SIDES)] if (word >> 38) % 6 == 0 else ("", "")
    unit = f"{_UNITS[(word >> 42) % len(_UNITS)]} {1 + (word >> 44) % 60}" if (word >> 50) % 3 == 0 else ""
    region = CITIES[city].country
    postcode = f"{10 + 2 * city}{town_of}{(word >> 54) % 90 + 10}"
    if hand >> HAND_BITS:
        street, town = _slip(street, town, hand >> HAND_BITS)
    match hand & (1 << HAND_BITS) - 1:
        case 0:
            return _line(f"{_words(number, side, street, kind)}, ", unit, f"{town}, {region} {postcode}")
        case 1:
            return _words(number, side_short, street, kind_short, unit, town, region, postcode).upper()
        case 2:
            short = unit and f"#{unit.split()[1]}"
            return f"{_words(number, side_short, street, f'{kind_short}.', short)}, {town} {region} {postcode}"
        case 3:
            return _line(f"{_words(number, side, street, kind)}, ", unit, f"{town} {postcode}").lower()
        case 4:
            return f"{_words(number, side, street, kind, unit)}, {town}, {region} {postcode}"
        case _:
            return f"{_words(number, side, street, kind)}, {town}"


def _words(*words: str) -> str:
    return " ".join(filter(None, words))


def _line(before: str, unit: str, behind: str) -> str:
    return f"{before}{unit}, {behind}" if unit else before + behind


def _slip(street: str, town: str, slip: int) -> tuple[str, str]:
    """Return street and town with one letter gone wrong in one of them."""
    texts = [street, town]
    wrong = texts[slip % 2]
    place = 1 + slip // 2 % (len(wrong) - 2)
    match slip // 32 % 3:
        case 0:
            wrong = wrong[:place] + wrong[place + 1 :]
        case 1:
            wrong = wrong[:place] + wrong[place] + wrong[place:]
        case _:
            wrong = wrong[:place] + wrong[place + 1] + wrong[place] + wrong[place + 2 :]
    texts[slip % 2] = wrong
    return texts[0], texts[1]


def hands(payments: Payments) -> tuple[Ints, Ints]:
    """Return the hands that the billing and the shipping addresses of payments are written in.

    People mostly write as they always do; one address in twenty-five has a slip. To send goods to where the card is
    billed mostly takes a tick in a box, and the text is the same.
    """
    words = mix(payments.id ^ _HAND_SALT)
    usual = mix(payments.customer.astype(np.uint64)) % _USUAL_FORMATS
    billing = np.where(_one_in(12, words), (words >> np.uint64(8)) % _FORMATS, usual)
    billing = billing.astype(np.int64) | _slips(words >> np.uint64(16))
    shipping = np.where(_one_in(3, words >> np.uint64(40)), (words >> np.uint64(44)) % _FORMATS, usual)
    shipping = shipping.astype(np.int64) | _slips(words >> np.uint64(28))
    ticked = (payments.shipping == payments.billing) & ~_one_in(4, words >> np.uint64(50))
    return billing, np.where(ticked, billing, shipping)


def _one_in(count: int, words: Words) -> Mask:
    chosen: Mask = words % np.uint64(count) == 0
    return chosen


def _slips(words: Words) -> Ints:
    """Return the hands' bits for a slip: one to 96 in one case of 25, else 0."""
    slip = np.where(_one_in(25, words), np.uint64(1) + (words >> np.uint64(5)) % np.uint64(96), np.uint64(0))
    return slip.astype(np.int64) << HAND_BITS
