"""The JSON Schemas against what the stages really write: whatever comes out is as `mitra schema` says."""

import json
from typing import Any

import jsonschema
import pytest

from mitra.blueprint import Blueprint
from mitra.decide import State
from mitra.decision import encode_json
from mitra.decode import Decoder, Event
from mitra.held_records import HeldRecords
from mitra.history import MemoryStore
from mitra.lane import Lane
from mitra.pipeline import Pipeline, load_pipeline
from mitra.records import SCHEMAS, event_schema
from mitra.schema import EventType, Field, Limits
from mitra.stages.decide import DecideStage, Output
from mitra.stages.history import HistoryStage
from mitra.stages.intake import FIELD_SEPARATOR, Intake
from tests.factories.models import tiny_model

NOW_MS = 1_700_000_000_000
PUBLISHED = "2023-11-14 22:13:20.000"

PIPELINE = """
name: small
events:
  payment:
    id: id
    time: at
    fields: {id: string, at: time, customer: string, amount: number, note: {type: string, required: false}}
entities: {customer: customer}
features: {amount: amount, spent: "sum(amount, by=customer, over='1d')", noted: not is_missing(note), note: note}
labels: {id: id, absent_is: legit, after: 7d}
model: {inputs: [amount, spent], review: 0.0, block: 0.5}
job: {buckets: 1, include_features: true}
"""


def check(schema: dict[str, Any], value: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(value, schema)


def payment(number: int, **changes: Any) -> bytes:
    row = {"id": f"t{number}", "at": NOW_MS + number, "customer": "c", "amount": number * 1.5, "note": None}
    return json.dumps({**row, **changes}).encode()


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    path = tmp_path_factory.mktemp("records") / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    tiny_model(path.parent, ["amount", "spent"])
    return load_pipeline(path)


@pytest.fixture(scope="module")
def written(pipeline: Pipeline) -> Output:
    """What the stages make of payments, a duplicate, a conflict, bad input, labels and a probe."""
    records = [
        (pipeline.decided.topic, payment(1)),
        (pipeline.decided.topic, payment(2, note="gift")),
        (pipeline.decided.topic, payment(2, note="gift")),
        (pipeline.decided.topic, payment(1, amount=99)),
        (pipeline.decided.topic, None),
        (pipeline.decided.topic, b"{"),
        (pipeline.topics.probes, b"probe-1"),
    ]
    assert pipeline.labels is not None
    labels = [
        (pipeline.labels.topic, b'{"id": "t1", "label": 1, "source": "chargeback"}'),
        (pipeline.labels.topic, b"{}"),
    ]
    blueprint = Blueprint.of(pipeline, pipeline.directory / "tiny-1")
    intake, lane = Intake(blueprint, lambda: float(NOW_MS)), Lane(0)
    history = HistoryStage(blueprint, 1_000_000, lambda: float(NOW_MS))
    decide, state = DecideStage(blueprint, lambda: float(NOW_MS)), State(*(MemoryStore() for _ in range(4)))
    store = MemoryStore()
    whole = Output()
    for batch in (records, labels):
        rows = [
            FIELD_SEPARATOR.join(
                [topic, "0", str(offset), PUBLISHED, "N" if value is None else f"V{value.decode('latin-1')}"]
            )
            for offset, (topic, value) in enumerate(batch)
        ]
        blobs = [blob for _, blob in intake.process(lane, rows, HeldRecords(MemoryStore()))]
        parts = [blob for _, blob in history.process(0, store, blobs)]
        out = decide.process(0, state, parts)
        whole.decided += out.decided
        whole.letters += out.letters
        whole.outcomes += out.outcomes
        whole.probes += out.probes
    return whole


def test_decisions_are_as_their_schema_says(pipeline: Pipeline, written: Output) -> None:
    decisions = [json.loads(text) for _, text in written.decisions]
    assert len(decisions) == 3
    assert any(decision["reasons"] for decision in decisions)
    assert any(decision["duplicate"] for decision in decisions)
    for decision in decisions:
        check(SCHEMAS["decision"](None), decision)
        check(SCHEMAS["decision"](pipeline), decision)


def test_dead_letters_are_as_their_schema_says(written: Output) -> None:
    letters = [json.loads(letter) for letter in written.letters]
    assert {letter["reason"] for letter in letters} == {"null_value", "not_json", "conflict", "missing_field"}
    for letter in letters:
        check(SCHEMAS["dead-letter"](None), letter)


def test_outcomes_are_as_their_schema_says(written: Output) -> None:
    assert len(written.outcomes) == 1
    check(SCHEMAS["outcome"](None), json.loads(written.outcomes[0][1]))


def test_probe_results_are_as_their_schema_says(written: Output) -> None:
    assert len(written.probes) == 1
    check(SCHEMAS["probe-result"](None), json.loads(encode_json(written.probes[0])))


def test_labels_are_as_the_pipeline_names_them(pipeline: Pipeline) -> None:
    schema = SCHEMAS["label"](pipeline)
    check(schema, {"id": "t1", "label": 1, "known_at": NOW_MS, "source": "analyst", "version": 2})
    check(schema, {"id": 1, "label": False, "known_at": None})
    for bad in (
        {"id": "t1"},
        {"id": "t1", "label": 2},
        {"id": None, "label": 1},
        {"id": "t1", "label": 1, "known_at": "x"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            check(schema, bad)


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name](None))


@pytest.mark.parametrize("time_format", ["epoch_ms", "epoch_s", "iso8601"])
def test_what_a_transactions_schema_takes_and_refuses_is_what_the_decoder_does(time_format: str) -> None:
    fields = (
        Field("id", "string"), Field("at", "integer"), Field("n", "integer", required=False),
        Field("x", "number"), Field("b", "boolean", required=False), Field("s", "string", required=False),
    )  # fmt: skip
    event = EventType("payment", "payments", "id", "at", fields, time_format)
    time = {"epoch_ms": NOW_MS, "epoch_s": NOW_MS / 1000, "iso8601": "2023-11-14T22:13:20Z"}[time_format]
    good = {"id": "a", "at": time, "n": 1, "x": 1.5, "b": True, "s": "t", "unknown": [1]}
    rows: list[Any] = [good, {"id": "a", "at": time, "x": 1}, [], 5, {}]
    strange: tuple[Any, ...] = (None, "", "t", 1, -1, 1.5, True, [], {}, 1 << 63, 1 << 70)
    rows += [{**good, name: value} for name in good for value in strange]
    decoder, schema = Decoder(event, Limits()), event_schema(event)
    for row in rows:
        taken = isinstance(decoder.decode(json.dumps(row).encode(), None), Event)
        valid = jsonschema.Draft202012Validator(schema).is_valid(row)
        # A text that is no time, and nothing else, is a matter of the decoder alone.
        no_time = isinstance(row, dict) and time_format == "iso8601" and row.get("at") in ("", "t")
        assert taken == (valid and not no_time), row
