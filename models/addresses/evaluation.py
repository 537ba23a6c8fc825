"""How well a parser finds parts: by token, and by whole entity."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from models.addresses.corpus import OTHER, PARTS, Tagged, part_of
from models.addresses.features import word_of
from models.addresses.parser import Parser

Span = tuple[str, int, int]


@dataclass(frozen=True)
class ByToken:
    """Of some addresses: the share of tokens and of whole addresses that are right, and F1 for each part."""

    addresses: int
    tokens: int
    accuracy: float
    whole: float
    f1: dict[str, float]


def by_token(parser: Parser, addresses: Sequence[Tagged]) -> ByToken:
    """Compare the parts of tokens, all that is none of the five counted as one more."""
    right: Counter[str] = Counter()
    said: Counter[str] = Counter()
    true: Counter[str] = Counter()
    whole = 0
    for address in addresses:
        found = [part_of(kind) for kind in parser.kinds(list(address.tokens))]
        wanted = [part_of(tag) for tag in address.tags]
        said.update(found)
        true.update(wanted)
        right.update(one for one, other in zip(found, wanted, strict=True) if one == other)
        whole += found == wanted
    f1 = {part: _f1(right[part], said[part], true[part]) for part in (*PARTS, OTHER)}
    return ByToken(len(addresses), true.total(), right.total() / true.total(), whole / len(addresses), f1)


def by_entity(parser: Parser, addresses: Sequence[Tagged]) -> dict[str, float]:
    """Return F1 of the entities of each kind, and of `all`; kind, begin and end must be right, as BIO tags say them."""
    right: Counter[str] = Counter()
    said: Counter[str] = Counter()
    true: Counter[str] = Counter()
    for address in addresses:
        found = entities(begun(parser.kinds(list(address.tokens)), address.tokens))
        wanted = entities(address.tags)
        said.update(kind for kind, _, _ in found)
        true.update(kind for kind, _, _ in wanted)
        right.update(kind for kind, _, _ in found & wanted)
    f1 = {kind: _f1(right[kind], said[kind], true[kind]) for kind in sorted(true)}
    return {"all": _f1(right.total(), said.total(), true.total()), **f1}


def begun(kinds: Sequence[str], tokens: Sequence[str]) -> list[str]:
    """Return BIO tags: an entity begins where the kind changes or the token before ends with a comma."""
    tags = []
    for place, kind in enumerate(kinds):
        continues = place and kinds[place - 1] == kind and tokens[place - 1][-1] not in ",;"
        tags.append(kind if kind == "O" else f"{'I' if continues else 'B'}-{kind}")
    return tags


def entities(tags: Sequence[str]) -> set[Span]:
    """Return kind, first token and end of each entity; an I- that continues nothing begins one."""
    spans: list[Span] = []
    kind = ""
    for place, tag in enumerate(tags):
        mark, _, name = tag.partition("-")
        if mark == "I" and name == kind:
            spans[-1] = (kind, spans[-1][1], place + 1)
            continue
        kind = name
        if kind:
            spans.append((kind, place, place + 1))
    return set(spans)


def ms_an_address(parser: Parser, addresses: Sequence[Tagged], repeats: int = 5) -> tuple[float, float]:
    """Return the median and the 99th percentile of a parse's CPU time in ms, nothing remembered of earlier addresses."""
    took = []
    texts = [" ".join(address.tokens) for address in addresses]
    for _ in range(repeats):
        word_of.cache_clear()
        for text in texts:
            begun = time.thread_time()
            parser.parse(text)
            took.append((time.thread_time() - begun) * 1e3)
    took.sort()
    return took[len(took) // 2], took[len(took) * 99 // 100]


def _f1(right: int, said: int, true: int) -> float:
    return 2 * right / (said + true) if said + true else 0.0
