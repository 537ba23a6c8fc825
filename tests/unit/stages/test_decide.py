"""Deciding: the first complete record of an id gets the decision, its duplicates get that one again, other content none."""

from array import array
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from mitra.blueprint import Blueprint
from mitra.decide import Decided, State
from mitra.decode import Event, event_of, payload_fields
from mitra.history import CONFLICT
from mitra.messages import PartBatch, Probe, ReportBatch, encode
from mitra.pipeline import load_pipeline
from mitra.revision import Revision
from mitra.route import LATE
from mitra.stages.decide import DecideStage, Output
from tests.factories.stages import part as make_part
from tests.factories.stages import state

PIPELINE = """
name: small
events:
  payment:
    id: id
    time: time
    decided: true
    fields: {id: integer, time: time, customer: string, terminal: {type: string, required: false}, amount: number}
entities: {customer: customer, terminal: terminal}
labels: {id: id, horizon: 1d}
features:
  amount: amount
  customer_count: count(by=customer, over="1h")
  terminal_count: count(by=terminal, over="1h")
  terminal_mean: default(mean(amount, by=terminal, over="1d"), 0)
  seen_before: previous(terminal, by=customer) == terminal
job: {include_features: true}
"""


class Scorer:
    """Scores by the amount."""

    reference = "amounts@1"
    features = ("amount",)

    def raw_scores(self, x: Any) -> Any:
        return x[:, 0].astype(np.float64) / 1000

    def calibrate(self, raw: Any) -> Any:
        return np.sqrt(raw)

    def outcomes(self, scores: Any) -> Any:
        return (scores >= 0.5).astype(int) + (scores >= 0.9)

    def explain(self, x: Any) -> list[list[dict[str, Any]]]:
        return [[{"feature": "amount", "value": float(row[0])}] for row in x]


class Scored(Blueprint):
    def load_model(self) -> Any:
        return Scorer()


@pytest.fixture(scope="module")
def blueprint(tmp_path_factory: pytest.TempPathFactory) -> Blueprint:
    path = tmp_path_factory.mktemp("decide") / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    return Scored(load_pipeline(path))


@pytest.fixture
def stage(blueprint: Blueprint) -> DecideStage:
    return DecideStage(blueprint, lambda: 1010.0)


def payment(id: int = 7, amount: float = 10.0, terminal: str | None = "t", time_ms: int = 5000) -> Event:
    return event_of(str(id), time_ms, (id, time_ms, "c", terminal, amount))


@pytest.fixture
def part(blueprint: Blueprint) -> Any:
    def made(event: Event, **more: Any) -> PartBatch:
        defaults = {"values": [[3.0, np.nan]], "texts": [["t"]], "plan": Revision(blueprint).fingerprint}
        pipeline = blueprint.pipeline
        defaults |= {"fields": payload_fields(pipeline.decided), "names": [entity.name for entity in pipeline.entities]}
        return make_part(event, **defaults | more)

    return made


def decide(stage: DecideStage, stored: State, *batches: PartBatch) -> Decided:
    """Decide parts of one revision."""
    [decided] = stage.process(0, stored, map(encode, batches)).decided
    return decided


def test_a_decision_says_all_that_is_known(stage: DecideStage, part: Any) -> None:
    other = part(
        payment(amount=810.0), expected=2, entities=[1], keys=["t"], values=[[4.0, 2.5]], texts=[[]], payload=False
    )
    out = stage.process(0, state(), map(encode, [part(payment(amount=810.0), expected=2), other]))
    ((key, value),) = out.decisions
    assert key == "7"
    assert msgspec.json.decode(value) == {
        "transaction_id": 7,
        "event_time": 5000,
        "decided_at": 1010,
        "latency_ms": 10.0,
        "timing_ms": {"history": 2.0, "gather": 8.0, "decide": 0.0},
        "outcome": "block",
        "score": pytest.approx(0.9, abs=1e-6),
        "raw_score": pytest.approx(0.81, abs=1e-6),
        "model": "amounts@1",
        "models": {},
        "rules": [],
        "not_evaluated": {},
        "shadow": [],
        "reasons": [{"feature": "amount", "value": 810.0}],
        "revision": 0,
        "degraded": [],
        "approximate": [],
        "late": False,
        "duplicate": False,
        "features": {
            "amount": 810.0, "customer_count": 3, "terminal_count": 4, "terminal_mean": 2.5, "seen_before": True
        },
    }  # fmt: skip


