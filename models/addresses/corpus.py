"""Addresses tagged token by token, as two published collections have them, and the parts their tags stand for.

A collection's own kinds of token are learnt, for they tell more apart than five parts do, and are read as parts.
"""

import random
import xml.etree.ElementTree as ET  # what it reads is chosen by who trains
from dataclasses import dataclass
from pathlib import Path

import msgspec

from models.errors import TrainingError

PARTS = ("number", "street", "city", "region", "postcode")
OTHER = "other"
US_FILE, DELHI_FILE = "usaddress_labeled.xml", "indian_train.jsonl"

_PART_OF = {
    "AddressNumber": "number",
    "PlaceName": "city",
    "StateName": "region",
    "ZipCode": "postcode",
    "HOUSE_NUMBER": "number",
    "PLOT": "number",
    "GALI": "street",  # a lane
    "CITY": "city",
    "STATE": "region",
    "PINCODE": "postcode",
}
_LIKE = {
    "AddressNumberPrefix": "AddressNumber",
    "AddressNumberSuffix": "AddressNumber",
    "StreetNamePreModifier": "StreetName",
    "StreetNamePostModifier": "StreetName",
    "LandmarkName": "BuildingName",
    "IntersectionSeparator": "NotAddress",
    "CornerOf": "NotAddress",
    "USPSBoxGroupType": "SubaddressType",
    "USPSBoxGroupID": "SubaddressIdentifier",
}
"""US tags of some dozen tokens, and the commoner tag each is learnt as."""


def learnt(tag: str) -> str:
    """Return the kind that a collection's tag is learnt as; where an entity begins is told by commas."""
    return _LIKE.get(tag, tag.removeprefix("B-").removeprefix("I-"))


def part_of(tag: str) -> str:
    """Return the part that a collection's tag, or a kind learnt from it, stands for."""
    kind = learnt(tag)
    return "street" if kind.startswith("StreetName") else _PART_OF.get(kind, OTHER)


@dataclass(frozen=True)
class Tagged:
    """An address's tokens and their tags. Those of one `group` are variants of each other."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    group: str


class _Line(msgspec.Struct):
    id: str | int
    tokens: list[str]
    ner_tags: list[str]


_decode = msgspec.json.Decoder(_Line).decode


def read_us(folder: Path) -> list[Tagged]:
    """Return the US addresses; those of the same words, whatever their case, are a group."""
    try:
        root = ET.parse(folder / US_FILE).getroot()  # noqa: S314 - see the import
    except (OSError, ET.ParseError) as error:
        msg = f"{folder / US_FILE} can't be read: {error}"
        raise TrainingError(msg) from error
    found = []
    for address in root:
        tokens = tuple((token.text or "").strip() for token in address)
        found.append(Tagged(tokens, tuple(token.tag for token in address), " ".join(tokens).lower()))
    return found


def read_delhi(folder: Path) -> list[Tagged]:
    """Return the Delhi addresses, each once, a comma with the token before it.

    The file has variants that were made of an address, under its id and a suffix: they are its group.
    """
    try:
        lines = [_decode(line) for line in (folder / DELHI_FILE).read_bytes().splitlines()]
    except (OSError, msgspec.DecodeError) as error:
        msg = f"{folder / DELHI_FILE} can't be read: {error}"
        raise TrainingError(msg) from error
    found: dict[tuple[str, ...], Tagged] = {}
    for line in lines:
        tokens: list[str] = []
        tags: list[str] = []
        for token, tag in zip(line.tokens, line.ner_tags, strict=True):
            if token not in {",", ";"}:
                tokens.append(token)
                tags.append(tag)
            elif tokens:
                tokens[-1] += token
        words = tuple(token.lower() for token in tokens)
        found.setdefault(words, Tagged(tuple(tokens), tuple(tags), str(line.id).partition("_")[0]))
    return list(found.values())


def fold(addresses: list[Tagged], seed: int, folds: int, number: int) -> tuple[list[Tagged], list[Tagged]]:
    """Return all but one fold, and that fold; a group is wholly in one. The same seed gives the same folds."""
    groups = sorted({address.group for address in addresses})
    random.Random(seed).shuffle(groups)
    held_out = set(groups[number::folds])
    return (
        [address for address in addresses if address.group not in held_out],
        [address for address in addresses if address.group in held_out],
    )


def split(addresses: list[Tagged], seed: int, test_share: float) -> tuple[list[Tagged], list[Tagged]]:
    """Return training and test addresses, a group wholly on one side. The same seed gives the same split."""
    groups = sorted({address.group for address in addresses})
    random.Random(seed).shuffle(groups)
    tested = set(groups[: round(len(groups) * test_share)])
    return (
        [address for address in addresses if address.group not in tested],
        [address for address in addresses if address.group in tested],
    )
