"""What the parser sees of a token: itself, its neighbours, its place. Letter case says nothing.

A token is what stands between white space and behind a comma or semicolon, with those at its end. `tokens` and
`features` belong to a trained model: a change of either asks for training anew.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from models.addresses.cities import mark_cities
from models.addresses.words import CLASSES

MOST_CHARACTERS, MOST_TOKENS = 300, 50
"""What is read of an address. The longest known has 155 characters and 34 tokens; time must have a bound."""

_TOKEN = re.compile(r"[^\s,;]+[,;]*")
_DIGITS, _LETTERS = re.compile(r"\d+"), re.compile(r"[^\W\d_]+")
_AROUND = '.,;:()"!'
_STREET, _STATES, _POSTCODES = "T", {"S", "N"}, {"d5", "d6"}
_PLACES, _FROM_END, _PARTS, _PARTS_LEFT = (
    [f"{name}={number}" for number in range(5)] for name in ("i", "r", "g", "rg")
)
"""Made beforehand, as little time as there is for an address."""


class Word(NamedTuple):
    """A token's word by itself: its core, shape, classes, and the features it lends to its neighbours and itself."""

    core: str
    plain: str
    shape: str
    classes: str
    kind: str
    own: tuple[str, ...]
    one_before: tuple[str, ...]
    two_before: tuple[str, ...]
    one_behind: tuple[str, ...]
    two_behind: tuple[str, ...]


def tokens(text: str) -> list[str]:
    """Return an address's tokens, at most MOST_TOKENS of its first MOST_CHARACTERS."""
    return _TOKEN.findall(text[:MOST_CHARACTERS])[:MOST_TOKENS]


def core(token: str) -> str:
    """Return a token's word in lower case, without what stands around it."""
    lower = token.lower()
    return lower.strip(_AROUND) or lower


@lru_cache(maxsize=20_000)
def word_of(token: str) -> Word:
    """Return what a token says wherever it stands."""
    text = core(token)
    shape = _shape(text)
    plain = text.replace(".", "")
    classes = "".join(letter for letter, words in CLASSES.items() if plain in words)
    own = [f"w={text}", f"s={shape}", f"k={classes}", f"p={text[:3]}", f"e={text[-3:]}"]
    own += [f"K{letter}" for letter in classes]
    if token.rstrip(",;").endswith("."):
        own.append("dot")
    near = (text, shape, classes)
    return Word(
        text, plain, shape, classes, classes or shape, tuple(own),
        tuple(f"{name}={value}" for name, value in zip(("-w", "-s", "-k"), near, strict=True)),
        (f"--s={shape}", f"--k={classes}"),
        tuple(f"{name}={value}" for name, value in zip(("+w", "+s", "+k"), near, strict=True)),
        (f"++s={shape}", f"++k={classes}"),
    )  # fmt: skip


def _shape(text: str) -> str:
    if text.isdigit():
        return f"d{min(len(text), 7)}"
    if text.isalpha():
        return "a" if len(text) > 2 else f"a{len(text)}"
    return _LETTERS.sub("a", _DIGITS.sub("9", text))[:8]


def features(address: Sequence[str]) -> list[list[str]]:
    """Return the features of each token of an address."""
    words = [word_of(token) for token in address]
    commas = [token[-1] in ",;" for token in address]
    count = len(words)
    kinds = ["^", *[word.kind for word in words], "$"]
    streets = [place for place, word in enumerate(words) if _STREET in word.classes]
    first_street, last_street = (streets[0], streets[-1]) if streets else (count, -1)
    last_state = max((place for place, word in enumerate(words) if _STATES & set(word.classes)), default=-1)
    last_code = max((place for place, word in enumerate(words) if word.shape in _POSTCODES), default=-1)
    # Where what comes behind a city begins: the state, or else the postcode, if it stands in the latter half.
    end = last_state if last_state >= count // 2 else last_code if last_code >= count // 2 else count
    cities = ["0", *mark_cities([word.plain for word in words], commas), "0"]
    first_number = next((place for place, word in enumerate(words) if word.core[:1].isdigit()), count)
    part, parts = 0, sum(commas[:-1])
    found = []
    for place, word in enumerate(words):
        before, kind, behind = kinds[place : place + 3]
        city_before, city, city_behind = cities[place : place + 3]
        left = "x" if end == count else str(min(max(end - place, -2), 4))
        in_street = place > first_street
        row = [
            *word.own,
            "c" if commas[place] else "nc",
            _PLACES[min(place, 3)],
            _FROM_END[min(count - 1 - place, 4)],
            _PARTS[min(part, 4)],
            _PARTS_LEFT[min(parts - part, 3)],
            f"kk={before}|{kind}",
            f"kn={kind}|{behind}",
            f"kkk={before}|{kind}|{behind}",
            f"pk={min(place, 3)}|{kind}",
            f"rk={min(count - 1 - place, 4)}|{kind}",
            f"dE={left}",
            f"dEk={left}|{kind}",
            f"C{city}",
            f"-C{city_before}",
            f"+C{city_behind}",
            f"CTS={city}|{in_street}|{left if 0 < end - place < 4 else '-'}",
            f"kC={kind}|{city_behind}",
            "T1" if in_street else "T0",
            "+T1" if place < last_street else "+T0",
            "N1" if place > first_number else "N0",
            "+S1" if place < last_state else "+S0",
            "+Z1" if place < last_code else "+Z0",
        ]
        if place == 0 or commas[place - 1]:
            row.append("open")
        if place:
            row += words[place - 1].one_before
        if place > 1:
            row += words[place - 2].two_before
        if place + 1 < count:
            row += words[place + 1].one_behind
        if place + 2 < count:
            row += words[place + 2].two_behind
        found.append(row)
        part += commas[place]
    return found
