"""Reads a pipeline file section by section into a `Pipeline`, collecting every mistake before it raises."""

import zoneinfo
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from mitra.decision import DECISION_COLUMNS
from mitra.document import read_document
from mitra.errors import Problem, ProblemsError
from mitra.job_keys import MAX_BUCKETS
from mitra.log.names import LOG_NAMES
from mitra.monitoring.settings import read_monitoring
from mitra.pipeline import DAY_MS, Delivery, Job, KafkaShape, Log, ModelChoice, Pipeline, PolicyFile, Start, Topics
from mitra.pipeline_events import NAME, NAME_ALLOWED, TOPIC, TOPIC_ALLOWED, read_entities, read_events
from mitra.pipeline_graph import read_graph
from mitra.pipeline_labels import read_labels
from mitra.pipeline_profiles import read_profiles
from mitra.pipeline_texts import file_text
from mitra.retrain.settings import read_retraining
from mitra.schema import EventType, HistoryLimits, Labels, Limits
from mitra.sections import Report, Section, did_you_mean, found

YEAR_MS = 366 * DAY_MS

EMIT = ("on_change",)
_PIPELINE_NAME = r"[a-z][a-z0-9-]{0,62}"
_BOOTSTRAP = r"[^\s,:]+:\d{1,5}(\s*,\s*[^\s,:]+:\d{1,5})*|\[[0-9a-fA-F:]+\]:\d{1,5}"
_FIXED_PROPERTIES = {
    "bootstrap.servers": "write it as kafka.bootstrap",
    "group.id": "the job's offsets lie in its checkpoints",
    "auto.offset.reset": "write it as job.start",
    "enable.auto.commit": "the job's offsets lie in its checkpoints",
    "isolation.level": "follows from delivery",
    "transactional.id": "follows from delivery",
    "key.deserializer": "Mitra reads bytes",
    "value.deserializer": "Mitra reads bytes",
    "key.serializer": "Mitra writes bytes",
    "value.serializer": "Mitra writes bytes",
}
_LOG_PATH = r"[^'\x00-\x1f]+"


class PipelineProblemsError(ProblemsError):
    """Everything wrong with a pipeline file. `pipeline` is what could be read of it, with stand-ins for the rest."""

    def __init__(self, subject: str, problems: list[Problem], pipeline: Pipeline) -> None:
        """Keep the problems found in `subject` and what is left of the pipeline."""
        super().__init__(subject, problems)
        self.pipeline = pipeline

    def has_sound(self, *sections: str) -> bool:
        """Tell whether the problems leave these sections of the file alone."""
        wrong = {problem.path.partition(".")[0] for problem in self.problems}
        return "" not in wrong and wrong.isdisjoint(sections)


def read_pipeline(path: Path) -> Pipeline:
    """Read the pipeline file at `path`. Raises ProblemsError with everything wrong with it."""
    document = read_document(file_text(path))
    report = Report(document.lines, document.problems)
    if report.problems and not document.value:
        raise ProblemsError(str(path), report.problems)
    pipeline = _read(Section(document.value, "", report), path.resolve().parent)
    if report.problems:
        report.problems.sort(key=lambda problem: problem.line or 0)
        raise PipelineProblemsError(str(path), report.problems, pipeline)
    return pipeline


