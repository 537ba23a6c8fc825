"""The changes of rules and lists that are sent in a run, drawn from its seed: good ones, refused ones, some of them twice."""

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec

from tests.simulation.rulebook import COMPUTED, CONDITIONS, ENTITIES, OUTCOMES, WRONG
from tests.simulation.world import START_MS

HOUR_MS = 3_600_000
RULES, LISTS = ("a", "b", "c"), ("m", "n")
GARBAGE = (None, b"", b"{", b"[]", b"\xff", b'{"change": 3}')
KINDS = (
    "rule.put", "rule.put", "rule.put", "rule.put", "rule.mode", "rule.retire", "list.put", "list.add", "list.add",
    "list.remove", "snooze", "feature.put", "feature.put", "feature.retire", "rollback", "rule.putt",
)  # fmt: skip
_encode = msgspec.json.Encoder().encode


def draw_changes(rng: Random, keys: Sequence[tuple[str, str]]) -> list[bytes | None]:
    """Return records for the control topic, in order; `keys` are the (entity, key)s of the run's payments."""
    wanted = rng.choice((0, 1, 3, 6, 12))
    # Most of what is drawn needs something that is there.
    first = ("list.put", "rule.put", "list.add", "list.add") if wanted and rng.random() < 0.5 else ()
    sent: list[bytes | None] = [
        _encode({"change": kind, "id": f"first-{place}", "author": "ann"} | _body(rng, kind, keys, place))
        for place, kind in enumerate(first)
    ]
    for number in range(len(sent), len(sent) + wanted):
        sent.append(draw_change(rng, keys, sent, number, START_MS))
    return sent


def draw_change(
    rng: Random, keys: Sequence[tuple[str, str]], sent: Sequence[bytes | None], number: int, now_ms: int
) -> bytes | None:
    """Return one more record behind those that were `sent`: the change with this number, one of them again, or garbage."""
    if sent and rng.random() < 0.1:
        return rng.choice(sent)
    if rng.random() < 0.05:
        return rng.choice(GARBAGE)
    # Some ids come again with something else in them: they are duplicates all the same.
    kind = rng.choice(KINDS)
    again = rng.random() < 0.05
    change = {"change": kind, "id": f"change-{0 if again else number}", "author": "ann"}
    if rng.random() < 0.1:
        change["effective_at"] = now_ms + rng.choice((0, 100, 3_000))
    return _encode(change | _body(rng, change["change"], keys, number))


def _time(rng: Random) -> int:
    return START_MS - rng.randrange(30) * HOUR_MS // 2


def _body(rng: Random, kind: str, keys: Sequence[tuple[str, str]], number: int) -> dict[str, Any]:
    entity, key = rng.choice(keys)
    name, listed = rng.choice(RULES), rng.choice(LISTS)
    by = {"m": "customer", "n": "terminal"}[listed]
    of_list = [one for other, one in keys if other == by] or [key]
    match kind:
        case "rule.put":
            return {"rule": _rule(rng, name)}
        case "rule.mode":
            part = {"percent": rng.choice((5, 50, 99.5)), "by": rng.choice(("customer", "terminal"))}
            return {"rule": name, "mode": rng.choice(("live", "shadow", "paused"))} | (
                part if rng.random() < 0.4 else {}
            )
        case "rule.retire":
            return {"rule": name}
        case "list.put":
            declared = {"name": listed, "kind": rng.choice(("block", "allow", "watch")), "by": by}
            if rng.random() < 0.1:
                declared["by"] = rng.choice(ENTITIES)
            if declared["kind"] == "block" and rng.random() < 0.3:
                declared["immutable"] = True
            return declared | {"reason": f"list {number}"}
        case "list.add":
            return {"name": listed, "entries": [_entry(rng, rng.choice(of_list)) for _ in range(rng.randint(1, 3))]}
        case "list.remove":
            return {"name": listed, "keys": [rng.choice(of_list) for _ in range(rng.randint(1, 2))]}
        case "snooze":
            return {"rule": name, "by": entity, "key": key, "until": _time(rng)}
        case "feature.put":
            name = rng.choice(("twice", "twice", "busy"))
            return {"name": name, "text": rng.choice(_texts(rng, name))}
        case "feature.retire":
            return {"name": rng.choice(("twice", "busy"))}
        case "rollback":
            return {"to": rng.randint(0, number + 1)}
    return {}


def _texts(rng: Random, name: str) -> list[str]:
    if rng.random() < 0.1:
        return ["amuont", "nothing + 1"]
    return [text for text in COMPUTED if name not in COMPUTED[text].features]


def _rule(rng: Random, name: str) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": name,
        "when": rng.choice(WRONG if rng.random() < 0.1 else tuple(CONDITIONS)),
        "outcome": rng.choice(OUTCOMES),
        "mode": rng.choice(("live", "live", "live", "shadow", "paused")),
        "reason": rng.choice(("", "seen {customer_ever}")),
    }
    if rng.random() < 0.15:
        rule |= {"percent": rng.choice((10, 50, 90)), "by": rng.choice(("customer", "device"))}
    if rng.random() < 0.15:
        rule[rng.choice(("from", "until"))] = _time(rng)
    return rule


def _entry(rng: Random, key: str) -> dict[str, Any]:
    return {"key": key} | ({"until": _time(rng)} if rng.random() < 0.3 else {})