def test_reasons_are_given_for_flagged_decisions_only(stage: DecideStage, part: Any) -> None:
    decided = decide(
        stage, state(), part(payment(1, 10.0)), part(payment(2, 300.0), offset=1), part(payment(3, 0.0), offset=2)
    )
    assert [(d.outcome, bool(d.reasons)) for d in decided.decisions] == [
        ("allow", False),
        ("review", True),
        ("allow", False),
    ]


def test_an_untouched_entity_leaves_its_features_missing(stage: DecideStage, part: Any) -> None:
    (decision,) = decide(stage, state(), part(payment(terminal=None))).decisions
    assert decision.features == {
        "amount": 10.0, "customer_count": 3, "terminal_count": None, "terminal_mean": 0.0, "seen_before": None
    }  # fmt: skip


def test_features_are_left_out_unless_asked_for(blueprint: Blueprint, part: Any) -> None:
    pipeline = replace(blueprint.pipeline, job=replace(blueprint.pipeline.job, include_features=False))
    out = DecideStage(Scored(pipeline), lambda: 1010.0).process(0, state(), [encode(part(payment()))])
    assert "features" not in msgspec.json.decode(out.decisions[0][1])


@pytest.mark.parametrize("together", [True, False])
def test_a_duplicate_gets_the_first_decision_again(stage: DecideStage, part: Any, together: bool) -> None:
    stored = state()
    first, again = part(payment(amount=900.0)), part(payment(amount=900.0), offset=1, values=[[99.0, 99.0]])
    if together:
        a, b = decide(stage, stored, first, again).decisions
    else:
        (a,), (b,) = decide(stage, stored, first).decisions, decide(stage, stored, again).decisions
    assert (a.duplicate, b.duplicate) == (False, True)
    assert b.features is msgspec.UNSET
    for name in (
        "transaction_id",
        "event_time",
        "decided_at",
        "outcome",
        "score",
        "raw_score",
        "model",
        "reasons",
        "late",
    ):
        assert getattr(a, name) == getattr(b, name)


@pytest.mark.parametrize("together", [True, False])
def test_other_content_under_the_same_id_is_a_conflict(stage: DecideStage, part: Any, together: bool) -> None:
    stored = state()
    first, other = part(payment()), part(payment(amount=11.0), offset=5, partition=2, statuses=[CONFLICT])
    if together:
        decided = decide(stage, stored, other, first)
    else:
        decide(stage, stored, first)
        decided = decide(stage, stored, other)
    assert len(decided.decisions) == together
    (letter,) = decided.letters
    assert (letter.reason, letter.field, letter.partition, letter.offset) == ("conflict", "id", 2, 5)
    assert (
        letter.message
        == "payment id=7 was seen before with other content; send a corrected payment under an id of its own"
    )


def test_of_two_contents_that_dispute_each_other_one_is_decided(stage: DecideStage, part: Any) -> None:
    """Each came first in one history: the first that is complete wins, without the answer it didn't get."""
    one = [
        part(payment(), expected=2),
        part(payment(), expected=2, entities=[1], keys=["t"], statuses=[CONFLICT], texts=[[]], payload=False),
    ]
    other = [
        part(payment(amount=2.0), expected=2, offset=1, statuses=[CONFLICT]),
        part(payment(amount=2.0), expected=2, offset=1, entities=[1], keys=["t"], texts=[[]], payload=False),
    ]
    stored = state()
    (decision,) = decide(stage, stored, *one).decisions
    assert (decision.degraded, decision.duplicate) == (["terminal"], False)
    decided = decide(stage, stored, *other)
    assert (len(decided.decisions), len(decided.letters)) == (0, 1)


