"""Parses a postal address into its parts by a linear-chain conditional random field, trained beforehand."""

from functools import cache, lru_cache
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import pycrfsuite

from models.addresses.corpus import OTHER, PARTS, part_of
from models.addresses.features import core, features, tokens
from models.addresses.words import WRITTEN_OUT
from models.errors import ModelError

SHIPPED = Path(__file__).with_name("shipped") / "addresses.crfsuite"
REMEMBERED = 16_384
"""Parsed addresses in a process, about 1 KB each: the same address comes again and again."""


class Address(NamedTuple):
    """An address's parts, each as `normal` text, "" where there is none. `other` is all else: units, names, boxes."""

    number: str
    street: str
    city: str
    region: str
    postcode: str
    other: str


class Parser:
    """A trained model. Threads may share it."""

    def __init__(self, model: bytes) -> None:
        """Take the bytes that training wrote. Raises ModelError for others."""
        self._tagger = pycrfsuite.Tagger()
        self._lock = Lock()
        self._model = model  # CRFsuite reads them in place
        try:
            self._tagger.open_inmemory(model)
        except ValueError as error:
            msg = f"{len(model)} bytes are no model of addresses: {error}; train one, or install Mitra again"
            raise ModelError(msg) from error

    def kinds(self, address: list[str]) -> list[str]:
        """Return the kind of each token, in the words of the collection that it was learnt from."""
        rows = features(address)
        with self._lock:  # a tagger keeps the address that it looks at
            found: list[str] = self._tagger.tag(rows)
        return found

    def parse(self, text: str) -> Address:
        """Return an address's parts. What stands beyond the bounds of `features` is not read."""
        address = tokens(text)
        parts: dict[str, list[str]] = {name: [] for name in (*PARTS, OTHER)}
        if address:
            for token, kind in zip(address, self.kinds(address), strict=True):
                parts[part_of(kind)].append(normal(token))
        return Address(**{name: " ".join(filter(None, words)) for name, words in parts.items()})


@lru_cache(maxsize=20_000)
def normal(token: str) -> str:
    """Return a token as it is compared: letters and digits in lower case, common abbreviations written out."""
    kept = "".join(letter for letter in core(token).replace("'", "") if letter.isalnum() or letter in "-/")
    return WRITTEN_OUT.get(kept, kept)


@cache
def shipped_parser() -> Parser:
    """Return the parser that comes with Mitra, loaded once. Raises ModelError where its file is not to be read."""
    try:
        return Parser(SHIPPED.read_bytes())
    except OSError as error:
        msg = f"the model of addresses can't be read: {error}; install Mitra again"
        raise ModelError(msg) from error


@lru_cache(maxsize=REMEMBERED)
def parse(text: str) -> Address:
    """Return an address's parts by the shipped parser; the last REMEMBERED addresses are kept."""
    return shipped_parser().parse(text)
