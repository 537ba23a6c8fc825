"""The pipeline file's sections `events` and `entities`: what a message looks like, and who has a history."""

import re
from collections.abc import Iterable, Sequence
from keyword import iskeyword

from mitra.schema import EVENT_NAME, Entity, EventType, Field, FieldType, share_fields
from mitra.sections import Report, Section, did_you_mean, found

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
NAME_ALLOWED = "a letter or _, then letters, digits and _, at most 64"
TOPIC = r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}"
TOPIC_ALLOWED = "a topic name of letters, digits, '.', '_' and '-', at most 249"

TYPES = ("string", "integer", "number", "boolean", "time")
TIME_FORMATS = "epoch_ms, epoch_s, iso8601, or a strptime pattern like %Y-%m-%d %H:%M:%S"
_OTHER_NAMES = {
    **dict.fromkeys(("str", "text", "varchar", "char", "utf8"), "string"),
    **dict.fromkeys(("int", "int32", "int64", "long", "bigint"), "integer"),
    **dict.fromkeys(("float", "double", "decimal", "real", "float64", "money"), "number"),
    "bool": "boolean",
    **dict.fromkeys(("timestamp", "datetime", "date"), "time"),
}
# In an expression `time` is the event's time, whatever the field is called.
_RESERVED_FIELDS = {"time": "it names the event's time in expressions"}
_MAX_FIELDS = 250
_MAX_ENTITIES = 32
_MAX_EVENTS = 32


def read_events(section: Section, pipeline_name: str) -> tuple[EventType, ...]:
    """Read the section `events`: name → topic, id, time and fields of each type."""
    report = section.report
    names = list(section)
    events = []
    for name in names:
        if not NAME.fullmatch(name):
            report.add(section.at(name), f"found {found(name)} as a name; allowed: {NAME_ALLOWED}")
        events.append(_event(section.section(name), name, pipeline_name, alone=len(names) == 1))
    if len(events) > _MAX_EVENTS:
        report.add("events", f"found {len(events)} event types; allowed: {_MAX_EVENTS}")
    decided = [event.name for event in events if event.decided]
    if events and not decided:
        report.add("events", "found no decided event type; allowed: one or more", "write decided: true in it")
    check_same_types(events, report)
    _check_same_roles([event for event in events if event.decided], report)
    return share_fields(events)


def _check_same_roles(decided: Sequence[EventType], report: Report) -> None:
    """Refuse decided types whose ids or times have different names: a decision and its label know an id alone."""
    for event in decided[1:]:
        for role, name, wanted in (("id", event.id, decided[0].id), ("time", event.time, decided[0].time)):
            if name and wanted and name != wanted:
                hint = "what is decided has its id and its time in fields of one name"
                message = f"found {found(name)}, but {decided[0].name}, which is decided too, has {found(wanted)}"
                report.add(f"events.{event.name}.{role}", message, hint)
    for event in decided if len(decided) > 1 else ():
        if EVENT_NAME in event.by_name:
            path = f"events.{event.name}.fields.{EVENT_NAME}"
            report.add(path, "is what expressions call the type of a decided event", "give the field another name")


def check_same_types(events: Iterable[EventType], report: Report, last: str = "events") -> None:
    """Refuse a field that has several types; `last` is the section of profiles, which stand behind the others."""
    first: dict[str, tuple[str, FieldType]] = {}
    for event in events:
        for field in event.fields:
            other, kind = first.setdefault(field.name, (event.name, field.type))
            if kind != field.type:
                path = f"{last if event.by else 'events'}.{event.name}.fields.{field.name}"
                message = f"found {found(field.type)}, but events.{other} has it as {found(kind)}"
                report.add(path, message, "a field's name means one thing in all events: rename one, or use one type")


def _event(section: Section, name: str, pipeline_name: str, *, alone: bool) -> EventType:
    default_topic = f"{pipeline_name or 'pipeline'}.{name}"
    topic = section.text("topic", default_topic, pattern=TOPIC, allowed=TOPIC_ALLOWED)
    decided = section.boolean("decided", default=alone)
    id_name = section.text("id", allowed="the name of a field")
    time_name = section.text("time", allowed="the name of a field")
    time_format = read_time_format(section, "time_format")
    late_after_ms = section.duration_ms("late_after", 300_000, 0, 366 * 86_400_000)
    out_of_order_ms = section.duration_ms("out_of_order", 0, 0, 86_400_000)
    fields = read_fields(section.section("fields", required=True), id_name, time_name)
    section.close()
    if fields:
        _check_roles(section, fields, id_name, time_name)
    return EventType(
        name=name,
        topic=topic,
        id=id_name,
        time=time_name,
        fields=tuple(fields.values()),
        time_format=time_format,
        decided=decided,
        late_after_ms=late_after_ms,
        out_of_order_ms=out_of_order_ms,
    )


def read_time_format(section: Section, key: str) -> str:
    """Read a time format; a strptime pattern gives at least the day."""
    value = section.text(key, "epoch_ms", allowed=TIME_FORMATS)
    if value in ("epoch_ms", "epoch_s", "iso8601", ""):
        return value or "epoch_ms"
    if "%" not in value:
        section.wrong(key, value, TIME_FORMATS, did_you_mean(value, ("epoch_ms", "epoch_s", "iso8601")))
    elif not _gives_a_day(value):
        section.wrong(key, value, TIME_FORMATS, "this pattern does not give year, month and day")
    return value


