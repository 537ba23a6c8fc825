"""The log of changes replayed naively: a full copy of everything for each revision, and rules known only by their texts."""

import json
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

ENTITIES = ("customer", "terminal")


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


def need(*, holds: bool) -> None:
    if not holds:
        raise ImpossibleError


def replay(log: list[bytes], reads: dict[str, tuple[str, ...] | None]) -> tuple[dict[int, World], set[int]]:
    """Return the world as of every revision, and the revisions that were accepted.

    `reads`: the features put at run time that each text reads, None for a text that is no expression.
    """
    worlds, accepted = {0: World()}, set[int]()
    seen: set[str] = set()
    waiting: dict[str, dict[str, Any]] = {}
    for number, data in enumerate(log):
        revision = number + 1
        world = worlds[number]
        worlds[revision] = world
        try:
            change = json.loads(data)
            known, id_ = change["change"], change["id"]
        except (ValueError, TypeError, KeyError):
            continue
        if known == "take_effect":
            change = waiting.pop(change["of"], None)
            if change is None:
                continue
        elif id_ in seen:
            continue
        seen.add(change["id"])
        scheduled = known != "take_effect" and "effective_at" in change
        try:
            if change["change"] != "rollback":
                after = _apply(deepcopy(world), change, reads)
            elif not scheduled:
                need(holds=change["to"] < max(accepted, default=0))
                after = replace(deepcopy(worlds[change["to"]]), versions=world.versions)
        except ImpossibleError:
            continue
        if scheduled:
            waiting[change["id"]] = change
            continue
        worlds[revision] = after
        accepted.add(revision)
    return worlds, accepted


def _apply(world: World, change: dict[str, Any], reads: dict[str, tuple[str, ...] | None]) -> World:
    match change:
        case {"change": "rule.put", "rule": rule}:
            need(holds=_fits(rule["when"], world, reads))
            rule = {"mode": "live", **rule}
            old = world.rules.get(rule["id"])
            if old is not None and old == {**rule, "version": old["version"]}:
                return world
            version = world.versions.get(rule["id"], 0) + 1
            world.versions[rule["id"]] = version
            world.rules[rule["id"]] = {**rule, "version": version}
        case {"change": "rule.mode", "rule": name, "mode": mode}:
            need(holds=name in world.rules)
            world.rules[name]["mode"] = mode
        case {"change": "rule.retire", "rule": name}:
            need(holds=name in world.rules)
            del world.rules[name]
        case {"change": "feature.put", "name": name, "text": text}:
            need(holds=_fits(text, world, reads))
            world.features[name] = text
        case {"change": "feature.retire", "name": name}:
            need(holds=name in world.features)
            texts = [*world.features.values(), *(rule["when"] for rule in world.rules.values())]
            need(holds=all(name not in (reads[text] or ()) for text in texts))
            del world.features[name]
        case {"change": "list.put", "name": name, "kind": kind, "by": by}:
            need(holds=by in ENTITIES and world.lists.get(name, {"by": by})["by"] == by)
            world.lists[name] = {"kind": kind, "by": by}
        case {"change": "list.add", "name": name, "entries": entries}:
            need(holds=name in world.lists)
            for entry in entries:
                world.entries[f"list:{name}", world.lists[name]["by"], entry["key"]] = entry.get("until")
        case {"change": "list.remove", "name": name, "keys": keys}:
            need(holds=name in world.lists)
            for key in keys:
                world.entries.pop((f"list:{name}", world.lists[name]["by"], key), None)
        case {"change": "snooze", "rule": name, "by": by, "key": key, "until": until}:
            need(holds=name in world.rules and by in ENTITIES)
            world.entries[f"snooze:{name}", by, key] = until
        case _:
            raise ImpossibleError
    return world


def _fits(text: str, world: World, reads: dict[str, tuple[str, ...] | None]) -> bool:
    needed = reads[text]
    return needed is not None and all(name in world.features for name in needed)
