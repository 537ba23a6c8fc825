"""Changes planned, sent and waited for."""

import json
from pathlib import Path

import pytest

from mitra.control.changes import Plan, Signature, Wanted, additions, plan
from mitra.control.progress import behind_text
from mitra.control.push import Pushed, push, why_not
from mitra.control.replay import Replay
from mitra.pipeline import Pipeline, load_pipeline
from tests.factories.control import CONTEXT, rule
from tests.factories.control_topics import MemoryTopics

ANN = Signature("ann", "a wave")
PIPELINE = Path(__file__).parents[3] / "examples" / "payments" / "pipeline.yaml"


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return load_pipeline(PIPELINE)


def put(name: str, **rest: object) -> Wanted:
    return Wanted("rule.put", name, {"rule": rule(id=name, **rest)})


def live(topics: MemoryTopics) -> Replay:
    replay = Replay(CONTEXT)
    list(replay.take_all(topics.log(0)))
    return replay


def pushed(pipeline: Pipeline, topics: MemoryTopics, *wanted: Wanted, timeout_s: float | None = 0.05) -> Pushed:
    replay = live(topics)
    planned = plan(replay, wanted, ANN)
    assert not planned.refused
    return push(pipeline, topics, replay, planned, timeout_s)


def planned(topics: MemoryTopics, *wanted: Wanted, by: Signature = ANN) -> Plan:
    return plan(live(topics), wanted, by)


def test_a_push_returns_when_every_part_runs_it(pipeline: Pipeline):
    topics = MemoryTopics(CONTEXT)
    done = pushed(pipeline, topics, put("one"), put("two"))
    assert done.done
    assert done.revision == 2
    assert [(one.revision, one.state, one.entry and one.entry.version) for one in done.sent] == [
        (1, "prepared", 1),
        (2, "prepared", 1),
    ]
    assert done.sizes == {"intake": 2, "history": 2, "decide": 2}
    first = json.loads(topics.records[0] or b"")
    assert (first["author"], first["reason"], first["change"]) == ("ann", "a wave", "rule.put")


def test_a_bucket_that_does_not_prepare_is_named_and_not_those_that_wait_for_it(pipeline: Pipeline):
    topics = MemoryTopics(CONTEXT)
    pushed(pipeline, topics, put("one"))
    topics.silent = {("decide", 1)}
    late = pushed(pipeline, topics, put("two"))
    assert not late.done
    assert late.unready == {"decide": {1: 1}}
    told = why_not(late, "30s").splitlines()
    assert told[1] == "decide: bucket 1: has not prepared it, and all others wait for that; runs revision 1"
    assert len(told) == 3


def test_a_lane_that_does_not_activate_is_named(pipeline: Pipeline):
    topics = MemoryTopics(CONTEXT)
    pushed(pipeline, topics, put("one"))
    topics.silent = {("intake", 0)}
    late = pushed(pipeline, topics, put("two"))
    assert not late.done
    assert late.behind == {"intake": {0: 1}}
    told = why_not(late, "30s")
    assert "intake: lane 0: runs revision 1" in told
    assert "revision 2 is not active everywhere after 30s" in told


def test_a_job_that_is_down_is_guessed_at(pipeline: Pipeline):
    topics = MemoryTopics(CONTEXT, down=True)
    late = pushed(pipeline, topics, put("one"))
    assert not late.done
    assert late.sent[0].state == "sent"
    assert "is the job running?" in why_not(late, "30s")
    assert topics.records


def test_what_is_live_already_is_not_sent_but_still_waited_for(pipeline: Pipeline):
    topics = MemoryTopics(CONTEXT, down=True)
    pushed(pipeline, topics, put("one"))
    again = pushed(pipeline, topics, put("one"))
    assert not again.sent
    assert not again.done
    topics.down = False
    topics.work()
    assert pushed(pipeline, topics, put("one")).done
    assert len(topics.records) == 1


def test_nothing_is_waited_for_if_not_asked_to(pipeline: Pipeline):
    topics = MemoryTopics(CONTEXT, down=True)
    done = pushed(pipeline, topics, put("one"), timeout_s=None)
    assert done.done
    assert done.sent[0].entry is not None
    assert done.sent[0].entry.version == 1


