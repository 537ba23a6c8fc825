"""A sound pipeline file as the classes that every stage uses."""

import pickle
from pathlib import Path

import pytest

from mitra.errors import ProblemsError
from mitra.pipeline import Pipeline, load_pipeline
from mitra.pipeline_whole import check_whole
from mitra.schema import Entity, Field

ROOT = Path(__file__).resolve().parents[3]

SMALL = """
name: small
events:
  payment:
    id: id
    time: at
    fields:
      id: string
      at: time
      amount: number
      note: {type: string, required: false}
"""


def load(folder: Path, text: str) -> Pipeline:
    path = folder / "pipeline.yaml"
    path.write_text(text, encoding="utf-8")
    return load_pipeline(path)


def problems(folder: Path, text: str) -> dict[str, str]:
    with pytest.raises(ProblemsError) as caught:
        load(folder, text)
    return {problem.path: problem.message for problem in caught.value.problems}


def test_what_a_file_leaves_out_has_its_default(tmp_path: Path) -> None:
    pipeline = load(tmp_path, SMALL)
    assert pipeline.directory == tmp_path
    assert pipeline.bootstrap == "localhost:9092"
    assert pipeline.delivery == "at-least-once"
    assert pipeline.topics.dead_letters == "small.dead_letters"
    assert pipeline.decided.topic == "small.payment"
    assert pipeline.labels is None
    assert pipeline.model is None
    assert (pipeline.job.buckets, pipeline.job.batch_ms, pipeline.job.start) == (8, 4, "earliest")
    assert pipeline.job.decision_memory_ms == 7 * 86_400_000


def test_the_time_field_holds_an_integer_whatever_form_it_comes_in(tmp_path: Path) -> None:
    pipeline = load(tmp_path, SMALL.replace("time: at", "time: at\n    time_format: iso8601"))
    assert pipeline.decided.by_name["at"] == Field("at", "integer")
    assert pipeline.decided.by_name["note"] == Field("note", "string", required=False)


def test_everything_can_be_set(tmp_path: Path) -> None:
    pipeline = load(
        tmp_path,
        SMALL.replace("number", "number\n      customer: integer")
        + """
kafka: {bootstrap: "a:1, b:2", properties: {linger.ms: 5, ssl: true}, partitions: 16, replication: 3}
delivery: exactly-once
zone: Europe/Vienna
topics: {decisions: out}
entities: {customer: customer, pair: [customer, note]}
features: {spent: "sum(amount, by=customer, over='1d')", ten: 10}
labels: {name: bad, topic: verdicts, id: tx, label: verdict, known_at: seen, absent_is: legit, after: 7d, horizon: 90d}
model: {path: models/one, inputs: [spent], review: 0.5, block: 1}
history: {raw_events: 100, max_window: 400d}
limits: {message_bytes: 1000, expression_bytes: 100, expression_depth: 9, max_future: 1h}
job: {buckets: 16, lanes: 2, batch: 2ms, decision_memory: 1d, start: latest, include_features: true}
""",
    )
    assert pipeline.kafka_properties == {"linger.ms": "5", "ssl": "true"}
    assert (pipeline.bootstrap, pipeline.kafka_shape.partitions, pipeline.kafka_shape.replication) == (
        "a:1, b:2",
        16,
        3,
    )
    assert pipeline.topics.decisions == "out"
    assert pipeline.entities == (Entity("customer", ("customer",)), Entity("pair", ("customer", "note")))
    assert pipeline.features == {"spent": "sum(amount, by=customer, over='1d')", "ten": "10"}
    assert pipeline.labels is not None
    assert (pipeline.labels.after_ms, pipeline.labels.absent_is) == (7 * 86_400_000, "legit")
    assert pipeline.model is not None
    assert pipeline.model.path == tmp_path / "models" / "one"
    assert (pipeline.model.review, pipeline.model.block) == (0.5, 1.0)
    assert pipeline.model_inputs == ("spent",)
    assert pipeline.limits.max_future_ms == 3_600_000
    assert pipeline.job.include_features


def test_a_pipeline_survives_the_way_into_the_job(tmp_path: Path) -> None:
    pipeline = load(tmp_path, SMALL)
    assert pickle.loads(pickle.dumps(pipeline)) == pipeline


def test_another_kafka_can_be_given_at_the_call(tmp_path: Path) -> None:
    load(tmp_path, SMALL)
    assert load_pipeline(tmp_path / "pipeline.yaml", bootstrap="other:9").bootstrap == "other:9"


