"""Entries of lists and snoozes on their way to the histories: who is marked, from which revision to which.

A mark is known by its name, entity, key and `from_revision`. One that comes again replaces the earlier: that is how an
entry is closed. A transaction under revision r at event time t carries the name of a mark of one of its entities if
from_revision <= r < to_revision and t < until_ms. A closed mark may be forgotten when no revision below its
`to_revision` will be asked for.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from control_stream.changes import ListAdd, ListRemove, Snooze
from rules.outcomes import ListDeclaration
from rules.rule_set import SNOOZE


class Mark(msgspec.Struct, array_like=True, frozen=True):
    """One entity on a list, or without a rule; None is no end."""

    name: str
    entity: str
    key: str
    from_revision: int
    to_revision: int | None = None
    until_ms: int | None = None

    @property
    def place(self) -> "Place":
        """What is marked as what, whenever."""
        return self.name, self.entity, self.key

    def holds(self, revision: int, time_ms: int) -> bool:
        """Tell whether it counts under a revision at an event's time."""
        return (
            self.from_revision <= revision
            and (self.to_revision is None or revision < self.to_revision)
            and (self.until_ms is None or time_ms < self.until_ms)
        )

    def closed(self, revision: int) -> "Mark":
        """Return it with its end."""
        return Mark(*self.place, self.from_revision, revision, self.until_ms)


Place = tuple[str, str, str]
"""Name of the mark, entity, key."""

OpenMark = Callable[[Place], Mark | None]
"""Returns the mark that is open at a place, None where none is."""

Wanted = tuple[Place, bool, int | None]
"""What shall be at a place: whether it is marked, and until when."""


def wanted_by(change: ListAdd | ListRemove | Snooze, lists: Mapping[str, ListDeclaration]) -> list[Wanted]:
    """Return what a change wants to be marked and what not. Of a key given twice, the last counts."""
    if isinstance(change, Snooze):
        return [((f"{SNOOZE}{change.rule}", change.by, change.key), True, change.until_ms)]
    declared = lists[change.name]
    if isinstance(change, ListRemove):
        return [((declared.mark, declared.by, key), False, None) for key in dict.fromkeys(change.keys)]
    ends = {entry.key: entry.until_ms for entry in change.entries}
    return [((declared.mark, declared.by, key), True, until_ms) for key, until_ms in ends.items()]


def moves(wanted: Iterable[Wanted], revision: int, find: OpenMark) -> list[Mark]:
    """Return the marks that bring about what is wanted from a revision on; none where it is so already."""
    made = []
    for place, there, until_ms in wanted:
        open_ = find(place)
        if open_ is not None:
            if there and open_.until_ms == until_ms:
                continue
            made.append(open_.closed(revision))
        if there:
            made.append(Mark(*place, revision, None, until_ms))
    return made


def before(marks: Iterable[Mark]) -> dict[Place, Wanted]:
    """Return what was at the places that the marks of one revision have changed."""
    found: dict[Place, Wanted] = {}
    for mark in marks:
        if mark.to_revision is not None:
            found[mark.place] = (mark.place, True, mark.until_ms)
        else:
            found.setdefault(mark.place, (mark.place, False, None))
    return found
