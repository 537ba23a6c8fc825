"""The pipeline file's section `labels`: where verdicts come from, and what silence means."""

from mitra.pipeline_events import NAME, NAME_ALLOWED, TOPIC, TOPIC_ALLOWED, read_time_format
from mitra.schema import EventType, Labels
from mitra.sections import Section, found

_DAY_MS = 86_400_000


def read_labels(root: Section, events: tuple[EventType, ...], pipeline_name: str) -> Labels | None:
    """Read the section `labels` of the file's root; None if the file has none."""
    if "labels" not in root:
        root.raw("labels")
        return None
    section = root.section("labels")
    report = section.report
    name = section.text("name", "fraud", pattern=NAME.pattern, allowed=NAME_ALLOWED)
    topic = section.text("topic", f"{pipeline_name or 'pipeline'}.labels", pattern=TOPIC, allowed=TOPIC_ALLOWED)
    id_name = section.text("id", "transaction_id", allowed="the name of a field of the label")
    label = section.text("label", "label", allowed="the name of a field of the label")
    known_at = section.text("known_at", "known_at", allowed="the name of a field of the label")
    known_at_format = read_time_format(section, "known_at_format")
    silent = section.choice("absent_is", ("legit",)) if "absent_is" in section else ""
    section.raw("absent_is")
    after_ms = section.duration_ms("after", 0, 0, 366 * _DAY_MS)
    horizon_ms = section.duration_ms("horizon", 60 * _DAY_MS, 60_000, 3_660 * _DAY_MS)
    section.close()
    if any(name in event.by_name for event in events):
        report.add(section.at("name"), f"found {found(name)}, which is a field of an event; allowed: a name of its own")
    if silent and "after" not in section:
        report.add(section.at("after"), "is missing", "absent_is says what no label means; after says from when: 7d")
    if not silent and "after" in section:
        report.add(section.at("after"), "has no meaning without absent_is", "add absent_is: legit, or leave after out")
    roles = [role for role in (id_name, label, known_at) if role]
    if len(set(roles)) < len(roles):
        report.add(
            section.path,
            f"id, label and known_at name the same field: {', '.join(roles)}",
            "each is a field of its own",
        )
    return Labels(
        name=name,
        topic=topic,
        id=id_name,
        label=label,
        known_at=known_at or None,
        known_at_format=known_at_format,
        absent_is="legit" if silent else None,
        after_ms=after_ms,
        horizon_ms=horizon_ms,
    )