def test_yaml_that_reads_like_something_else_stays_text(tmp_path: Path) -> None:
    pipeline = load(tmp_path, SMALL.replace("note:", "no:") + "features: {on: no, time_of_day: 12:30 < 3}\n")
    assert "no" in pipeline.decided.by_name
    assert pipeline.features["on"] == "no"


LOGIN = "  login: {id: id, time: at, decided: DECIDED, fields: {id: string, at: time, user: string}}\n"
TWO = SMALL.replace("payment:", "payment:\n    decided: true") + LOGIN


def test_at_least_one_event_type_is_decided(tmp_path: Path) -> None:
    assert load(tmp_path, TWO.replace("DECIDED", "false")).decided.name == "payment"
    assert "one or more" in problems(tmp_path, SMALL.replace("payment:", "payment:\n    decided: false"))["events"]


def test_decided_types_share_their_fields(tmp_path: Path) -> None:
    pipeline = load(tmp_path, TWO.replace("DECIDED", "true"))
    payment, login = pipeline.decided_events
    assert [field.name for field in payment.fields] == [field.name for field in login.fields]
    assert [field.name for field in payment.fields][-2:] == ["user", "event"]
    assert login.own_names == {"id", "at", "user"}
    assert {field.name: field.fixed for field in login.fields if not field.read}["event"] == "login"


def test_decided_types_have_their_id_and_time_in_fields_of_one_name(tmp_path: Path) -> None:
    other = LOGIN.replace("id: id, time: at", "id: number, time: then").replace(
        "{id: string, at:", "{number: string, then:"
    )
    found = problems(tmp_path, TWO.replace(LOGIN, other).replace("DECIDED", "true"))
    assert "but payment, which is decided too, has" in found["events.login.id"]
    assert "but payment, which is decided too, has" in found["events.login.time"]
    named = TWO.replace("user: string", "event: string").replace("DECIDED", "true")
    assert "type of a decided event" in problems(tmp_path, named)["events.login.fields.event"]
    assert load(tmp_path, named.replace("decided: true, fields", "decided: false, fields"))


def test_a_model_is_asked_of_decided_types(tmp_path: Path) -> None:
    two = TWO.replace("DECIDED", "true")
    model = load(tmp_path, two + "model: {events: [payment]}\n").model
    assert model is not None
    assert model.events == ("payment",)
    assert (
        "allowed: a decided event type: payment, login"
        in problems(tmp_path, two + "model: {events: [pament]}\n")["model.events[0]"]
    )


def test_an_unknown_key_is_told_where_it_belongs(tmp_path: Path) -> None:
    with pytest.raises(ProblemsError, match=r"it belongs at job\.buckets"):
        load(tmp_path, SMALL + "buckets: 8\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [("\0", "special characters"), ("a: [", "cannot be read as YAML"), ("[" * 100, "deep"), ("a: {b", "line 1")],
)
def test_what_is_no_yaml_is_one_problem_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProblemsError, match=message) as caught:
        load(tmp_path, text)
    assert len(caught.value.problems) == 1


def test_a_file_that_is_not_there_or_not_utf8_is_one_problem(tmp_path: Path) -> None:
    with pytest.raises(ProblemsError, match="no such file"):
        load_pipeline(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: a\nzone: \xe4")
    with pytest.raises(ProblemsError, match=r"line 2: byte 14 is not UTF-8"):
        load_pipeline(tmp_path / "latin.yaml")
    with pytest.raises(ProblemsError, match=r"there is .*latin\.yaml"):
        load_pipeline(tmp_path)


@pytest.mark.parametrize("example", sorted(path.name for path in (ROOT / "examples").iterdir()))
def test_the_examples_are_sound(example: str) -> None:
    """A model that is still to be trained is no fault of the file."""
    _, found = check_whole(ROOT / "examples" / example / "pipeline.yaml")
    assert not [problem for problem in found if problem.path != "model.path"]


def test_the_handbook_names_the_books_fifteen_inputs() -> None:
    pipeline = load_pipeline(ROOT / "examples" / "handbook" / "pipeline.yaml")
    assert len(pipeline.model_inputs) == 15
    assert pipeline.model_inputs[0] == "TX_AMOUNT"
    assert pipeline.decided.id == "TRANSACTION_ID"