def test_a_late_event_is_marked(stage: DecideStage, part: Any) -> None:
    (decision,) = decide(stage, state(), part(payment(), flags=bytes([LATE]))).decisions
    assert decision.late


def test_features_that_used_a_tiles_edge_are_named(stage: DecideStage, part: Any) -> None:
    terminal = part(payment(), entities=[1], keys=["t"], texts=[[]], approximate=b"\0\1")
    (decision,) = decide(stage, state(), terminal).decisions
    assert decision.approximate == ["terminal_mean"]


def test_answers_of_another_plan_count_as_missing_and_the_decision_says_so(stage: DecideStage, part: Any) -> None:
    fields, values = ["customer:string", "amount:string", "id:integer", "gone:number"], ("c", "12", 7, 1.0)
    old = Event("7", 5000, values, msgspec.msgpack.encode(values), 1)
    (decision,) = decide(stage, state(), part(old, plan=1, fields=fields)).decisions
    assert decision.transaction_id == 7
    assert decision.degraded == ["customer"]
    assert decision.features == {
        "amount": None, "customer_count": None, "terminal_count": None, "terminal_mean": 0.0, "seen_before": None
    }  # fmt: skip


def test_an_entity_that_another_plan_had_is_left_out(stage: DecideStage, part: Any) -> None:
    old = part(payment(), plan=1, entities=[2, 0], keys=["x", "t"], values=[[1.0], [1.0]], texts=[[], []])
    old.entities = ["terminal", "customer", "gone"]
    decided = decide(stage, state(), old)
    assert (decided.records[0].entities, decided.records[0].keys) == (["terminal"], ["t"])
    assert decided.decisions[0].degraded == ["terminal"]


def test_a_payment_sent_again_behind_an_upgrade_of_its_fields_is_a_duplicate(stage: DecideStage, part: Any) -> None:
    stored = state()
    values = (7, 5000, "c", "t")
    old = Event("7", 5000, values, msgspec.msgpack.encode(values), 1)
    fields = ["id:integer", "time:integer", "customer:string", "terminal:string"]
    decide(stage, stored, part(old, plan=1, fields=fields))
    decided = decide(stage, stored, part(payment(), offset=1))
    assert [decision.duplicate for decision in decided.decisions] == [True]
    assert not decided.letters


def test_a_label_of_a_pipeline_with_more_topics_falls_due_all_the_same(blueprint: Blueprint) -> None:
    now = [0.0]
    stage = DecideStage(blueprint, lambda: now[0])
    stored = state()
    waiting = ReportBatch(
        ["7"], array("d", [1.0]).tobytes(), *[array("q", [1]).tobytes()] * 2, [""], b"\x09", array("i", [1]).tobytes(),
        array("q", [4]).tobytes(), [b"{}"],
    )  # fmt: skip
    stage.process(0, stored, [encode(waiting)])
    now[0] = 25 * 3_600_000.0
    (letter,) = map(msgspec.json.decode, stage.expire(0, stored))
    assert letter["topic"] == "small.labels"


def test_nothing_is_written_before_all_is_computed(blueprint: Blueprint, part: Any) -> None:
    moments = iter([0.0])  # the clock breaks when it is read again, behind the model
    stored = state()
    with pytest.raises(StopIteration):
        decide(DecideStage(blueprint, lambda: next(moments)), stored, part(payment()), part(payment(8), expected=2))
    assert not stored.pending.data
    assert not stored.decisions.data


def report(id: str, version: int = 1, value: float = 1.0) -> bytes:
    return encode(
        ReportBatch(
            ids=[id],
            values=array("d", [value]).tobytes(),
            known_at_ms=array("q", [6000]).tobytes(),
            versions=array("q", [version]).tobytes(),
            sources=["analyst"],
            topics=b"\2",
            partitions=array("i", [1]).tobytes(),
            offsets=array("q", [4]).tobytes(),
            raw=[b'{"id":7}'],
        )
    )


