"""The log of changes replayed naively: a full copy of everything live for each record, and conditions known only by their texts."""

import json
from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

Reads = Mapping[str, Collection[str]]
"""By text: the features put at run time that it reads. What isn't there is no expression."""


class ImpossibleError(Exception):
    """The change can't be made."""


@dataclass
class World:
    """Everything live at one revision. `rules` are mappings with their version; `entries` (list or snooze, by, key) → until."""

    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    features: dict[str, str] = field(default_factory=dict)
    lists: dict[str, dict[str, Any]] = field(default_factory=dict)
    entries: dict[tuple[str, str, str], int | None] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)


W = TypeVar("W", bound=World)


def _need(*, holds: bool) -> None:
    if not holds:
        raise ImpossibleError


class Log(Generic[W]):
    """The log as far as it was read. `lives[r]` is live as of revision r, `accepted` are the revisions that changed anything.

    `answers` is what govern says of a change, by its id: status and revision. `scheduled` are the changes that are due to come.
    """

    def __init__(self, first: W, conditions: Reads, computed: Reads, entities: Collection[str]) -> None:
        """Begin with nothing live. `conditions` are what rules may ask, `computed` what features put at run time may be."""
        self.lives = [first]
        self.accepted: list[int] = []
        self.answers: dict[str, tuple[str, int]] = {}
        self.said: set[tuple[str, str, int]] = set()
        """All (id, status, revision) that govern says."""
        self.scheduled: dict[str, dict[str, Any]] = {}
        self._conditions, self._computed, self._entities = conditions, computed, entities

    def last(self, revision: int) -> int:
        """Return the last accepted revision up to one."""
        return max((one for one in self.accepted if one <= revision), default=0)

    def read(self, data: bytes | None) -> None:
        """Take the next record of the log."""
        revision = len(self.lives)
        self.lives.append(self.lives[-1])
        try:
            change = json.loads(data or b"")
            kind, id_ = change["change"], change["id"]
        except (ValueError, TypeError, KeyError):
            self.said.add(("", "refused", revision))
            return
        if kind == "take_effect":
            change = self.scheduled.pop(change["of"], None)
            if change is None:
                self.said.add(("", "refused", revision))
                return
            id_ = change["id"]
        elif id_ in self.answers:
            self.said.add((id_, *self.answers[id_]))
            return
        status = self._take(change, revision, scheduled=kind != "take_effect" and "effective_at" in change)
        self.answers[id_] = (status, revision)
        self.said.add((id_, status, revision))

    def _take(self, change: dict[str, Any], revision: int, *, scheduled: bool) -> str:
        before = self.lives[-1]
        try:
            if change["change"] != "rollback":
                after = deepcopy(before)
                self._change(after, change)
            elif not scheduled:
                _need(holds=change["to"] < self.last(revision))
                after = replace(self.lives[change["to"]], versions=before.versions)
        except ImpossibleError:
            return "refused"
        if scheduled:
            self.scheduled[change["id"]] = change
            return "scheduled"
        self.lives[revision] = after
        self.accepted.append(revision)
        return "prepared"

    def _change(self, live: World, change: dict[str, Any]) -> None:
        match change:
            case {"change": "rule.put", "rule": given}:
                _need(holds=_fits(given["when"], self._conditions, live))
                rule = {"mode": "live", "reason": "", **given}
                name, old = rule["id"], live.rules.get(rule["id"])
                if old is None or {key: value for key, value in old.items() if key != "version"} != rule:
                    live.versions[name] = live.versions.get(name, 0) + 1
                    live.rules[name] = {**rule, "version": live.versions[name]}
            case {"change": "rule.mode", "rule": name, "mode": mode}:
                _need(holds=name in live.rules)
                rule = live.rules[name]
                rule["mode"] = mode
                by = change.get("by") or rule.get("by")
                for key in ("percent", "by"):
                    rule.pop(key, None)
                if "percent" in change:
                    rule["percent"] = change["percent"]
                    rule.update({} if by is None else {"by": by})
            case {"change": "rule.retire", "rule": name}:
                _need(holds=name in live.rules)
                del live.rules[name]
            case {"change": "feature.put", "name": name, "text": text}:
                _need(holds=_fits(text, self._computed, live))
                live.features[name] = text
            case {"change": "feature.retire", "name": name}:
                _need(holds=name in live.features)
                used = [one for text in live.features.values() for one in self._computed[text]]
                used += [one for rule in live.rules.values() for one in self._conditions[rule["when"]]]
                _need(holds=name not in used)
                del live.features[name]
            case {"change": "list.put", "name": name, "by": by}:
                _need(holds=by in self._entities and live.lists.get(name, {"by": by})["by"] == by)
                live.lists[name] = change
            case {"change": "list.add", "name": name, "entries": entries}:
                _need(holds=name in live.lists)
                for entry in entries:
                    live.entries[f"list:{name}", live.lists[name]["by"], entry["key"]] = entry.get("until")
            case {"change": "list.remove", "name": name, "keys": keys}:
                _need(holds=name in live.lists)
                for key in keys:
                    live.entries.pop((f"list:{name}", live.lists[name]["by"], key), None)
            case {"change": "snooze", "rule": name, "by": by, "key": key, "until": until}:
                _need(holds=name in live.rules and by in self._entities)
                live.entries[f"snooze:{name}", by, key] = until
            case _:
                raise ImpossibleError


def _fits(text: str, known: Reads, live: World) -> bool:
    return text in known and all(name in live.features for name in known[text])
