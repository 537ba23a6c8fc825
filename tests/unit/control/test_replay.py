"""The log replayed: what is live, and what became of each change."""

import pytest

from mitra.control.replay import Replay
from mitra.control.topics import Record
from tests.factories.control import CONTEXT, NOW_MS, record, rule


def replayed(*records: bytes | None):
    replay = Replay(CONTEXT)
    return replay, [replay.take(Record(offset, NOW_MS + offset, data)) for offset, data in enumerate(records)]


def test_a_log_gives_what_is_live_and_what_became_of_each_change():
    replay, entries = replayed(
        record("rule.put", rule=rule(id="one"), reason="a wave"),
        b"{not json",
        record("rule.put", rule=rule(id="two", when="nothing > 1")),
        record("rule.mode", rule="one", mode="shadow"),
        record("rule.mode", rule="one", mode="shadow"),
    )
    assert [entry.became for entry in entries] == ["accepted", "refused", "refused", "accepted", "accepted"]
    assert [entry.changed for entry in entries] == [True, False, False, True, False]
    assert [entry.about for entry in entries] == ["one", "", "two", "one", "one"]
    assert (entries[0].author, entries[0].why, entries[0].version) == ("ann", "a wave", 1)
    assert replay.live.rules["one"].mode == "shadow"
    assert replay.head == 5


def test_a_duplicate_is_told_with_the_first_ones_revision():
    data = record("rule.put", rule=rule(id="one"))
    replay, entries = replayed(data, data)
    assert entries[1].became == "duplicate"
    assert entries[1].answer.revision == 1
    assert not entries[1].changed
    assert replay.live.versions == {"one": 1}


def test_entries_of_lists_and_snoozes_are_those_that_are_there():
    replay, entries = replayed(
        record("list.put", name="mules", kind="block", by="customer"),
        record("list.add", name="mules", entries=[{"key": "a"}, {"key": "b", "until": 5}, {"key": "c"}]),
        record("list.remove", name="mules", keys=["a"]),
        record("list.add", name="mules", entries=[{"key": "b", "until": 9}]),
        record("list.add", name="mules", entries=[{"key": "c"}]),
        record("rule.put", rule=rule(id="one")),
        record("snooze", rule="one", by="customer", key="a", until=7),
    )
    assert {(one.key, one.until_ms) for one in replay.entries_of("list:mules")} == {("b", 9), ("c", None)}
    assert [(one.key, one.until_ms) for one in replay.entries_of("snooze:one")] == [("a", 7)]
    assert [entry.changed for entry in entries] == [True, True, True, True, False, True, True]


def test_a_rollback_brings_entries_back_too():
    replay, _ = replayed(
        record("list.put", name="mules", kind="block", by="customer"),
        record("list.add", name="mules", entries=[{"key": "a"}]),
        record("list.remove", name="mules", keys=["a"]),
        record("rollback", to=2),
    )
    assert [one.key for one in replay.entries_of("list:mules")] == ["a"]


def test_a_scheduled_change_is_live_once_it_takes_effect():
    later = NOW_MS + 1
    waiting = record("rule.put", rule=rule(id="one"), effective_at=later, id="x")
    due = record("take_effect", of="x")
    replay, entries = replayed(waiting, due)
    assert [entry.became for entry in entries] == ["scheduled", "accepted"]
    assert replay.live.rules["one"].version == 1


def test_a_fork_leaves_the_first_as_it_is():
    replay, _ = replayed(record("rule.put", rule=rule(id="one")))
    fork = replay.fork()
    fork.take(Record(1, NOW_MS, record("rule.retire", rule="one")))
    assert not fork.live.rules
    assert list(replay.live.rules) == ["one"]
    assert (replay.read, fork.read) == (1, 2)


@pytest.mark.parametrize(
    "data",
    [None, b"", b"[]", b'"text"', b"\xff", b'{"change": 5, "id": {}, "author": ["x"], "rule": [1]}', b"[" * 5_000],
)
def test_whatever_stands_on_the_log_is_an_entry(data: bytes | None):
    _, (entry,) = replayed(data)
    assert entry.became == "refused"


def test_what_doesnt_print_moves_no_cursor():
    _, (entry,) = replayed(record("rule.retire", rule="x", reason="\x1b[2Jgone"))
    assert entry.why == "·[2Jgone"
