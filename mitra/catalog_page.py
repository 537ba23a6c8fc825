"""The catalogue of a pipeline as a page of Markdown."""

from collections.abc import Iterable, Sequence

from mitra.catalog import Catalog, FeatureEntry
from mitra.graph.features import FEATURES
from mitra.graph.settings import GraphSettings
from mitra.schema import EventType
from rules import condition_text
from rules.durations import duration_text

_MOST_IMPORTANT = 30


def page(catalog: Catalog) -> str:
    """Return the page."""
    lines = [f"# {catalog.pipeline}", ""]
    for event in catalog.events:
        lines += _event(event, catalog)
    lines += ["## Entities", ""]
    lines += _table(("entity", "by"), [(one.name, ", ".join(map(_code, one.fields))) for one in catalog.entities])
    if catalog.label is not None:
        lines += [f"What became known of a payment later is {_code(catalog.label)}.", ""]
    lines += ["## Features", ""]
    lines += _table(("feature", "type", "is", "histories asked", "rules"), map(_feature, catalog.features))
    if catalog.graph is not None:
        lines += _graph(catalog.graph)
    if catalog.model is not None:
        lines += _model(catalog)
    return "\n".join([*lines, *_live(catalog)]).rstrip() + "\n"


def _profile(event: EventType) -> list[str]:
    """Return how a profile's facts are asked; nothing of an event."""
    if not event.facts:
        return []
    asked = _code(f'profile("{event.facts[0]}", by={event.by})')
    return [
        f"A profile: {asked} is what was told last, missing where that is older than {duration_text(event.max_age_ms)}.",
        "",
    ]


def _event(event: EventType, catalog: Catalog) -> list[str]:
    decided = ", which is decided" if event.decided else ""
    lines = [
        f"## {event.name}",
        "",
        f"From the topic {_code(event.topic)}{decided}. Its times are those of {catalog.zone}.",
        "",
        *_profile(event),
    ]
    roles = {event.id: "its id", event.time: "its time"}
    rows = []
    for field in event.own:
        entities = [one.name for one in catalog.entities if field.name in one.fields]
        what = [roles[field.name]] if field.name in roles else []
        what += [f"names {', '.join(entities)}"] if entities else []
        what += [] if field.required else ["may be missing"]
        rows.append((_code(field.name), "time" if field.name == event.time else field.type, "; ".join(what)))
    return lines + _table(("field", "type", ""), rows)


def _feature(one: FeatureEntry) -> tuple[str, str, str, str, str]:
    asks = dict.fromkeys(f"{ask.entity}: {ask.window}" for ask in one.asks)
    name = _code(one.name) + (" (put at run time)" if one.put_live else "")
    return name, one.type, _code(one.text), "; ".join(asks), ", ".join(one.rules)


def _graph(graph: GraphSettings) -> list[str]:
    lines = ["## The graph", ""]
    lines += _table(("node", "by", "of type"), [(one.name, _code(one.field), one.type) for one in graph.nodes])
    links = ", ".join(f"{one} to {other}" for one, other in graph.links)
    lines += [f"A payment links {links}.", ""]
    windows = " or ".join(f'over="{duration_text(window)}"' for window in graph.windows_ms)
    rows = []
    for one in FEATURES.values():
        options = windows if one.windowed else f"{one.option}={' or '.join(graph.types)}" if one.option else ""
        rows.append((_code(f'graph("{one.name}", by=…)'), one.type, one.says, options))
    return lines + _table(("asked", "type", "is", "options"), rows)


def _model(catalog: Catalog) -> list[str]:
    lines = [f"## The model {catalog.model}", "", "Each feature's share in what its trees gain:", ""]
    read = [(one.importance, one.name) for one in catalog.features if one.importance is not None]
    ordered = sorted(read, key=lambda one: (-one[0], one[1]))
    lines += _table(("feature", "share"), [(_code(name), f"{share:.1%}") for share, name in ordered[:_MOST_IMPORTANT]])
    if len(ordered) > _MOST_IMPORTANT:
        lines += [f"{len(ordered) - _MOST_IMPORTANT} more gain less.", ""]
    return lines


def _live(catalog: Catalog) -> list[str]:
    live = catalog.live
    if live is None:
        return []
    lines = [f"## Live at revision {live.revision}", ""]
    if live.lists:
        rows = [
            (_code(one.declaration.name), ("immutable " if one.declaration.immutable else "") + one.declaration.kind,
             one.declaration.by, f"{one.entries:,}", one.declaration.reason)
            for one in live.lists
        ]  # fmt: skip
        lines += _table(("list", "kind", "of", "entries", "reason"), rows)
    if live.rules:
        rules = [
            (_code(f"{one.id}@{one.version}"), one.mode, one.outcome, _code(condition_text(one))) for one in live.rules
        ]
        lines += _table(("rule", "mode", "outcome", "when"), rules)
    return lines if live.lists or live.rules else [*lines, "No rule and no list.", ""]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(columns)} |", f"| {' | '.join('---' for _ in columns)} |"]
    return [*lines, *(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows), ""]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _code(text: str) -> str:
    """Return a text as code, in as many backquotes as it takes."""
    fence = "`"
    while fence in text:
        fence += "`"
    return f"{fence}{text}{fence}"
