"""The pipeline file's section `profiles`: slow facts of entities, each profile a topic that upserts those of one key.

A profile is an event type that is never decided: it lies in its entity's history beside the events, so that a fact is known as of
a payment's time, in the job, in a replay and in a notebook alike. Aggregates pass it over (`rules.aggregates`).
"""

from collections.abc import Sequence

from mitra.pipeline_events import (
    NAME,
    NAME_ALLOWED,
    TOPIC,
    TOPIC_ALLOWED,
    check_same_types,
    read_fields,
    read_time_format,
)
from mitra.schema import UPDATE_ID, Entity, EventType, Field
from mitra.sections import Section, did_you_mean, found

DAY_MS = 86_400_000


def read_profiles(
    section: Section, events: Sequence[EventType], entities: Sequence[Entity], pipeline_name: str, max_window_ms: int
) -> tuple[EventType, ...]:
    """Return the event types with those of the profiles behind them."""
    report = section.report
    profiles = []
    for name in section:
        if not NAME.fullmatch(name):
            report.add(section.at(name), f"found {found(name)} as a name; allowed: {NAME_ALLOWED}")
        elif any(event.name == name for event in events):
            report.add(section.at(name), "is an event type", "give the profile another name")
        profiles.append(_profile(section.section(name), name, pipeline_name, events, entities, max_window_ms))
    if profiles:
        check_same_types([*events, *profiles], report, "profiles")
    return (*events, *profiles)


def _profile(
    section: Section,
    name: str,
    pipeline_name: str,
    events: Sequence[EventType],
    entities: Sequence[Entity],
    max_window_ms: int,
) -> EventType:
    topic = section.text("topic", f"{pipeline_name or 'pipeline'}.{name}", pattern=TOPIC, allowed=TOPIC_ALLOWED)
    known = {entity.name: entity for entity in entities}
    by = section.text("by", allowed="the name of an entity")
    if by and by not in known:
        section.wrong("by", by, f"an entity: {', '.join(known) or 'there is none'}", did_you_mean(by, known))
    time = section.text("time", "as_of", allowed="the name of a field")
    time_format = read_time_format(section, "time_format")
    max_age_ms = section.duration_ms("max_age", min(30 * DAY_MS, max_window_ms), 1_000, max_window_ms)
    facts = read_fields(section.section("fields", required=True), "", "")
    section.close()
    types = {field.name: field.type for event in events for field in event.own}
    keys = tuple(Field(key, types[key]) for key in (known[by].fields if by in known else ()) if key in types)
    taken = {UPDATE_ID: "the id of an update", time: "the profile's time"} | {
        key.name: f"of the key of {by}" for key in keys
    }
    for fact in facts:
        if fact in taken:
            section.report.add(f"{section.path}.fields.{fact}", f"is {taken[fact]}", "give the fact another name")
    return EventType(
        name=name,
        topic=topic,
        id=UPDATE_ID,
        time=time,
        fields=(
            Field(UPDATE_ID, "string", required=False),
            *keys,
            Field(time, "integer"),
            *(Field(fact.name, fact.type, required=False) for fact in facts.values() if fact.name not in taken),
        ),
        time_format=time_format,
        decided=False,
        late_after_ms=366 * DAY_MS,
        derived=True,
        by=by,
        max_age_ms=max_age_ms,
    )
