"""What a sequence matches, said a second time: every way to give events to steps is tried, and the definitions choose.

Imports nothing of Mitra. A pattern is {"within", "skip", "steps"}; a step has "name", "holds" (event, events taken so far by step's
name) -> bool, "least", "most" (None: without end), "optional", "absent", "strict". Events are dicts with "time", in order.
"""

from itertools import combinations, combinations_with_replacement


def _takes(step, event, taken, events):
    """Whether a step would take an event after what was taken: conditions see the event that each step took last."""
    return step["holds"](event, {name: events[row] for row, name in taken})


def is_match(pattern, events, rows, places):
    """Whether giving the events at `rows` to the steps at `places` is a match."""
    steps = pattern["steps"]
    taking = [place for place, step in enumerate(steps) if not step["absent"]]
    if not rows or places[0] != taking[0] or places[-1] != taking[-1]:
        return False
    if events[rows[-1]]["time"] - events[rows[0]]["time"] > pattern["within"]:
        return False
    for place in taking:
        count = places.count(place)
        if count == 0 and steps[place]["optional"]:
            continue
        if count < steps[place]["least"] or (steps[place]["most"] is not None and count > steps[place]["most"]):
            return False
    taken = []
    for number, (row, place) in enumerate(zip(rows, places, strict=True)):
        if not _takes(steps[place], events[row], taken, events):
            return False
        if number:
            before_row, before_place = rows[number - 1], places[number - 1]
            if steps[place]["strict"] and row != before_row + 1:
                return False
            for other in range(before_place + 1, place):
                if steps[other]["absent"] and any(
                    _takes(steps[other], events[between], taken, events) for between in range(before_row + 1, row)
                ):
                    return False
        taken.append((row, steps[place]["name"]))
    return True


def every_match(pattern, events):
    """All matches there are, as lists of (row, place)."""
    taking = [place for place, step in enumerate(pattern["steps"]) if not step["absent"]]
    found = []
    for size in range(1, len(events) + 1):
        for rows in combinations(range(len(events)), size):
            if events[rows[-1]]["time"] - events[rows[0]]["time"] > pattern["within"]:
                continue
            found += [
                list(zip(rows, places, strict=True))
                for places in combinations_with_replacement(taking, size)
                if is_match(pattern, events, rows, places)
            ]
    return found


def given(pattern, events):
    """The matches that are given of all there are among these events, by last event, then first."""
    ways = {}
    for match in every_match(pattern, events):
        ends = match[0][0], match[-1][0]
        ways[ends] = min(match, ways.get(ends, match))
    if pattern["skip"] == "none":
        chosen = {last: max(first for first, other in ways if other == last) for _, last in ways}
        return [ways[first, last] for last, first in sorted(chosen.items())]
    if pattern["skip"] == "to_next":
        chosen = {first: min(last for other, last in ways if other == first) for first, _ in ways}
        return [ways[first, last] for last, first in sorted((last, first) for first, last in chosen.items())]
    found, free = [], 0
    for first in range(len(events)):
        lasts = [last for other, last in ways if other == first]
        if first >= free and lasts:
            found.append(ways[first, min(lasts)])
            free = min(lasts) + 1
    return found


def stays_absent(pattern, events, match):
    """Whether nothing came behind a match that its closing absent steps would have taken in time."""
    steps, taken = pattern["steps"], [(row, pattern["steps"][place]["name"]) for row, place in match]
    due = events[match[0][0]]["time"] + pattern["within"]
    return not any(
        _takes(step, event, taken, events)
        for step in steps[match[-1][1] + 1 :]
        for event in events[match[-1][0] + 1 :]
        if event["time"] <= due
    )