def test_a_plan_names_what_would_be_refused_and_each_change_is_held_against_those_before_it():
    topics = MemoryTopics(CONTEXT)
    made = planned(
        topics,
        Wanted("feature.put", "double", {"name": "double", "text": "amount * 2"}),
        put("one", when="double > 5"),
        put("two", when="tripple > 5"),
        put("one", when="double > 5"),
        Wanted("list.add", "mules", {"name": "mules", "entries": [{"key": "a"}]}),
    )
    assert [one.wanted.about for one in made.send] == ["double", "one"]
    assert [one.about for one in made.unchanged] == ["one"]
    assert [one.about for one, _ in made.refused] == ["two", "mules"]
    assert "--> rules.two.when:1:1" in made.refused[0][1].render()
    assert made.refused[1][1].render().startswith('name: there is no list "mules"')
    assert not topics.records


def test_many_wrong_things_are_told_once_each():
    bad = {"id": "one", "when": "amount > 1", "outcome": "blok", "mode": "lively"}
    ((_, problem),) = planned(MemoryTopics(CONTEXT), Wanted("rule.put", "one", {"rule": bad})).refused
    assert problem.render().splitlines() == [
        'rule.outcome: found "blok"; allowed: allow, review, block',
        "  did you mean block?",
        'rule.mode: found "lively"; allowed: live, shadow, paused',
        "  did you mean live?",
    ]


def test_the_same_id_is_made_once(pipeline: Pipeline):
    topics = MemoryTopics(CONTEXT)
    by = Signature("ann", id="x")
    replay = live(topics)
    push(pipeline, topics, replay, plan(replay, [put("one")], by), None)
    again = planned(topics, put("one", when="amount > 7"), by=by)
    assert [one.about for one in again.unchanged] == ["one"]


def test_an_id_that_was_refused_is_not_tried_again():
    topics = MemoryTopics(CONTEXT)
    topics.append([b'{"change": "rule.retire", "id": "x", "author": "ann", "rule": "gone"}'])
    ((_, problem),) = planned(topics, put("one"), by=Signature("ann", id="x")).refused
    assert "answered as revision 1" in problem.render()


def test_ids_of_several_changes_differ():
    made = planned(MemoryTopics(CONTEXT), put("one"), put("two"), by=Signature("ann", id="x"))
    assert [one.id for one in made.send] == ["x/0/one", "x/1/two"]


def test_a_scheduled_change_is_answered_and_not_waited_for(pipeline: Pipeline):
    topics = MemoryTopics(CONTEXT)
    replay = live(topics)
    made = plan(replay, [put("one")], Signature("ann", effective_at="2190-01-01T00:00:00Z"))
    done = push(pipeline, topics, replay, made, 0.05)
    assert [one.state for one in done.sent] == ["scheduled"]


def test_entries_go_in_changes_of_a_size_that_is_taken(pipeline: Pipeline):
    topics = MemoryTopics(CONTEXT)
    many = [{"key": f"{number:05}"} for number in range(25_000)]
    wide = [{"key": f"{number:01000}"} for number in range(2_000)]
    declared = Wanted("list.put", "mules", {"name": "mules", "kind": "block", "by": "customer"})
    changes = [declared, *additions("mules", many), *additions("mules", wide)]
    assert len(changes) == 1 + 3 + 3
    assert pushed(pipeline, topics, *changes).done
    assert len(live(topics).entries_of("list:mules")) == 27_000


def test_who_is_behind_reads_well():
    sizes = {"intake": 1, "history": 4, "decide": 4}
    told = behind_text(
        {"intake": {0: None}, "history": {1: 3, 2: 3, 3: None}, "decide": dict.fromkeys(range(4), 2)}, {}, sizes
    )
    assert told.splitlines() == [
        "intake: lane 0: no word yet",
        "history: bucket 3: no word yet",
        "history: buckets 1, 2: runs revision 3",
        "decide: all 4 buckets: runs revision 2",
    ]
