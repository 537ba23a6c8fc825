"""The job's own matcher and Flink's CEP library over the same random patterns and events: what makes both, runs them and compares."""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from mitra.local.environment import environment
from mitra.local.files import checkout
from operators.cep import Query, UnfitError, query_of
from rules import Rule
from rules.sequences.match import Match
from tests.factories.sequences import Both, Rows, patterns

START_MS = 1_700_000_000_000
SLACK_MS = 3_000
"""So much out of order events may come."""

Event = dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """A pattern that both engines can run."""

    both: Both
    query: Query


def drawn(count: int, number: int) -> list[Both]:
    """Return random patterns, each once, of the seed `number`."""
    found: dict[str, Both] = {}

    @seed(number)
    @settings(
        max_examples=count, database=None, deadline=None, suppress_health_check=[*HealthCheck], phases=[Phase.generate]
    )
    @given(patterns(skips=("to_next", "past_last")))
    def collect(both: Both) -> None:
        found.setdefault(repr(both.pattern), both)

    collect()
    return list(found.values())


def both_can(count: int, number: int) -> list[Pair]:
    """Return random patterns that both engines can run, each once, of the seed `number`."""
    found: dict[str, Pair] = {}
    while len(found) < count:
        for both in drawn(3 * count, number):  # a third can
            name = f"s{len(found)}"
            rule = Rule(id=name, when="True", outcome="review", pattern=both.pattern)
            try:
                pair = Pair(both, query_of(rule, both.compiled()))
            except UnfitError:
                continue
            if len(found) < count:
                found.setdefault(repr(both.pattern), pair)
        number += 1
    return list(found.values())


def stream(chance: random.Random) -> list[Event]:
    """Return the events of one customer as they arrive: several at one time among them, and some out of order."""
    time, events = START_MS, []
    for number in range(chance.randrange(6, 15)):
        time += chance.choice((0, 1, 1, 2, 3)) * 1000
        events.append(
            {
                "id": f"e{number}",
                "event": chance.choice(("pay", "login", "reset")),
                "time": time,
                "x": chance.choice((None, 0, 1, 2, 3)),
                "flag": chance.choice((None, True, False)),
            }
        )
    order = {one["id"]: one["time"] + chance.choice((0, 0, 0, SLACK_MS - 1)) for one in events}
    return sorted(events, key=lambda one: order[one["id"]])


def in_order(events: Iterable[Event]) -> list[Event]:
    """Return events in order of time, those of one time as they arrived."""
    return sorted(events, key=lambda one: one["time"])


def flink_finds(
    pairs: Sequence[Pair], streams: Sequence[list[Event]], folder: Path, in_a_job: int = 50
) -> dict[tuple[str, int], list[tuple[int, ...]]]:
    """Return the matches that Flink finds by pattern and stream, each as `told` says it. Runs a JVM; writes into `folder`."""
    rows = [(f"c{number}", one) for number, events in enumerate(streams) for one in events]
    # One watermark is that of all customers: they come side by side.
    rows.sort(key=lambda row: row[1]["time"] // SLACK_MS)
    (folder / "events").mkdir(parents=True)
    with (folder / "events" / "events.jsonl").open("w", encoding="utf-8") as file:
        for customer, one in rows:
            named = {"event type": one["event"], "event id": one["id"], "event ms": one["time"]}
            file.write(json.dumps({"customer": customer, **named, "x": one["x"], "flag": one["flag"]}) + "\n")
    texts = [_selected(pair.query) for pair in pairs]
    jobs = [texts[start : start + in_a_job] for start in range(0, len(texts), in_a_job)]
    (folder / "queries.json").write_text(json.dumps(jobs), encoding="utf-8")
    script = Path(__file__).parents[1] / "flow" / "match_recognize.py"
    command = [sys.executable, str(script), str(folder / "events"), str(folder / "queries.json")]
    env = {**environment(heap_mb=900, logs=folder / "logs"), "PYTHONPATH": str(checkout())}
    said = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=1_000)
    causes = [line for line in said.stderr.splitlines() if "Caused by" in line or "Exception:" in line]
    assert said.returncode == 0, "\n".join(causes) or said.stderr[-5000:]
    found: dict[tuple[str, int], list[tuple[int, ...]]] = {}
    for name, customer, text in json.loads(said.stdout.splitlines()[-1]):
        numbers = tuple(-1 if one == "-" else int(one) for one in text.split(","))
        found.setdefault((name, int(customer[1:])), []).append(numbers)
    return found


def _selected(query: Query) -> str:
    """Return the query's matches as texts: of each take the first and last event's number, and how many."""
    parts = [
        f"COALESCE(CAST({value} AS STRING), '-')"
        for number in range(len(query.taken))
        for value in (
            f"SUBSTRING(`first_id_{number}` FROM 2)",
            f"SUBSTRING(`last_id_{number}` FROM 2)",
            f"`count_{number}`",
        )
    ]
    inner = query.sql("events", ("customer",))
    return f"SELECT '{query.name}' AS name, customer, CONCAT_WS(',', {', '.join(parts)}) AS m FROM ({inner})"


def told(pair: Pair, match: Match, events: Sequence[Event]) -> tuple[int, ...]:
    """Return a match of the job's engine as the query tells one: of each take the first and last event's number, and how many."""
    steps = pair.both.pattern.steps
    taken: dict[str, list[int]] = {}
    for row, place in match.taken:
        taken.setdefault(steps[place].name, []).append(int(events[row]["id"][1:]))
    numbers: list[int] = []
    for _, take in pair.query.taken:
        mine = taken.get(take.name, [])
        mine = mine if take.open_end else mine[take.number : take.number + 1]
        numbers += [mine[0], mine[-1], len(mine)] if mine else [-1, -1, 0]
    return tuple(numbers)


def differences(
    pairs: Sequence[Pair], streams: Sequence[list[Event]], flink: dict[tuple[str, int], list[tuple[int, ...]]]
) -> tuple[int, list[str]]:
    """Return for how many pairs of pattern and stream something matches, and in words where the engines differ."""
    matching, wrong = 0, []
    for pair in pairs:
        for number, arriving in enumerate(streams):
            events = in_order(arriving)
            matches = pair.both.matcher().given(Rows(events), len(events))
            ours = Counter(told(pair, match, events) for match in matches)
            theirs = Counter(flink.get((pair.query.name, number), []))
            matching += bool(ours)
            if ours != theirs:
                listed = "\n".join(map(str, events))
                wrong.append(
                    f"{pair.both.pattern}\n{listed}\n{pair.query.sql('events', ('customer',))}\nFlink finds {dict(theirs)}, "
                    f"the job {dict(ours)}"
                )
    return matching, wrong