def _read(root: Section, directory: Path) -> Pipeline:
    name = root.text("name", pattern=_PIPELINE_NAME, allowed="a short name of a-z, 0-9 and -, beginning with a letter")
    kafka = root.section("kafka")
    bootstrap = kafka.text(
        "bootstrap", "localhost:9092", pattern=_BOOTSTRAP, allowed="host:port, or several with commas"
    )
    shape = KafkaShape(kafka.integer("partitions", 4, 1, 10_000), kafka.integer("replication", 1, 1, 32))
    properties = _properties(kafka.section("properties"))
    kafka.close()
    topics = _topics(root.section("topics"), name)
    events = read_events(root.section("events", required=True), name)
    entities = read_entities(root.section("entities"), events)
    labels = read_labels(root, events, name)
    features, told_features = _features(root.section("features"), events, labels)
    micro_models = _micro_models(root, features, events, directory)
    model = _model(root, {**features, **dict.fromkeys(micro_models, "")}, events, directory)
    zone = _zone(root)
    delivery = root.choice("delivery", ("at-least-once", "exactly-once"), "at-least-once")
    history = _history(root.section("history"))
    events = read_profiles(root.section("profiles"), events, entities, name, history.max_window_ms)
    limits = _limits(root.section("limits"))
    job = _job(root.section("job"))
    control = root.section("control")
    policy_file = _policy_file(control, directory)
    begins_at = control.integer("begins_at", 0, 0, 1_000_000_000_000)
    budget_us = control.integer("rules_budget_us", Pipeline.rules_budget_us, 1, 1_000_000)
    control.close()
    log = _log(root, features, directory)
    monitoring = read_monitoring(root, features, labels)
    retraining = read_retraining(root, directory)
    graph = read_graph(root, events, directory)
    cep = None
    if "cep" in root:
        from mitra.pipeline_cep import match_event, read_cep  # noqa: PLC0415 - the compiler is loaded where there are patterns

        cep = read_cep(root, events, entities, directory, name)
        events = (*events, match_event(cep, entities, events))
    root.raw("cep")
    root.close()
    _check_topics(root, topics, events, labels)
    return Pipeline(
        name=name,
        directory=directory,
        bootstrap=bootstrap,
        kafka_properties=properties,
        kafka_shape=shape,
        topics=topics,
        events=events,
        entities=entities,
        features=features,
        model=model,
        labels=labels,
        zone=zone,
        delivery=cast(Delivery, delivery),
        history=history,
        limits=limits,
        job=job,
        policy_file=policy_file,
        control_begins_at=begins_at,
        told_features=told_features,
        rules_budget_us=budget_us,
        log=log,
        monitoring=monitoring,
        retraining=retraining,
        graph=graph,
        micro_models=micro_models,
        cep=cep,
    )


def _properties(section: Section) -> dict[str, str]:
    properties = {}
    for key in section:
        value = section.raw(key)
        if key in _FIXED_PROPERTIES:
            section.report.add(section.at(key), "is set by Mitra", _FIXED_PROPERTIES[key])
        elif not isinstance(value, str | int | float):
            section.wrong(key, value, "a text or number")
        else:
            properties[key] = str(value).lower() if isinstance(value, bool) else str(value)
    return properties


def _topics(section: Section, pipeline_name: str) -> Topics:
    names: dict[str, Any] = {}
    for field in fields(Topics):
        default = f"{pipeline_name or 'pipeline'}.{field.name}"
        names[field.name] = section.text(field.name, default, pattern=TOPIC, allowed=TOPIC_ALLOWED)
    section.close()
    return Topics(**names)


def _section_of(event: EventType) -> str:
    """Return the path of the section that an event type stands in."""
    return f"profiles.{event.name}" if event.by else "cep" if event.derived else f"events.{event.name}"


def _check_topics(root: Section, topics: Topics, events: tuple[EventType, ...], labels: Labels | None) -> None:
    """Refuse a topic that serves two purposes: what is written would be read back as something else."""
    uses = [(f"{_section_of(event)}.topic", event.topic) for event in events]
    uses += [(f"topics.{field.name}", getattr(topics, field.name)) for field in fields(Topics)]
    if labels:
        uses.append(("labels.topic", labels.topic))
    first: dict[str, str] = {}
    for path, topic in uses:
        if topic and first.setdefault(topic, path) != path:
            root.report.add(path, f"found {found(topic)}, the topic of {first[topic]} too; allowed: a topic of its own")


