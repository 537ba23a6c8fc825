"""A pattern as the events it takes, one after the other, and whether an engine that takes any of those that fit takes the right ones.

Of the matches with the same first and last event one is given, that whose events come first. An engine that knows no order among
ways finds the same only where there is but one: where the first event that fits may be kept from being passed over, or where the
place of an event follows from those of others.
"""

from dataclasses import dataclass, replace

from rules.sequences.check import CompiledPattern, CompiledStep


@dataclass(frozen=True)
class Take:
    """One event of a step; with `open_end`, `least` to `most` of them, right behind one another.

    `absent` are the steps that must not come between the event taken before and this one. `eager`: no event may be passed over that this
    take could take.
    """

    one: CompiledStep
    number: int = 0
    absent: tuple[CompiledStep, ...] = ()
    strict: bool = False
    open_end: bool = False
    least: int = 1
    most: int | None = 1
    eager: bool = False

    @property
    def name(self) -> str:
        """The step's name."""
        return self.one.step.name

    @property
    def ends_step(self) -> bool:
        """Whether it is the step's last, which later conditions speak of."""
        return self.open_end or self.number == self.one.step.least - 1


def takes_of(compiled: CompiledPattern) -> tuple[list[Take], list[str]]:
    """Return what a pattern takes, and in words each choice among events that nothing settles.

    The last step takes no more than it must: a match is given when it is complete first.
    """
    takes: list[Take] = []
    absent: tuple[CompiledStep, ...] = ()
    last = max(place for place, one in enumerate(compiled.steps) if not one.step.absent)
    for place, one in enumerate(compiled.steps[: last + 1]):
        step = one.step
        if step.absent:
            absent += (one,)
            continue
        first = not takes
        if place == last or step.least == step.most:
            for number in range(step.least):
                strict = step.strict and not (first and number == 0)
                takes.append(Take(one, number, () if number else absent, strict))
        else:
            takes.append(
                Take(one, 0, absent, step.strict and not first, open_end=True, least=step.least, most=step.most)
            )
        absent = ()
    unsettled = list(dict.fromkeys(reason for place in range(len(takes)) for reason in _unsettled(takes, place)))
    return [_eager(takes, place) for place in range(len(takes))], unsettled


def _eager(takes: list[Take], place: int) -> Take:
    one = takes[place]
    eager = place > 0 and not one.strict and not (one.open_end or _from_the_end(takes, place))
    return replace(one, eager=eager)


def _from_the_end(takes: list[Take], place: int) -> bool:
    """Tell whether the last event says where this one is: all behind it follow right upon one another."""
    later = takes[place + 1 :]
    return bool(later) and all(one.strict and not one.open_end for one in later)


def _from_the_beginning(takes: list[Take], place: int) -> bool:
    """Tell whether the first event says where this one is, or where it begins."""
    return all(one.strict for one in takes[1 : place + 1])


def _unsettled(takes: list[Take], place: int) -> list[str]:
    one, later = takes[place], takes[place + 1 :]
    if one.open_end:
        return _unsettled_end(takes, place)
    if one.one.step.optional:
        return _unsettled_option(takes, place)
    if not later or _from_the_beginning(takes, place) or _from_the_end(takes, place):
        return []
    reason = _speaks(one, later)
    if not reason and later[0].strict:
        reason = f"{later[0].name} follows strictly"
    if not reason and later[0].absent:
        reason = f"{later[0].absent[0].step.name} must be absent behind it"
    return [f"the first of several events for {one.name} that leads to a match: {reason}"] if reason else []


def _speaks(one: Take, later: list[Take]) -> str:
    """Return which later condition speaks of an event, if one does."""
    if not one.ends_step:
        return ""
    for other in later:
        for asked in (*other.absent, other.one):
            if asked.linked is not None and any(step == one.name for step, _ in asked.linked.fields):
                return f"{asked.step.name} speaks of it"
    return ""


def _unsettled_end(takes: list[Take], place: int) -> list[str]:
    """Return why it isn't settled how many events a step takes."""
    one, later = takes[place], takes[place + 1 :]
    if one.one.step.optional:
        return [f"an optional step taken several times, {one.name}"]
    if not one.one.step.strict:
        exactly = f"take exactly {one.least}, or make it contiguity: strict"
        return [f"anything between the events of {one.name}, of which there is no exact number: {exactly}"]
    if not _from_the_beginning(takes, place):
        return [f"the first of several rows of events for {one.name}"]
    told_apart = later[0].strict and _apart(one.one, later[0].one)
    fixed = all(other.strict and not other.open_end for other in later)
    if told_apart or fixed:
        return []
    hint = f"make {later[0].name} contiguity: strict, with another event type"
    return [f"as many events for {one.name} as there are before {later[0].name}: {hint}"]


def _unsettled_option(takes: list[Take], place: int) -> list[str]:
    """Return why it isn't settled whether an optional step takes an event."""
    one, later = takes[place], takes[place + 1 :]
    following = later[0]
    reason = _speaks(one, later)
    if not reason and one.one.step.least > 1:
        reason = "it is taken several times"
    if not reason and (one.strict or following.strict):
        reason = f"{one.name if one.strict else following.name} follows strictly"
    if not reason and following.absent:
        reason = f"{following.absent[0].step.name} must be absent behind it"
    if not reason and following.one.step.optional:
        reason = f"{following.name} is optional too"
    if not reason and len(later) > 1 and not _apart(one.one, following.one):
        reason = f"{following.name} could take its event too"
    return [f"the optional step {one.name} wherever it can be: {reason}"] if reason else []


def _apart(one: CompiledStep, other: CompiledStep) -> bool:
    """Tell whether no event can be taken by both steps."""
    return one.events.isdisjoint(other.events)
