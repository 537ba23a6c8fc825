"""docs/pipeline.md against the checker: each knows every key of the other, and the page's example is sound and whole."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mitra.duration import duration_text
from mitra.monitoring.settings import Monitoring
from mitra.pipeline import Pipeline, load_pipeline
from mitra.pipeline_check import PipelineProblemsError
from mitra.pipeline_whole import check_whole
from mitra.retrain.settings import Retraining
from mitra.sections import Section
from tests.factories.models import tiny_model

TEXT = (Path(__file__).parents[3] / "docs" / "pipeline.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
CHOSEN_BY_THE_FILE = {
    "events": "NAME",
    "profiles": "NAME",
    "entities": "NAME",
    "features": "NAME",
    "kafka.properties": "NAME",
    "monitor.checks": "NAME",
    "graph.nodes": "NAME",
    "micro_models": "NAME",
    "model.segments.thresholds": "NAME",
}
POLICY = """
keys: {ann-1: {author: ann, public: Vd/E3t5rlJ0VvC6DZrTQSPqMqnw5v6ESbGV9lFPYXgs=}}
may: {ann: "*"}
"""
SEQUENCES = """
id: twice
by: customer
within: 10m
steps: [{step: first, event: payment}, {step: second, event: payment, when: amount > first.amount}]
skip: to_next
outcome: review
"""
SMALLEST = """
name: shop
events: {payment: {id: id, time: at, fields: {id: string, at: time}}}
"""


def documented() -> dict[str, str]:
    """Return the row of every key in the page's tables, by the key's path."""
    rows: dict[str, str] = {}
    section = ""
    for line in TEXT.splitlines():
        if heading := re.match(r"## (?:`(.+)`)?", line):
            section = heading[1] or ""
        elif row := re.match(r"\| `([a-z_]+)` \|", line):
            path = f"{section}.{row[1]}" if section else row[1]
            assert path not in rows
            rows[path] = line
    return rows


def asked(monkeypatch: pytest.MonkeyPatch, path: Path) -> set[str]:
    """Return the paths of all keys that the checker asks a file for; names that the file chooses are NAME or FIELD."""
    found: set[str] = set()
    raw = Section.raw

    def note(self: Section, key: str, default: object = None) -> object:
        place = re.sub(r"^(events|profiles)\.\w+", r"\1.NAME", self.path)
        place = re.sub(r"\.fields\.\w+", ".fields.FIELD", place)
        place = re.sub(r"^(monitor\.checks|model\.segments\.thresholds)\.\w+", r"\1.NAME", place)
        if place not in CHOSEN_BY_THE_FILE and not place.endswith(".NAME.fields"):
            found.add(f"{place}.{key}" if place else key)
        return raw(self, key, default)

    monkeypatch.setattr(Section, "raw", note)
    load_pipeline(path)
    return found


def given(value: Any, path: str = "") -> set[str]:
    """Return the paths of all keys in a document, with the same stand-ins for chosen names."""
    if not isinstance(value, dict):
        return set()
    found: set[str] = set()
    for key, inner in value.items():
        name = CHOSEN_BY_THE_FILE.get(path) or ("FIELD" if path == "events.NAME.fields" else key)
        place = f"{path}.{name}" if path else name
        found |= {place} | given(inner, place)
    return found


@pytest.fixture
def example(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.yaml"
    path.write_text(EXAMPLE, encoding="utf-8")
    (tmp_path / "policy.yaml").write_text(POLICY, encoding="utf-8")
    (tmp_path / "sequences.yaml").write_text(SEQUENCES, encoding="utf-8")
    return path


def test_the_page_and_the_checker_know_the_same_keys(monkeypatch: pytest.MonkeyPatch, example: Path) -> None:
    assert sorted(documented()) == sorted(asked(monkeypatch, example))


def test_the_example_gives_every_key() -> None:
    assert set(documented()) <= given(yaml.safe_load(EXAMPLE))


def test_the_example_is_sound(example: Path) -> None:
    model = yaml.safe_load(EXAMPLE)["model"]
    tiny_model(example.parent, model["inputs"])
    (example.parent / "tiny-1").rename(example.parent / model["path"])
    for name, path in yaml.safe_load(EXAMPLE)["micro_models"].items():
        tiny_model(example.parent / "made", ["amount"], name=name)
        (example.parent / path).parent.mkdir(exist_ok=True)
        (example.parent / "made" / f"{name}-1").rename(example.parent / path)
    pipeline, problems = check_whole(example)
    assert [problem.render() for problem in problems] == []
    assert pipeline is not None


def test_what_is_allowed_is_as_the_checker_says(tmp_path: Path) -> None:
    """Every key gets a list, and durations one without end: what the checker then calls allowed stands in the key's row."""
    rows = documented()
    for path in sorted(rows):
        if path.startswith("topics."):
            continue  # all alike; said once above their table
        said = allowed(tmp_path, path, [["odd"]])
        if said.startswith("a number and one of"):
            said = allowed(tmp_path, path, "999999999d")
        if not said.startswith("a field of the event"):  # what this file's fields make of it
            assert said in rows[path], path


