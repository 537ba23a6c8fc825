"""Entries become marks that say from which revision to which they count."""

from control_stream.changes import Entry, ListAdd, ListRemove, Snooze
from control_stream.marks import Mark, Place, before, moves, wanted_by
from rules.outcomes import ListDeclaration

LISTS = {"mules": ListDeclaration(name="mules", kind="block", by="customer")}
C1 = ("list:mules", "customer", "c1")


def run(change: ListAdd | ListRemove | Snooze, revision: int, open_: dict[Place, Mark]) -> list[Mark]:
    made = moves(wanted_by(change, LISTS), revision, open_.get)
    for mark in made:
        if mark.to_revision is None:
            open_[mark.place] = mark
        elif open_[mark.place].from_revision == mark.from_revision:
            del open_[mark.place]
    return made


def test_an_entry_opens_moves_and_closes() -> None:
    open_: dict[Place, Mark] = {}
    assert run(ListAdd("mules", (Entry("c1", 50),)), 3, open_) == [Mark(*C1, 3, None, 50)]
    assert run(ListAdd("mules", (Entry("c1", 50),)), 4, open_) == []
    assert run(ListAdd("mules", (Entry("c1", 90),)), 5, open_) == [Mark(*C1, 3, 5, 50), Mark(*C1, 5, None, 90)]
    assert run(ListRemove("mules", ("c1", "c2")), 6, open_) == [Mark(*C1, 5, 6, 90)]
    assert open_ == {}


def test_a_key_given_twice_is_marked_once_and_the_last_counts() -> None:
    assert run(ListAdd("mules", (Entry("c1", 50), Entry("c1"))), 3, {}) == [Mark(*C1, 3)]
    assert run(ListRemove("mules", ("c1", "c1")), 3, {C1: Mark(*C1, 1)}) == [Mark(*C1, 1, 3)]


def test_a_snooze_is_a_mark_of_its_rule() -> None:
    assert run(Snooze("big", "terminal", "t1", 70), 2, {}) == [Mark("snooze:big", "terminal", "t1", 2, None, 70)]


def test_a_mark_holds_from_its_revision_to_its_end_and_before_its_time() -> None:
    mark = Mark(*C1, 3, 5, 50)
    assert [mark.holds(revision, 49) for revision in range(2, 7)] == [False, True, True, False, False]
    assert not mark.holds(3, 50)
    assert Mark(*C1, 3).holds(1_000, 10**15)


def test_what_was_before_is_known_from_the_marks_alone() -> None:
    moved = [Mark(*C1, 3, 5, 50), Mark(*C1, 5, None, 90)]
    assert before(moved) == {C1: (C1, True, 50)}
    assert before([Mark(*C1, 5)]) == {C1: (C1, False, None)}
    assert before([Mark(*C1, 3, 5)]) == {C1: (C1, True, None)}