def _features(
    section: Section, events: tuple[EventType, ...], labels: Labels | None
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the features' texts, and the names of those that are told as they change."""
    features = {}
    told = []
    decided = next((event for event in events if event.decided), None)
    taken = set(decided.by_name) if decided else set()
    for name in section:
        value = section.raw(name)
        if isinstance(value, dict):
            marked = section.section(name)
            value = marked.raw("expression")
            if marked.choice("emit", EMIT):
                told.append(name)
            marked.close()
        text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        if not NAME.fullmatch(name):
            section.report.add(section.at(name), f"found {found(name)} as a name; allowed: {NAME_ALLOWED}")
        elif name in DECISION_COLUMNS:
            section.report.add(section.at(name), "is the name of a column of every decision", "choose another name")
        elif labels and name == labels.name:
            section.report.add(
                section.at(name), "is the label's name", "choose another name for the feature or the label"
            )
        elif name in taken and text != name:
            section.report.add(section.at(name), "is the name of a field", f'only "{name}: {name}" may share it')
        if not isinstance(text, str) or not text.strip():
            section.wrong(name, value, 'an expression, for example count(by=customer, over="1h")')
        else:
            features[name] = text.strip()
    return features, tuple(name for name in told if name in features)


def _model(
    root: Section, features: dict[str, str], events: tuple[EventType, ...], directory: Path
) -> ModelChoice | None:
    if "model" not in root:
        root.raw("model")
        return None
    section = root.section("model")
    path = section.text("path", "", allowed="the folder of a model, from the pipeline's folder")
    inputs = section.texts("inputs", "a list of features") if "inputs" in section else ()
    section.raw("inputs")
    for place, name in enumerate(inputs):
        if name not in features:
            at = f"{section.at('inputs')}[{place}]"
            root.report.add(at, f"found {found(name)}; allowed: a feature of this file", did_you_mean(name, features))
        elif name in inputs[:place]:
            root.report.add(f"{section.at('inputs')}[{place}]", f"found {found(name)} a second time", "leave one out")
    decided = [event.name for event in events if event.decided]
    scored = section.texts("events", "a list of decided event types") if "events" in section else ()
    section.raw("events")
    for place, name in enumerate(scored):
        if name not in decided:
            at = f"{section.at('events')}[{place}]"
            message = f"found {found(name)}; allowed: a decided event type: {', '.join(decided)}"
            root.report.add(at, message, did_you_mean(name, decided))
    review, block = section.number("review", 0, 1), section.number("block", 0, 1)
    if review is not None and block is not None and review > block:
        section.report.add(section.at("review"), f"found {review:g}; allowed: at most block, which is {block:g}")
    by, segments = _segments(section.section("segments"), features)
    section.close()
    return ModelChoice(directory / path if path else None, inputs, scored, review, block, segments, by)


def _segments(section: Section, features: dict[str, str]) -> tuple[str, dict[str, tuple[float | None, float | None]]]:
    """Read the thresholds by segment: the feature that says which, and by its value review and block."""
    by = section.text("by", "", allowed="a feature of this file")
    if by and by not in features:
        section.wrong("by", by, "a feature of this file", did_you_mean(by, features))
    thresholds = section.section("thresholds")
    thresholds_of: dict[str, tuple[float | None, float | None]] = {}
    for name in thresholds:
        one = thresholds.section(name)
        review, block = one.number("review", 0, 1), one.number("block", 0, 1)
        if review is not None and block is not None and review > block:
            section.report.add(one.at("review"), f"found {review:g}; allowed: at most block, which is {block:g}")
        one.close()
        thresholds_of[name] = (review, block)
    if bool(by) != bool(thresholds_of):
        section.report.add(section.path, "needs both by and thresholds", "by: country, thresholds: {AT: {review: 0.3}}")
    section.close()
    return by, thresholds_of


def _micro_models(
    root: Section, features: dict[str, str], events: tuple[EventType, ...], directory: Path
) -> dict[str, Path]:
    section = root.section("micro_models")
    taken = {name for event in events if event.decided for name in event.by_name}
    paths: dict[str, Path] = {}
    for name in section:
        path = section.text(name, allowed="the folder of a model, from the pipeline's folder")
        if not NAME.fullmatch(name):
            section.report.add(section.at(name), f"found {found(name)} as a name; allowed: {NAME_ALLOWED}")
        elif name in features or name in taken or name in DECISION_COLUMNS:
            said = "is the name of a feature, a field or a column of every decision"
            section.report.add(section.at(name), said, "choose another name: models read its score under it")
        paths[name] = directory / path
    return paths


def _policy_file(section: Section, directory: Path) -> PolicyFile | None:
    if "policy" not in section:
        section.raw("policy")
        return None
    name = section.text("policy", allowed="the file of a policy, from the pipeline's folder")
    if not name:
        return None
    from control_stream import read_policy  # noqa: PLC0415 - loaded only where changes are signed

    path = directory / name
    try:
        text = file_text(path)
        read_policy(text, name)
    except ProblemsError as error:
        for problem in error.problems:
            line = f", line {problem.line}" if problem.line else ""
            place = f"{problem.path}: " if problem.path else ""
            section.report.add(section.at("policy"), f"{name}{line}: {place}{problem.message}", problem.hint)
        return None
    return PolicyFile(name, text)


def _log(root: Section, features: dict[str, str], directory: Path) -> Log | None:
    if "log" not in root:
        root.raw("log")
        return None
    section = root.section("log")
    path = section.text(
        "path", pattern=_LOG_PATH, allowed="a folder, from the pipeline's folder, or a URI such as s3://…"
    )
    section.close()
    for name in sorted(LOG_NAMES.intersection(features)):
        root.report.add(f"features.{name}", "is the name of a column of the log", "choose another name")
    return Log(path if "://" in path else (directory / path).absolute().as_uri()) if path else None


def _zone(root: Section) -> str:
    zone = root.text("zone", "UTC", allowed="the name of a time zone, for example Europe/Vienna")
    if zone:
        try:
            zoneinfo.ZoneInfo(zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            hint = did_you_mean(zone, zoneinfo.available_timezones())
            root.wrong("zone", zone, "the name of a time zone, for example Europe/Vienna", hint)
            return "UTC"
    return zone or "UTC"


def _history(section: Section) -> HistoryLimits:
    standard = HistoryLimits()
    history = HistoryLimits(
        raw_events=section.integer("raw_events", standard.raw_events, 16, 1_000_000),
        max_window_ms=section.duration_ms("max_window", standard.max_window_ms, 1_000, 10 * YEAR_MS),
    )
    section.close()
    return history


def _limits(section: Section) -> Limits:
    standard = Limits()
    limits = Limits(
        message_bytes=section.integer("message_bytes", standard.message_bytes, 64, 10_000_000),
        expression_bytes=section.integer("expression_bytes", standard.expression_bytes, 16, 65_536),
        expression_depth=section.integer("expression_depth", standard.expression_depth, 2, 100),
        # Histories keep a day more than any window reaches: an event from further ahead would push out what others still need.
        max_future_ms=section.duration_ms("max_future", standard.max_future_ms, 0, DAY_MS),
        model_bytes=section.integer("model_bytes", standard.model_bytes, 1_000, 2_000_000_000),
        model_us=section.integer("model_us", standard.model_us, 1, 1_000_000),
    )
    section.close()
    return limits


def _job(section: Section) -> Job:
    standard = Job()
    job = Job(
        buckets=_power_of_two(section, "buckets", standard.buckets),
        lanes=_power_of_two(section, "lanes", standard.lanes),
        batch_ms=section.duration_ms("batch", standard.batch_ms, 1, 1_000),
        cache_mb=section.integer("cache_mb", standard.cache_mb, 16, 1_000_000),
        decision_memory_ms=section.duration_ms("decision_memory", standard.decision_memory_ms, 60_000, YEAR_MS),
        start=cast(Start, section.choice("start", ("earliest", "latest", "committed"), standard.start)),
        include_features=section.boolean("include_features", standard.include_features),
    )
    section.close()
    return job


def _power_of_two(section: Section, key: str, default: int) -> int:
    value = section.raw(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_BUCKETS or value & (value - 1):
        section.wrong(key, value, f"a power of two from 1 to {MAX_BUCKETS}")
        return default
    return value