def allowed(folder: Path, path: str, wrong: object) -> str:
    """Return what the checker says is allowed at a key that has a wrong value."""
    wanted = (
        path.replace("checks.NAME", "checks.amount")
        .replace("thresholds.NAME", "thresholds.AT")
        .replace("profiles.NAME", "profiles.account")
        .replace("NAME", "payment")
        .replace("FIELD", "device_id")
    )
    document = yaml.safe_load(EXAMPLE)
    place = document
    *parents, key = wanted.split(".")
    for parent in parents:
        place = place[parent]
    place[key] = wrong
    file = folder / "wrong.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(PipelineProblemsError) as caught:
        load_pipeline(file)
    said = [problem.message for problem in caught.value.problems if problem.path.partition("[")[0] == wanted]
    return said[0].partition("allowed: ")[2].removesuffix(" of names to values") if said else ""


def test_defaults_are_as_the_page_says(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(SMALLEST, encoding="utf-8")
    pipeline = load_pipeline(path)
    path.write_text(f"{SMALLEST}labels: {{}}\n", encoding="utf-8")
    labels = load_pipeline(path).labels
    rows = documented()
    for place, value in defaults(pipeline, labels).items():
        assert rows[place].split(" | ")[2] == value, place


def defaults(pipeline: Pipeline, labels: Any) -> dict[str, str]:
    """Return what the reader takes where a file says nothing, as the page writes it."""
    job, limits, history, event = pipeline.job, pipeline.limits, pipeline.history, pipeline.decided
    monitoring, retraining = Monitoring(), Retraining(Path("models"))
    return {
        "kafka.bootstrap": pipeline.bootstrap,
        "kafka.partitions": str(pipeline.kafka_shape.partitions),
        "kafka.replication": str(pipeline.kafka_shape.replication),
        "zone": pipeline.zone,
        "delivery": pipeline.delivery,
        "events.NAME.topic": f"`{event.topic.replace('shop', '<name>').replace('payment', 'NAME')}`",
        "events.NAME.time_format": event.time_format,
        "events.NAME.late_after": duration_text(event.late_after_ms),
        "labels.name": labels.name,
        "labels.topic": f"`{labels.topic.replace('shop', '<name>')}`",
        "labels.id": labels.id,
        "labels.label": labels.label,
        "labels.known_at": labels.known_at,
        "labels.known_at_format": labels.known_at_format,
        "labels.horizon": duration_text(labels.horizon_ms),
        "history.raw_events": str(history.raw_events),
        "history.max_window": duration_text(history.max_window_ms),
        "limits.message_bytes": str(limits.message_bytes),
        "limits.expression_bytes": str(limits.expression_bytes),
        "limits.expression_depth": str(limits.expression_depth),
        "limits.max_future": duration_text(limits.max_future_ms),
        "monitor.window": duration_text(monitoring.window_ms),
        "monitor.exact_scores": str(monitoring.exact_scores),
        "monitor.drift.raise": str(monitoring.drift_raise),
        "monitor.drift.clear": str(monitoring.drift_clear),
        "monitor.drift.missing": str(monitoring.missing_raise),
        "monitor.quality.drop": str(monitoring.quality_drop),
        "monitor.quality.frauds": str(monitoring.quality_frauds),
        "retrain.models": retraining.models.name,
        "retrain.train": duration_text(retraining.train_ms),
        "retrain.test": duration_text(retraining.test_ms),
        "retrain.margin": f"{retraining.margin:g}",
        "retrain.becomes": retraining.becomes,
        "retrain.every": duration_text(retraining.every_ms),
        "retrain.rest": duration_text(retraining.rest_ms),
        "job.buckets": str(job.buckets),
        "job.lanes": str(job.lanes),
        "job.batch": duration_text(job.batch_ms),
        "job.decision_memory": duration_text(job.decision_memory_ms),
        "job.start": job.start,
        "job.include_features": str(job.include_features).lower(),
    }
