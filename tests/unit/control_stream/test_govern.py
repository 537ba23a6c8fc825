"""Govern step by step: revisions, two steps, groups, duplicates, restarts, rollbacks, scheduled changes."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from control_stream.govern import RESEND_MS, Govern
from control_stream.limits import ControlLimits
from control_stream.live_set import Context, Delta, LiveSet
from control_stream.marks import Mark
from control_stream.pieces import UnknownPieceError
from control_stream.refusal import Refused
from mitra.history import MemoryStore
from tests.factories.control import CONTEXT, FEATURES, NOW_MS, RULE, Job, record, reply, rule
from tests.factories.expressions import schema


@pytest.fixture
def job() -> Job:
    return Job()


def put(job: Job, **rest: Any) -> int:
    ack = job.push("rule.put", rule=rule(**rest))
    assert ack.status == "prepared", ack
    return ack.revision


def test_the_revision_is_the_offset_and_one_and_is_active_when_all_parts_are(job: Job) -> None:
    job.offset = 4
    ack = job.push("rule.put", rule=RULE, id="mine")
    assert (ack.id, ack.revision, ack.status, ack.stage, ack.attempt) == ("mine", 5, "prepared", "govern", 1)
    (prepare,) = job.outputs[-1].prepare
    assert (prepare.revision, prepare.base, prepare.marks) == (5, 0, [])
    assert LiveSet().patched(Delta.decode(prepare.changes[0])) == job.govern.live
    assert [one.read_to for one in job.outputs[-1].activate] == [4]
    job.asked.popleft()  # what the lanes were told
    for part in range(2):
        for stage in ("history", "decide"):
            assert job.govern.activated == 0
            job.take(job.govern.ack(reply("ready", stage, part, 5, 1), NOW_MS))
    assert job.govern.activated == 5
    assert [(one.revision, one.read_to) for one in job.outputs[-1].activate] == [(5, 5)]
    assert not job.govern.settled
    job.answer()
    assert job.govern.settled


def test_changes_that_come_meanwhile_are_prepared_as_one_group(job: Job) -> None:
    first = put(job)
    for number in range(3):
        put(job, id=f"r{number}")
    assert [one.prepare for one in job.outputs[1:]] == [[], [], []]
    job.answer()
    groups = [one for output in job.outputs for one in output.prepare]
    assert [(one.base, one.revision, len(one.changes)) for one in groups] == [(0, first, 1), (first, 4, 3)]
    assert [one.revision for output in job.outputs for one in output.activate] == [1, 4]
    live = LiveSet()
    for group in groups:
        for delta in group.changes:
            live = live.patched(Delta.decode(delta))
    assert live == job.govern.live


def test_a_group_of_very_many_marks_is_cut() -> None:
    job = Job()
    job.push("list.put", name="m", kind="block", by="customer")
    for page in range(4):
        job.push("list.add", name="m", entries=[{"key": f"{page}-{number}"} for number in range(20_000)])
    job.answer()
    assert [len(one.marks) for output in job.outputs for one in output.prepare] == [0, 40_000, 40_000]


def test_refused_changes_are_acked_and_settle_the_log(job: Job) -> None:
    ack = job.push("rule.put", rule=rule(when="amout > 1"), id="bad")
    assert (ack.id, ack.status, ack.revision) == ("bad", "refused", 1)
    assert ack.place == "rules.big_at_night.when:1:1"
    assert "^^^^^" in ack.reason
    assert "did you mean amount?" in ack.hint
    assert job.send(None).status == "refused"
    assert [(one.revision, one.read_to) for output in job.outputs for one in output.activate] == [(0, 1), (0, 2)]
    put(job)
    job.push("nonsense")
    job.answer()
    assert [(one.revision, one.read_to) for output in job.outputs for one in output.activate][2:] == [(3, 4)]


def test_what_waits_is_not_told_as_settled(job: Job) -> None:
    put(job)
    job.push("nonsense")
    put(job, id="later")
    job.answer()
    told = [(one.revision, one.read_to) for output in job.outputs for one in output.activate]
    assert told == [(1, 2), (3, 3)]


def test_a_second_change_with_the_same_id_gets_the_first_answer(job: Job) -> None:
    first = job.push("rule.put", rule=RULE, id="once")
    job.now_ms += 5
    again = job.push("rule.retire", rule="big_at_night", id="once")
    assert (again.revision, again.status, again.at) == (first.revision, "prepared", first.at + 5)
    assert "big_at_night" in job.govern.live.rules
    bad = job.push("rule.retire", rule="nothing", id="bad")
    assert job.push("rule.put", rule=RULE, id="bad").reason == bad.reason


def test_a_record_delivered_again_is_ignored(job: Job) -> None:
    data = record("rule.put", rule=RULE)
    job.send(data)
    output = job.govern.control(0, data, NOW_MS)
    assert not output.acks
    assert not output.prepare


def test_another_topic_under_the_same_name_is_refused(job: Job) -> None:
    put(job)
    put(job, id="other")
    before = dict(job.store.data)
    (ack,) = job.govern.control(0, record("rule.retire", rule="other"), NOW_MS).acks
    assert (ack.status, ack.place, ack.id) == ("refused", "offset 0", "")
    assert "another control topic" in ack.reason
    assert job.store.data == before


def test_an_offset_that_was_skipped_counts_as_another_topic(job: Job) -> None:
    job.offset = 300
    put(job)
    assert job.govern.control(299, b"{}", NOW_MS).acks[0].place == "offset 299"
    assert not job.govern.control(300, b"", NOW_MS).activate


@pytest.mark.parametrize(
    "change",
    [
        lambda ack: ("ready", ack[1], 2, *ack[3:]),  # a bucket that isn't there
        lambda ack: ("ready", ack[1], -1, *ack[3:]),
        lambda ack: ("ready", "intake", *ack[2:]),
        lambda ack: ("ready", "govern", *ack[2:]),
        lambda ack: ("running", *ack[1:]),
        lambda ack: (*ack[:3], 9, ack[4]),  # a revision that nobody asked for
        lambda ack: (*ack[:4], 7),  # of another run
    ],
)
def test_acks_that_answer_nothing_change_nothing(
    job: Job, change: Callable[[tuple[Any, ...]], tuple[Any, ...]]
) -> None:
    put(job)
    before = dict(job.store.data)
    job.govern.ack(reply(*change(("ready", "history", 0, 1, 1))), NOW_MS)
    assert job.store.data == before


def test_a_restart_asks_again_and_takes_no_answer_to_the_run_before(job: Job) -> None:
    put(job)
    old = list(job.replies())
    job.restart()
    for ack in old:
        job.take(job.govern.ack(ack, NOW_MS))
    assert job.govern.activated == 0
    output = job.tick()
    assert [(one.attempt, one.revision, one.base) for one in output.prepare] == [(2, 1, 0)]
    job.answer()
    assert job.govern.settled


def test_answers_that_were_taken_outlast_a_restart(job: Job) -> None:
    put(job)
    ready = [reply("ready", stage, part, 1, 1) for stage in ("history", "decide") for part in range(2)]
    for ack in ready[:3]:
        job.take(job.govern.ack(ack, NOW_MS))
    job.restart()
    job.take(job.govern.ack(reply("ready", "decide", 1, 1, 2), NOW_MS))
    assert job.govern.activated == 1


def test_lanes_that_became_more_are_told_anew() -> None:
    job = Job()
    put(job)
    job.answer()
    assert job.govern.settled
    job.sizes["intake"] = 4
    job.restart()
    assert not job.govern.settled
    assert [one.revision for one in job.tick().activate] == [1]
    job.answer()
    assert job.govern.settled


def test_an_answer_that_does_not_come_is_asked_for_again(job: Job) -> None:
    job.tick()
    put(job)
    assert not job.tick(4.9).prepare
    assert [one.revision for one in job.tick(0.2).prepare] == [1]
    assert not job.tick(1).prepare
    job.answer()
    assert not job.tick(2 * RESEND_MS / 1_000).activate


def test_at_the_start_lanes_are_told_where_the_log_stands(job: Job) -> None:
    assert [(one.revision, one.read_to) for one in job.tick().activate] == [(0, 0)]
    assert not job.tick(10).activate


def test_a_roll_call_asks_everybody(job: Job) -> None:
    assert job.govern.roll_call().roll_call


def test_entries_are_marks_and_lie_nowhere_else(job: Job) -> None:
    job.push("list.put", name="mules", kind="block", by="customer")
    job.push("list.add", name="mules", entries=[{"key": "c1"}, {"key": "c2", "until": 99}])
    job.answer()
    ack = job.push("list.remove", name="mules", keys=["c1", "c8", "c9"])
    assert ack.reason == '2 of 3 keys were not on "mules": c8, c9'
    job.answer()
    put(job)
    job.push("snooze", rule="big_at_night", by="terminal", key="t1", until=50)
    job.answer()
    assert [mark for output in job.outputs for one in output.prepare for mark in one.marks] == [
        Mark("list:mules", "customer", "c1", 2),
        Mark("list:mules", "customer", "c2", 2, None, 99),
        Mark("list:mules", "customer", "c1", 2, 3),
        Mark("snooze:big_at_night", "terminal", "t1", 5, None, 50),
    ]
    assert b"c2" not in job.govern.live.encode()


def test_one_entry_costs_one_entry_however_many_there_are() -> None:
    job = Job()
    job.push("list.put", name="m", kind="watch", by="customer")
    for page in range(5):
        job.push("list.add", name="m", entries=[{"key": f"{page}-{number}"} for number in range(2_000)])
    job.answer()
    before = dict(job.store.data)
    job.push("list.add", name="m", entries=[{"key": "one more"}])
    changed = {key: data for key, data in job.store.data.items() if before.get(key) != data}
    assert sum(map(len, changed.values())) < 2_000
    assert max(map(len, job.store.data.values())) < 100_000


def test_a_rollback_brings_back_rules_features_lists_and_entries(job: Job) -> None:
    put(job)
    job.push("list.put", name="mules", kind="block", by="customer")
    job.push("list.add", name="mules", entries=[{"key": "stays"}, {"key": "goes"}, {"key": "ends", "until": 5}])
    job.answer()
    then = job.govern.live
    put(job, outcome="block")
    job.push("feature.put", name="double", text="amount * 2")
    job.push("list.add", name="mules", entries=[{"key": "comes"}, {"key": "ends", "until": 9}])
    job.push("list.remove", name="mules", keys=["goes"])
    job.push("list.add", name="mules", entries=[{"key": "goes", "until": 7}])
    job.push("rule.retire", rule="big_at_night")
    job.answer()
    ack = job.push("rollback", to=3)
    assert (ack.status, ack.revision) == ("prepared", 10)
    now = job.govern.live
    assert (now.rules, now.features, now.lists) == (then.rules, then.features, then.lists)
    assert now.rules["big_at_night"].version == 1
    place = ("list:mules", "customer")
    assert sorted(job.outputs[-1].prepare[0].marks, key=str) == sorted(
        [
            Mark(*place, "comes", 6, 10), Mark(*place, "ends", 6, 10, 9), Mark(*place, "ends", 10, None, 5),
            Mark(*place, "goes", 8, 10, 7), Mark(*place, "goes", 10),
        ],
        key=str,
    )  # fmt: skip
    job.answer()
    assert put(job, outcome="allow") == 11
    assert job.govern.live.rules["big_at_night"].version == 3


def test_a_rollback_can_be_rolled_back(job: Job) -> None:
    put(job)
    job.push("rollback", to=0)
    assert job.govern.live.rules == {}
    job.push("rollback", to=1)
    assert job.govern.live.rules["big_at_night"].version == 1


def test_a_rollback_goes_no_further_than_what_is_kept() -> None:
    job = Job(context=Context(schema(), FEATURES, ControlLimits(revisions=3)))
    for number in range(6):
        put(job, id=f"r{number}")
        job.answer()
    found = job.push("rollback", to=2)
    assert (found.status, found.hint) == ("refused", "the oldest to return to is 3")
    assert job.push("rollback", to=99).reason == "there is no revision 99 yet"
    assert job.push("rollback", to=6).reason == "nothing has changed since revision 6"
    assert job.push("rollback", to=3).status == "prepared"
    assert set(job.govern.live.rules) == {"r0", "r1", "r2"}
    assert len([key for key in job.store.data if key.startswith("d\0")]) == 3


def test_a_rollback_to_what_the_pipeline_no_longer_allows_is_refused(job: Job) -> None:
    put(job)
    job.push("rule.retire", rule="big_at_night")
    job.context = Context(schema(), {"amount": "amount"})
    job.restart()
    assert job.push("rollback", to=1).place == "rules.big_at_night.when:1:1"


def test_a_change_waits_for_its_time_and_the_log_says_when_it_came(job: Job) -> None:
    ack = job.push("rule.put", rule=RULE, id="later", effective_at=NOW_MS + 60_000)
    assert (ack.status, ack.revision) == ("scheduled", 1)
    put(job, id="meanwhile")
    assert not job.tick(59).publish
    stray = job.send(b'{"change": "take_effect", "of": "another", "id": "x", "author": "eve"}')
    assert (stray.status, stray.place, stray.id) == ("refused", "of", "")
    job.restart()
    (published,) = job.tick(1).publish
    assert json.loads(published)["of"] == "later"
    assert not job.tick(1).publish
    assert job.tick(5).publish == [published]
    ack = job.send(published)
    assert (ack.id, ack.status, ack.revision) == ("later", "prepared", 4)
    assert job.send(published).status == "refused"
    assert not job.tick(10).publish
    assert job.push("rule.retire", rule="big_at_night", id="later").revision == 4


def test_that_a_time_has_come_is_written_once_however_much_is_read_before_it_comes_back(job: Job) -> None:
    job.push("rule.put", rule=RULE, id="later", effective_at=NOW_MS + 60_000)
    job.tick(60)
    job.restart()
    job.published.clear()
    for _ in range(20):
        put(job)
    assert [json.loads(one)["of"] for one in job.published] == ["later"]


def test_what_has_taken_effect_once_does_so_again_under_a_clock_that_is_behind(job: Job) -> None:
    assert job.push("rule.put", rule=RULE, id="later", effective_at=NOW_MS + 60_000).status == "scheduled"
    ack = job.send(b'{"change": "take_effect", "of": "later", "id": "x", "author": "govern"}')
    assert (ack.id, ack.status, ack.revision) == ("later", "prepared", 2)


def test_a_change_that_can_not_be_made_now_is_not_scheduled(job: Job) -> None:
    assert job.push("rule.retire", rule="nothing", effective_at=NOW_MS + 60_000).status == "refused"


def test_a_scheduled_change_is_held_against_what_is_live_at_its_time(job: Job) -> None:
    put(job)
    job.push("rule.retire", rule="big_at_night", id="later", effective_at=NOW_MS - 1)
    job.push("rule.retire", rule="big_at_night")
    ack = job.send(job.published[0])
    assert (ack.id, ack.status, ack.place) == ("later", "refused", "rule")


def test_what_is_not_authorized_takes_no_id_away() -> None:
    def only_ann(change: Any, live: LiveSet, revision: int) -> None:
        if change.author != "ann":
            raise Refused("signatures", "is not signed")

    job = Job(context=replace(CONTEXT, authorize=only_ann))
    assert job.push("rule.put", rule=RULE, id="c1", author="eve").reason == "is not signed"
    assert job.send(b'{"id": "c1"}').status == "refused"
    assert job.push("rule.put", rule=RULE, id="c1").status == "prepared"


def test_state_of_another_release_is_refused() -> None:
    job = Job()
    put(job)
    job.store.data["header"] = b"\x09" + job.store.data["header"][1:]
    with pytest.raises(UnknownPieceError, match="version=9"):
        Govern(MemoryStore(job.store.data), CONTEXT, lanes=2, buckets=2, attempt=2)


def test_what_lies_before_the_log_begins_is_passed_over() -> None:
    job = Job(begins_at=2)
    told = [
        job.take(job.govern.control(offset, record("rule.put", rule=rule(id=f"r{offset}")), NOW_MS))
        for offset in range(3)
    ]
    assert [len(output.acks) for output in told] == [0, 0, 1]
    assert list(job.govern.live.rules) == ["r2"]
    job.answer()
    assert job.outputs[-1] is not None
    assert (job.govern.activated, job.govern.read) == (3, 3)


def test_a_log_that_is_empty_from_where_it_begins_is_settled() -> None:
    job = Job(begins_at=50)
    (activate,) = job.tick().activate
    assert (activate.revision, activate.read_to) == (0, 50)


def test_changes_that_were_deleted_before_they_were_read_are_told_once() -> None:
    job = Job()
    job.push("rule.put", rule=rule(id="one"))
    job.answer()
    job.first = 9
    job.restart()
    job.offset = 9
    lost, taken = job.take(job.govern.control(9, record("rule.put", rule=rule(id="two")), NOW_MS)).acks
    assert (lost.status, lost.place) == ("refused", "offsets 1 to 8")
    assert lost.reason == "changes at offsets 1 to 8 were deleted before this job had read them"
    assert (taken.status, taken.revision) == ("prepared", 10)
    job.offset = 12  # the ends of transactions take offsets too
    assert job.push("rule.put", rule=rule(id="three")).revision == 13
    assert sorted(job.govern.live.rules) == ["one", "three", "two"]
