"""docs/messages.md against the stages and the schemas: its examples are what really comes out, its tables name every field."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from mitra.blueprint import Blueprint
from mitra.dead_letter import DeadLetter
from mitra.decide import State
from mitra.decision import encode_json
from mitra.decode import Decoder, Reason, Rejection
from mitra.held_records import HeldRecords
from mitra.history import MemoryStore
from mitra.lane import Lane
from mitra.pipeline import Pipeline, load_pipeline
from mitra.records import SCHEMAS, label_schema
from mitra.rows import convert_row
from mitra.schema import EventType, Field, Limits
from mitra.stages.decide import DecideStage, Output
from mitra.stages.history import HistoryStage
from mitra.stages.intake import FIELD_SEPARATOR, Intake

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "messages.md").read_text(encoding="utf-8")
PIECES = dict(re.findall(r"^## (.+?)$(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
BY_MODEL = ("score", "raw_score", "reasons")
"""What a newly trained model of the example changes: checked by the schema, not by value."""

NOW_MS = 1_748_779_200_000
FIELDS = (
    Field("id", "string"),
    Field("at", "integer"),
    Field("amount", "number"),
    Field("items", "integer", required=False),
)
SHOP = EventType("payment", "shop.payments", "id", "at", FIELDS)
WORDS: dict[str, bytes | None] = {
    "a Kafka null": None,
    "0 bytes": b"",
    "70,000 bytes": b"x" * 70_000,
    '`{"id": "é"}` in Latin-1': '{"id": "é"}'.encode("latin-1"),
}


def shown(title: str) -> Any:
    """Return the first JSON example under a heading."""
    (found,) = re.findall(r"^```json\n(.*?)^```$", PIECES[title], re.MULTILINE | re.DOTALL)[:1]
    return json.loads(found)


def fields(title: str) -> list[str]:
    """Return the fields in the table under a heading, in order."""
    table = PIECES[title].partition("| field | means |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE)


def payment(number: int) -> bytes:
    message = {
        "transaction_id": f"b1c5{number:012x}", "event_time": NOW_MS - 360_000 + number * 20_000,
        "customer_id": f"c{number:05}", "card_id": f"k{number:05}", "terminal_id": "t00412", "merchant_id": "m0131",
        "merchant_category": "digital_goods", "device_id": "d77120", "amount": 1.0 + number / 4, "currency": "EUR",
        "country": "AT", "lat": 48.2, "lon": 16.4, "channel": "online",
    }  # fmt: skip
    return json.dumps(message).encode()


class Job:
    """The stages of the example's job, one after the other, with clocks that stand still."""

    def __init__(self, pipeline: Pipeline) -> None:
        blueprint = Blueprint.of(pipeline)
        self.lane, self.histories = Lane(0), MemoryStore()
        self.state = State(*(MemoryStore() for _ in range(4)))
        self.intake = Intake(blueprint, lambda: NOW_MS + 0.0)
        self.history = HistoryStage(blueprint, 1 << 20, lambda: NOW_MS + 3.2)
        self.decide = DecideStage(blueprint, lambda: NOW_MS + 5.9)

    def take(self, records: Sequence[tuple[str, bytes]]) -> Output:
        rows = [
            FIELD_SEPARATOR.join([topic, "0", str(offset), "2025-06-01 12:00:00.000", f"V{value.decode('latin-1')}"])
            for offset, (topic, value) in enumerate(records)
        ]
        routed = [blob for _, blob in self.intake.process(self.lane, rows, HeldRecords(MemoryStore()))]
        answered = [blob for _, blob in self.history.process(0, self.histories, routed)]
        return self.decide.process(0, self.state, answered)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    loaded = load_pipeline(ROOT / "examples" / "payments" / "pipeline.yaml")
    return replace(loaded, job=replace(loaded.job, buckets=1))


@pytest.fixture(scope="module")
def written(pipeline: Pipeline) -> tuple[Output, Output]:
    """What comes of eight payments from one device, and of the page's label and a probe."""
    job = Job(pipeline)
    first = job.take([(pipeline.decided.topic, payment(number)) for number in range(8)])
    assert pipeline.labels is not None
    label = json.dumps(shown("Label")).encode()
    return first, job.take([(pipeline.topics.probes, b"probe-1"), (pipeline.labels.topic, label)])


def same_but_for_the_model(found: dict[str, Any], example: dict[str, Any]) -> None:
    assert list(found) == list(example)
    assert {key: found[key] for key in found if key not in BY_MODEL} == {
        key: example[key] for key in example if key not in BY_MODEL
    }


def test_the_decision_is_one_that_came_out(pipeline: Pipeline, written: tuple[Output, Output]) -> None:
    example = shown("Decision")
    same_but_for_the_model(json.loads(written[0].decisions[-1][1]), example)
    jsonschema.validate(example, SCHEMAS["decision"](pipeline))


def test_the_outcome_is_one_that_came_out(written: tuple[Output, Output]) -> None:
    (outcome,) = written[1].outcomes
    same_but_for_the_model(json.loads(outcome[1]), shown("Outcome"))


def test_the_probe_result_is_one_that_came_out(written: tuple[Output, Output]) -> None:
    assert [json.loads(encode_json(probe)) for probe in written[1].probes] == [shown("Probe result")]


@pytest.mark.parametrize(
    ("title", "name"), [("Decision", "decision"), ("Dead letter", "dead-letter"), ("Outcome", "outcome")]
)
def test_tables_name_every_field_in_its_order(title: str, name: str) -> None:
    assert fields(title) == list(SCHEMAS[name](None)["properties"])


def test_the_label_is_as_the_pipeline_names_it(pipeline: Pipeline) -> None:
    assert pipeline.labels is not None
    schema = label_schema(pipeline.labels)
    jsonschema.validate(shown("Label"), schema)
    names = {"labels.id": "id", "labels.label": "label", "labels.known_at": "known_at"}
    assert [getattr(pipeline.labels, names[field]) if field in names else field for field in fields("Label")] == list(
        schema["properties"]
    )


def refused(event: EventType, value: bytes | None) -> Rejection:
    found = Decoder(event, Limits()).decode(value, NOW_MS)
    assert isinstance(found, Rejection)
    return found


def test_the_dead_letter_is_one_that_came_out() -> None:
    value = b'{"id": "p1", "at": 1748779200000, "amount": "a lot"}'
    letter = DeadLetter.of(refused(SHOP, value), SHOP.topic, 2, 1041, value)
    assert json.loads(letter.to_json()) == shown("Dead letter")


def test_every_reason_is_there_with_what_causes_it() -> None:
    table = PIECES["Dead letter"].partition("| reason | example | |")[2]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| ", table, re.MULTILINE)
    assert [reason for reason, _ in rows] == list(get_args(Reason))
    tried = set()
    for reason, example in rows:
        if example in WORDS:
            found = refused(SHOP, WORDS[example])
        elif message := re.match(r"`(.+?)`(?: with `time_format: (\w+)`)?$", example):
            found = refused(replace(SHOP, time_format=message[2] or "epoch_ms"), message[1].encode())
        else:
            continue
        assert found.reason == reason
        tried.add(reason)
    # Those need a file, a history or weeks of waiting; other tests have them.
    assert set(get_args(Reason)) - tried == {"wrong_columns", "conflict", "unknown_transaction", "unknown_topic"}
    assert isinstance(convert_row(SHOP, Limits(), [1, 2]), Rejection)