def outcomes(out: Output) -> list[tuple[str, float, dict[str, str]]]:
    decoded = [msgspec.json.decode(value) for _, value in out.outcomes]
    return [(one["transaction_id"], one["label"], one["entities"]) for one in decoded]


JOINED = ("7", 1.0, {"customer": "c"})


def test_a_label_joins_the_decision_of_its_batch_or_an_earlier_one(stage: DecideStage, part: Any) -> None:
    stored = state()
    assert outcomes(stage.process(0, stored, [report("7"), encode(part(payment()))])) == [JOINED]
    assert outcomes(stage.process(0, stored, [report("7", 2)])) == [JOINED]


def test_what_no_kafka_message_holds_is_not_sent(stage: DecideStage, part: Any) -> None:
    stored = state()
    out = stage.process(
        0, stored, [encode(part(payment(), keys=["\1" * 200_000], texts=[["t" * 1_000_000]])), report("7")]
    )
    assert outcomes(out) == []
    (letter,) = map(msgspec.json.decode, out.letters)
    assert (letter["reason"], letter["topic"], letter["offset"]) == ("too_large", "small.labels", 4)


def test_features_that_make_a_decision_too_large_are_left_out(stage: DecideStage, part: Any) -> None:
    out = stage.process(0, state(), [encode(part(payment()))])
    ((_, value),) = out.decisions
    assert "features" in msgspec.json.decode(value)
    out.decided[0].decisions[0].features = {"note": "x" * 1_000_000}
    ((_, value),) = out.decisions
    assert len(value) < 1_000
    assert msgspec.json.decode(value)["outcome"] == "allow"


def test_a_label_waits_for_its_transaction(stage: DecideStage, part: Any) -> None:
    stored = state()
    out = stage.process(0, stored, [report("7")])
    assert out.outcomes == []
    assert out.due_ms == {25 * 3_600_000}
    assert outcomes(stage.process(0, stored, [encode(part(payment()))])) == [JOINED]


def test_a_label_whose_transaction_never_comes_is_a_dead_letter(blueprint: Blueprint) -> None:
    now = [0.0]
    stage = DecideStage(blueprint, lambda: now[0])
    stored = state()
    stage.process(0, stored, [report("7")])
    assert stage.expire(0, stored) == []
    now[0] = 25 * 3_600_000.0
    (letter,) = map(msgspec.json.decode, stage.expire(0, stored))
    assert (letter["reason"], letter["topic"], letter["partition"], letter["offset"]) == (
        "unknown_transaction", "small.labels", 1, 4
    )  # fmt: skip
    assert stage.expire(0, stored) == []


def test_a_probe_goes_through_and_touches_nothing(stage: DecideStage) -> None:
    stored = state()
    out = stage.process(3, stored, [encode(Probe("p", 3, 1.0, ["intake"]))])
    assert out.probes == [Probe("p", 3, 1.0, ["intake", "decide of bucket 3"])]
    assert not out.decisions
    assert not any(store.data for store in (stored.pending, stored.decisions, stored.waiting))


def test_a_row_that_the_model_fails_on_is_decided_without_a_score_and_costs_nobody_else_theirs(
    stage: DecideStage, part: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def picky(self: Scorer, x: Any) -> Any:
        if (x[:, 0] == 13.0).any():
            raise ValueError("thirteen")
        return x[:, 0].astype(np.float64) / 1000

    monkeypatch.setattr(Scorer, "raw_scores", picky)
    batches = [part(payment(1, amount=13.0)), part(payment(2, amount=810.0), offset=2)]
    out = stage.process(0, state(), map(encode, batches))
    found = {one.transaction_id: one for one in out.decided[0].decisions}
    assert (found[1].outcome, found[1].score, found[1].degraded) == ("allow", None, ["model"])
    assert (found[2].outcome, found[2].degraded, len(found[2].reasons)) == ("block", [], 1)