def _gives_a_day(pattern: str) -> bool:
    codes = set(re.findall(r"%-?(.)", pattern.replace("%%", "")))
    known = codes <= set("aAwdbBmyYHIpMSfzZjcxX")
    year, day = bool(codes & set("yY")), ("j" in codes or ("d" in codes and bool(codes & set("mbB"))))
    return known and ((year and day) or bool(codes & set("c")))


def read_fields(section: Section, id_name: str, time_name: str) -> dict[str, Field]:
    """Read the fields of a message by name."""
    fields: dict[str, Field] = {}
    for name in section:
        value = section.raw(name)
        inner = section.section(name) if isinstance(value, dict) else None
        at, key = (inner, "type") if inner else (section, name)
        kind = at.raw(key)
        required = inner.boolean("required", default=True) if inner else True
        if inner:
            if key not in inner:
                section.report.add(inner.at(key), f"is missing; allowed: {', '.join(TYPES)}")
            inner.close()
        if not NAME.fullmatch(name) or iskeyword(name):
            section.report.add(
                section.at(name), f"found {found(name)} as a name; allowed: {NAME_ALLOWED}, no word of the language"
            )
        elif name in _RESERVED_FIELDS and name != time_name:
            section.report.add(section.at(name), "is reserved", _RESERVED_FIELDS[name])
        type_ = _field_type(at, key, kind)
        if name in (id_name, time_name) and not required:
            role = "id" if name == id_name else "time"
            section.report.add(section.at(name), f"found required: false; allowed: true, for it is the event's {role}")
        if name == time_name and type_ not in ("time", ""):
            hint = "write time: the format it comes in is the event's time_format"
            section.report.add(at.at(key), f"found {found(kind)}; allowed: time, for it is the event's time", hint)
        elif name != time_name and type_ == "time":
            hint = "only the field that the event names as its time may have it; others are integers or strings"
            section.report.add(at.at(key), "found time", hint)
            type_ = "integer"
        fields[name] = Field(name, _stored_type(type_), required)
    if len(fields) > _MAX_FIELDS:
        section.report.add(section.path, f"found {len(fields)} fields; allowed: {_MAX_FIELDS}")
    return fields


def _field_type(section: Section, key: str, kind: object) -> str:
    if kind in TYPES:
        return str(kind)
    if key in section:
        other = _OTHER_NAMES.get(str(kind).lower())
        hint = f'did you mean "{other}"?' if other else did_you_mean(str(kind), TYPES)
        section.wrong(key, kind, ", ".join(TYPES), hint)
    return ""


def _stored_type(kind: str) -> FieldType:
    """Return the type of the field's value: a time is the integer of its epoch milliseconds, whatever it came as."""
    if kind == "integer" or kind == "time":  # noqa: PLR1714 - spelled out for the type checker
        return "integer"
    if kind == "number":
        return "number"
    return "boolean" if kind == "boolean" else "string"


def _check_roles(section: Section, fields: dict[str, Field], id_name: str, time_name: str) -> None:
    for key, name in (("id", id_name), ("time", time_name)):
        if name and name not in fields:
            section.wrong(key, name, f"a field of the event: {', '.join(fields)}", did_you_mean(name, fields))
    if id_name and id_name == time_name:
        section.report.add(section.at("id"), f"found {found(id_name)}, which is the event's time too")
    elif id_name in fields and fields[id_name].type not in ("string", "integer"):
        path = f"{section.path}.fields.{id_name}"
        section.report.add(path, f"found {fields[id_name].type}; allowed: string, integer, for it is the event's id")


def read_entities(section: Section, events: tuple[EventType, ...]) -> tuple[Entity, ...]:
    """Read the section `entities`: name → the field or fields that identify one."""
    report = section.report
    types = {field.name: field.type for event in events for field in event.own}
    times = {event.time for event in events}
    entities = []
    for name in section:
        if not NAME.fullmatch(name) or iskeyword(name):
            report.add(section.at(name), f"found {found(name)} as a name; allowed: {NAME_ALLOWED}")
        fields = section.texts(name, "a field, or a list of fields: [customer_id, terminal_id]")
        for place, field in enumerate(fields):
            path = section.at(name) if len(fields) == 1 else f"{section.at(name)}[{place}]"
            if field not in types:
                if types:
                    allowed = f"a field of an event: {', '.join(types)}"
                    report.add(path, f"found {found(field)}; allowed: {allowed}", did_you_mean(field, types))
            elif types[field] not in ("string", "integer") or field in times:
                kind = "the event's time" if field in times else types[field]
                report.add(path, f"found {found(field)}, which is {kind}; allowed: a field of type string or integer")
            elif field in fields[:place]:
                report.add(path, f"found {found(field)} a second time", "leave one out")
        known = all(field in types for field in fields)
        if known and fields and not any(event.own_names.issuperset(fields) for event in events):
            message = f"no event has all of {', '.join(fields)}"
            report.add(section.at(name), message, "an entity's fields are of one event")
        entities.append(Entity(name, fields))
    if len(entities) > _MAX_ENTITIES:
        report.add(section.path, f"found {len(entities)} entities; allowed: {_MAX_ENTITIES}")
    seen: dict[tuple[str, ...], str] = {}
    for entity in entities:
        if entity.fields and seen.setdefault(entity.fields, entity.name) != entity.name:
            report.add(
                section.at(entity.name),
                f"has the fields of {seen[entity.fields]}",
                "one history is enough: leave one out",
            )
    return tuple(entities)
