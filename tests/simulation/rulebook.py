"""What one revision of the log of changes alone says of a payment, by what rules and features ask. Imports nothing of Mitra."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import xxhash

from tests.oracles.control import Log, World
from tests.simulation.facts import Event
from tests.simulation.oracle import HOUR_MS, Past

ENTITIES = ("customer", "terminal", "device", "pair")
OUTCOMES = ("allow", "review", "block")


class Case(NamedTuple):
    """A payment, the pasts that the histories answered from (None in a conflict), and its features under the revision."""

    event: Event
    pasts: Mapping[str, Past | None]
    features: Mapping[str, Any]

    def over(self, entity: str, hours: int, of: Callable[[Past, int], float | None]) -> float | None:
        past = self.pasts.get(entity)
        return None if past is None else of(past, hours * HOUR_MS)


Signals = Callable[[Case], dict[str, Any]]


class Condition(NamedTuple):
    """What a rule asks: the signals it reads by name, and what it makes of them, None where one is missing."""

    signals: Signals
    asks: Callable[..., bool | None]
    features: tuple[str, ...] = ()
    """Those put at run time that must be there."""


def _count(past: Past, over_ms: int) -> float:
    return len(past.window(over_ms))


def _amounts(past: Past, over_ms: int) -> list[float]:
    return [row.event.amount for row in past.window(over_ms) if row.event.amount is not None]


def _frauds(past: Past, over_ms: int) -> float:
    labels = [past.labels[row.arrival] for row in past.window(over_ms)]
    return sum(label for label in labels if label is not None)


def _field(name: str) -> Signals:
    return lambda case: {name: getattr(case.event, name)}


def _feature(*names: str) -> Signals:
    return lambda case: {name: case.features[name] for name in names}


def _window(text: str, entity: str, hours: int, of: Callable[[Past, int], float | None]) -> Signals:
    return lambda case: {text: case.over(entity, hours, of)}


CONDITIONS: dict[str, Condition] = {
    "amount > 60": Condition(_field("amount"), lambda amount: amount > 60),
    'country == "DE"': Condition(_field("country"), lambda country: country == "DE"),
    'count(by=customer, over="3h") >= 2': Condition(
        _window("count(by=customer, over=3h)", "customer", 3, _count), lambda count: count >= 2
    ),
    'sum(amount, by=terminal, over="12h") > 80': Condition(
        _window("sum(amount, by=terminal, over=12h)", "terminal", 12, lambda past, over: sum(_amounts(past, over))),
        lambda total: total > 80,
    ),
    'count(by=device, over="5h", where=amount > 20) >= 1': Condition(
        _window(
            "count(by=device, over=5h, where=amount > 20)",
            "device",
            5,
            lambda past, over: sum(amount > 20 for amount in _amounts(past, over)),
        ),
        lambda count: count >= 1,
    ),
    'max(amount, by=device, over="1d") > 50': Condition(
        _window(
            "max(amount, by=device, over=1d)", "device", 24, lambda past, over: max(_amounts(past, over), default=None)
        ),
        lambda most: most > 50,
    ),
    'count(by=pair, over="36h") > 1': Condition(
        _window("count(by=pair, over=36h)", "pair", 36, _count), lambda count: count > 1
    ),
    'sum(fraud, by=customer, over="2d") >= 1': Condition(
        _window("sum(fraud, by=customer, over=2d)", "customer", 48, _frauds), lambda count: count >= 1
    ),
    "customer_sum_1d > 100": Condition(_feature("customer_sum_1d"), lambda total: total > 100),
    "not moved": Condition(_feature("moved"), lambda moved: not moved),
    "twice > 100": Condition(_feature("twice"), lambda twice: twice > 100, ("twice",)),
    "busy >= 2": Condition(_feature("busy"), lambda busy: busy >= 2, ("busy",)),
}
"""What rules ask, by text."""

WRONG = ("amount >", "amuont > 3", "amount * 2", "nothing_such > 1")
"""Texts that no rule may have."""


class Computed(NamedTuple):
    """A feature put at run time: its value, and the features put at run time that it reads."""

    value: Callable[[Case], Any]
    features: tuple[str, ...] = ()


COMPUTED: dict[str, Computed] = {
    "amount * 2": Computed(lambda case: case.event.amount * 2),
    "amount * 3": Computed(lambda case: case.event.amount * 3),
    'count(by=terminal, over="30h")': Computed(lambda case: case.over("terminal", 30, _count)),
    'count(by=customer, over="30h")': Computed(lambda case: case.over("customer", 30, _count)),
    "twice + 1": Computed(
        lambda case: None if case.features["twice"] is None else case.features["twice"] + 1, ("twice",)
    ),
}
"""What features put at run time are, by text."""


class Live(World):
    """Everything live at one revision, and what it says of a payment."""

    def computed(self, case: Case) -> dict[str, Any]:
        """Return the features put at run time of a payment."""
        values = dict(case.features)
        left = dict(self.features)
        while left:
            for name, text in list(left.items()):
                one = COMPUTED[text]
                if all(other in values for other in one.features):
                    values[name] = one.value(case._replace(features=values))
                    del left[name]
        return {name: values[name] for name in self.features}

    def judge(self, case: Case, model: str) -> dict[str, Any]:
        """Return what a decision must say under this revision, given the model's outcome."""
        event, keys = case.event, case.event.keys()
        marks = {
            name
            for (name, entity, key), until in self.entries.items()
            if keys.get(entity) == key and (until is None or event.time_ms < until)
        }
        hits = [one for name, one in sorted(self.lists.items()) if f"list:{name}" in marks]
        fired = [
            {"id": f"list:{one['name']}", "version": 0, "outcome": _asked(one), "reason": one.get("reason", "")}
            for one in hits
        ]
        shadow, lacking = [], {}
        for name, rule in sorted(self.rules.items()):
            if not self._applies(rule, event.time_ms, keys) or f"snooze:{name}" in marks:
                continue
            condition = CONDITIONS[rule["when"]]
            signals = condition.signals(case)
            missing = [signal for signal, value in signals.items() if value is None]
            if missing:
                lacking[name] = missing
            elif condition.asks(*signals.values()):
                ever = case.features["customer_ever"]
                reason = rule["reason"].replace("{customer_ever}", "missing" if ever is None else str(ever))
                said = {"id": name, "version": rule["version"], "outcome": rule["outcome"], "reason": reason}
                (shadow if rule["mode"] == "shadow" else fired).append(said)
        return {
            "outcome": _outcome(hits, [one["outcome"] for one in fired], model),
            "rules": fired,
            "shadow": shadow,
            "not_evaluated": lacking,
        }

    @staticmethod
    def _applies(rule: Mapping[str, Any], time_ms: int, keys: Mapping[str, str]) -> bool:
        if rule["mode"] == "paused":
            return False
        if not rule.get("from", time_ms) <= time_ms < rule.get("until", time_ms + 1):
            return False
        if rule.get("percent") is None:
            return True
        key = keys.get(rule.get("by") or "customer")
        slot = None if key is None else xxhash.xxh3_64_intdigest(f"{rule['id']}\0{key}".encode()) % 10_000
        return slot is not None and slot < rule["percent"] * 100


def _asked(declared: Mapping[str, Any]) -> str:
    return {"block": "block", "allow": "allow", "watch": "review"}[declared["kind"]]


def _outcome(hits: Sequence[Mapping[str, Any]], asked: Sequence[str], model: str) -> str:
    if any(one.get("immutable") for one in hits):
        return "block"
    if any(one["kind"] == "allow" for one in hits):
        return "allow"
    if not asked:
        return model
    if all(outcome == "allow" for outcome in asked):
        return "allow"
    return max((*asked, model), key=OUTCOMES.index)


class Rulebook(Log[Live]):
    """The log of the changes that are sent here."""

    def __init__(self) -> None:
        super().__init__(
            Live(),
            {text: one.features for text, one in CONDITIONS.items()},
            {text: one.features for text, one in COMPUTED.items()},
            ENTITIES,
        )
