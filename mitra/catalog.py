"""What a pipeline has to offer who writes rules: events and their fields, entities, features, and what is live upon them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitra.blueprint import Blueprint
from mitra.graph.features import FEATURES
from mitra.graph.settings import GraphSettings
from mitra.pipeline import Pipeline
from mitra.revision import Revision
from mitra.schema import Entity, EventType
from rules import Expression, ListDeclaration, Rule, condition_text
from rules.durations import duration_text
from rules.plan import Aggregate
from rules.rule_check import compile_rules

if TYPE_CHECKING:
    from control_stream import LiveSet
    from models.model import Model


@dataclass(frozen=True, slots=True)
class Asked:
    """An aggregate behind a feature: of which entity's events, how far back."""

    aggregate: str
    entity: str
    window: str


@dataclass(frozen=True, slots=True)
class FeatureEntry:
    """A feature. `asks` and `fields` are what is behind it, through other features too; `rules` those that read it, likewise.

    `importance` is its share in what the model's trees gain, None where the model doesn't read it.
    """

    name: str
    text: str
    type: str
    put_live: bool
    fields: tuple[str, ...]
    asks: tuple[Asked, ...]
    importance: float | None
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListEntry:
    """A list that is live, and how many entries it has."""

    declaration: ListDeclaration
    entries: int


@dataclass(frozen=True, slots=True)
class Live:
    """What is live under a revision: the lists with the number of their entries, and the rules."""

    revision: int
    lists: tuple[ListEntry, ...]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Catalog:
    """All of it. `model` is its name@version; `live` is None where the control topic wasn't read."""

    pipeline: str
    zone: str
    events: tuple[EventType, ...]
    entities: tuple[Entity, ...]
    label: str | None
    features: tuple[FeatureEntry, ...]
    model: str | None
    live: Live | None
    graph: GraphSettings | None = None


def make_catalog(
    pipeline: Pipeline,
    live: "LiveSet | None" = None,
    revision: int = 0,
    entries: Mapping[str, int] | None = None,
    model: Path | None = None,
) -> Catalog:
    """Return the catalogue. `entries` are how many entries each list has, by name.

    Raises MitraError for a model that can't be loaded.
    """
    blueprint = Blueprint.of(pipeline, model)
    compiled = Revision(blueprint, revision, live).compiled
    loaded = blueprint.load_model()
    importance = {} if loaded is None else importances(loaded)
    rules = () if live is None else tuple(live.rules.values())
    read = _read_by(rules, compiled.expressions, blueprint)
    features = tuple(
        FeatureEntry(
            name=name,
            text=" ".join(compiled.texts[name].split()),
            type=compiled.types[name],
            put_live=name not in pipeline.features,
            fields=_fields(name, compiled.expressions),
            asks=tuple(asked(compiled.aggregates[place]) for place in compiled.uses[name]),
            importance=importance.get(name),
            rules=tuple(read.get(name, ())),
        )
        for name in compiled.texts
    )
    lists = (
        () if live is None else tuple(ListEntry(one, (entries or {}).get(name, 0)) for name, one in live.lists.items())
    )
    return Catalog(
        pipeline=pipeline.name,
        zone=pipeline.zone,
        events=pipeline.events,
        entities=pipeline.entities,
        label=None if pipeline.labels is None else pipeline.labels.name,
        features=features,
        model=None if loaded is None else loaded.reference,
        live=None if live is None else Live(revision, lists, rules),
        graph=pipeline.graph,
    )


def importances(model: "Model") -> dict[str, float]:
    """Return each feature's share in what the model's splits gain; 0 for one that no tree asks."""
    gains = model.gains()
    total = sum(gains.values())
    return {name: gain / total if total else 0.0 for name, gain in gains.items()}


def asked(aggregate: Aggregate) -> Asked:
    """Return an aggregate with its window in words."""
    window = aggregate.window
    match window.kind:
        case "over":
            text = duration_text(window.size)
        case "last":
            text = f"last {window.size}"
        case "session":
            text = f"session, gaps up to {duration_text(window.size)}"
        case _:
            text = "the event before" if aggregate.function in {"previous", "seconds_since"} else "ever"
    if aggregate.delay_ms:
        text += f", {duration_text(aggregate.delay_ms)} ago"
    return Asked(aggregate.key, aggregate.entity, text)


def _fields(name: str, expressions: Mapping[str, Expression]) -> tuple[str, ...]:
    """Return the event's own fields that a feature reads."""
    one = expressions[name]
    behind = [field for other in one.features for field in _fields(other, expressions)]
    return tuple(dict.fromkeys([*one.fields, *behind]))


def _read_by(
    rules: tuple[Rule, ...], expressions: Mapping[str, Expression], blueprint: Blueprint
) -> dict[str, dict[str, None]]:
    """Return the ids of the rules that read each feature."""
    read: dict[str, dict[str, None]] = {}
    texts = {name: one.text for name, one in expressions.items()}
    for rule, code in compile_rules(rules, texts, blueprint.schema):
        waiting = [name for one in code.expressions for name in one.features]
        while waiting:
            name = waiting.pop()
            read.setdefault(name, {})[rule.id] = None
            waiting += expressions[name].features
    return read


def document(catalog: Catalog) -> dict[str, Any]:
    """Return the catalogue as one JSON document."""
    live = catalog.live
    return {
        "pipeline": catalog.pipeline,
        "zone": catalog.zone,
        "events": [
            {
                "name": one.name,
                "topic": one.topic,
                "decided": one.decided,
                "id": one.id,
                "time": one.time,
                "fields": [{"name": f.name, "type": _type(one, f.name), "required": f.required} for f in one.fields],
            }
            for one in catalog.events
        ],
        "entities": [{"name": one.name, "fields": list(one.fields)} for one in catalog.entities],
        "label": catalog.label,
        "graph": None if catalog.graph is None else _graph(catalog.graph),
        "model": catalog.model,
        "features": [
            {
                "name": one.name,
                "text": one.text,
                "type": one.type,
                "put_live": one.put_live,
                "fields": list(one.fields),
                "asks": [{"aggregate": a.aggregate, "entity": a.entity, "window": a.window} for a in one.asks],
                "importance": one.importance,
                "rules": list(one.rules),
            }
            for one in catalog.features
        ],
        "live": None
        if live is None
        else {
            "revision": live.revision,
            "lists": [
                {"name": one.declaration.name, "kind": one.declaration.kind, "by": one.declaration.by,
                 "immutable": one.declaration.immutable, "reason": one.declaration.reason, "entries": one.entries}
                for one in live.lists
            ],
            "rules": [
                {"id": one.id, "version": one.version, "mode": one.mode, "outcome": one.outcome,
                 "when": condition_text(one)}
                for one in live.rules
            ],
        },
    }  # fmt: skip


def _graph(graph: GraphSettings) -> dict[str, Any]:
    return {
        "nodes": [{"name": one.name, "field": one.field, "type": one.type} for one in graph.nodes],
        "links": [list(link) for link in graph.links],
        "windows": [duration_text(window) for window in graph.windows_ms],
        "features": [
            {"name": one.name, "type": one.type, "windowed": one.windowed, "option": one.option, "says": one.says}
            for one in FEATURES.values()
        ],
    }


def _type(event: EventType, name: str) -> str:
    return "time" if name == event.time else event.by_name[name].type
