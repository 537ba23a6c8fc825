"""What `python -m bench` measures, one function a scenario, each with the bar that it is held against."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.changes import CHANGING, Pusher, rules, sequences, spread
from bench.retrain import retrain_beside
from bench.rig import Rig
from bench.swaps import TREES, swaps_on_two

Figures = dict[str, Any]
LADDER = (2000, 3000, 4000, 5000, 6000, 7000, 8000)


@dataclass(frozen=True)
class Lengths:
    """How long scenarios run, in seconds and payments."""

    fixed_s: float = 300
    sustained_s: float = 120
    ladder_s: float = 30
    warm_s: float = 60
    drained: int = 300_000
    hot_s: float = 60
    hot_drained: int = 150_000
    pushes: int = 200
    swaps: int = 10
    swapped_trees: int = TREES
    phase_s: float = 90
    phases: int = 4


QUICK = Lengths(
    fixed_s=30,
    sustained_s=30,
    ladder_s=12,
    warm_s=20,
    drained=60_000,
    hot_s=20,
    hot_drained=40_000,
    pushes=20,
    swaps=4,
    swapped_trees=400,
    phase_s=20,
    phases=2,
)


@dataclass(frozen=True)
class Bar:
    """One promise: the figure at `path` is at most or at least `limit`."""

    text: str
    path: tuple[str, ...]
    limit: float
    at_most: bool = True

    def found(self, figures: Figures) -> float | None:
        """Return the figure, None where there is none."""
        value: Any = figures
        for name in self.path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def met(self, figures: Figures) -> bool:
        """Tell whether the figures keep the promise."""
        value = self.found(figures)
        return value is not None and (value <= self.limit if self.at_most else value >= self.limit)


def _fixed(rate: int) -> Callable[[Rig, Lengths], Figures]:
    def run(rig: Rig, lengths: Lengths) -> Figures:
        seconds = lengths.fixed_s + lengths.warm_s
        return {"rate": rate, "seconds": lengths.fixed_s, **rig.load(int(rate * seconds), rate, warm_s=lengths.warm_s)}

    return run


def keeps_up(found: Figures) -> bool:
    """Tell whether a load was answered without a backlog that grows: at most half a second of it, and no trend."""
    rate, backlog = found["rate"], found["backlog"]
    return bool(
        found["decided"] == found["sent"] and backlog["end"] <= rate * 0.5 and backlog["growth_per_s"] <= rate * 0.01
    )


def sustained(rig: Rig, lengths: Lengths) -> Figures:
    """Find the highest rate on the ladder that is kept up with, first in short runs, then in one of two minutes."""
    tried: list[Figures] = []

    def attempt(rate: int, seconds: float) -> bool:
        found = {"rate": rate, **rig.load(int(rate * (seconds + lengths.warm_s)), rate, warm_s=lengths.warm_s)}
        keeps = keeps_up(found)
        tried.append({"rate": rate, "seconds": seconds, "kept_up": keeps, "figures": found})
        print(
            f"  {rate:,}/s for {seconds:g} s: {'kept up' if keeps else 'fell behind'}, {found['backlog']}", flush=True
        )
        return keeps

    place = LADDER.index(4000)
    if attempt(LADDER[place], lengths.ladder_s):
        while place + 1 < len(LADDER) and attempt(LADDER[place + 1], lengths.ladder_s):
            place += 1
    else:
        place -= 1
    while place >= 0 and not attempt(LADDER[place], lengths.sustained_s):
        place -= 1
    best = tried[-1] if tried[-1]["kept_up"] else {"rate": None, "seconds": 0, "figures": {}}
    steps = [{name: step[name] for name in ("rate", "seconds", "kept_up")} for step in tried]
    return {**best["figures"], "rate": best["rate"], "seconds": best["seconds"], "tried": steps}


def drain(rig: Rig, lengths: Lengths) -> Figures:
    """Fill the topic with what came while the job was away and let it catch up."""
    return {"payments": lengths.drained, **rig.backlog(lengths.drained)}


def hot(rig: Rig, lengths: Lengths) -> Figures:
    """Do both with one terminal that gets 30 % of all traffic; `cost_ratio` compares its drain with an even one."""
    even = rig.backlog(lengths.hot_drained)
    full = rig.backlog(lengths.hot_drained, hot=True)
    rate = 1000
    live = rig.load(int(rate * (lengths.hot_s + lengths.warm_s)), rate, warm_s=lengths.warm_s, hot=True)
    ratio = even["rate"] / full["rate"] if even["rate"] and full["rate"] else None
    return {"rate": rate, "seconds": lengths.hot_s, **live, "drain": full, "even_drain": even, "cost_ratio": ratio}


def _ruled(count: int, *, changing: bool = False) -> Callable[[Rig, Lengths], Figures]:
    """Measure 500 payments a second under so many rules, if `changing` with a change every second; take the rules away again."""

    def run(rig: Rig, lengths: Lengths) -> Figures:
        pusher = Pusher(rig.pipeline)
        made = rules(count)
        pushed_ms = pusher.push([{"change": "rule.put", "rule": rule} for rule in made])
        if changing:
            with pusher.every(1.0) as taken:
                figures = _fixed(500)(rig, lengths)
            figures |= {"pushes": len(taken), "push_ms": spread(taken)}
            made.append({"id": CHANGING})
        else:
            figures = _fixed(500)(rig, lengths)
        pusher.push([{"change": "rule.retire", "rule": rule["id"]} for rule in made])
        return {**figures, "rules": count, "all_pushed_ms": round(pushed_ms)}

    return run


def sequenced(rig: Rig, lengths: Lengths) -> Figures:
    """Measure 500 payments a second under 50 sequences; take them away again."""
    pusher, made = Pusher(rig.pipeline), sequences(50)
    pushed_ms = pusher.push([{"change": "sequence.put", "sequence": one} for one in made])
    figures = _fixed(500)(rig, lengths)
    pusher.push([{"change": "sequence.retire", "sequence": one["id"]} for one in made])
    return {**figures, "sequences": len(made), "all_pushed_ms": round(pushed_ms)}


def pushes_on_two(rig: Rig, lengths: Lengths) -> Figures:
    """Push a change every second to the job on two TaskManagers under 500 payments a second."""
    rate, workers = 500, 2
    seconds = lengths.warm_s + lengths.pushes + 10
    with rig.on_cluster(workers):
        pusher = Pusher(rig.pipeline)
        with pusher.every(1.0, after_s=lengths.warm_s, most=lengths.pushes) as taken:
            figures = rig.load(int(rate * seconds), rate, warm_s=lengths.warm_s)
        steps = {status: spread(found) for status, found in pusher.steps.items()}
        pusher.push([{"change": "rule.retire", "rule": CHANGING}])
    about = {"rate": rate, "seconds": seconds - lengths.warm_s, "task_managers": workers}
    return {**about, **figures, "pushes": len(taken), "push_ms": spread(taken), "push_steps_ms": steps}


def swaps(rig: Rig, lengths: Lengths) -> Figures:
    """Swap the champion on two TaskManagers under 500 payments a second."""
    return swaps_on_two(rig, swaps=lengths.swaps, trees=lengths.swapped_trees, warm_s=lengths.warm_s)


def retrain(rig: Rig, lengths: Lengths) -> Figures:
    """Retrain beside the job."""
    return retrain_beside(rig, phases=lengths.phases, phase_s=lengths.phase_s, warm_s=lengths.warm_s)


@dataclass(frozen=True)
class Scenario:
    """A measurement with its bars; one that `reads_log` needs a job that keeps one."""

    title: str
    run: Callable[[Rig, Lengths], Figures]
    bars: tuple[Bar, ...] = field(default=())
    reads_log: bool = False


SCENARIOS: dict[str, Scenario] = {
    "live-500": Scenario(
        "500 payments a second",
        _fixed(500),
        (Bar("p50 ≤ 15 ms", ("latency_ms", "p50"), 15), Bar("p99 ≤ 40 ms", ("latency_ms", "p99"), 40)),
    ),
    "live-1000": Scenario("1,000 payments a second", _fixed(1000), (Bar("p99 ≤ 70 ms", ("latency_ms", "p99"), 70),)),
    "rules-100": Scenario(
        "500 payments a second under 100 rules with 30 windows",
        _ruled(100),
        (Bar("p99 ≤ 60 ms", ("latency_ms", "p99"), 60),),
    ),
    "changes": Scenario(
        "the same with a change every second",
        _ruled(100, changing=True),
        (
            Bar("p99 ≤ 100 ms", ("latency_ms", "p99"), 100),
            Bar("a push acked by all: p99 ≤ 1 s", ("push_ms", "p99"), 1000),
        ),
    ),
    "rules-1000": Scenario(
        "500 payments a second under 1,000 rules", _ruled(1000), (Bar("p99 ≤ 150 ms", ("latency_ms", "p99"), 150),)
    ),
    "sequences-50": Scenario(
        "500 payments a second under 50 sequences", sequenced, (Bar("p99 ≤ 70 ms", ("latency_ms", "p99"), 70),)
    ),
    "sustained": Scenario(
        "highest rate without a growing backlog",
        sustained,
        (Bar("≥ 4,000 a second", ("rate",), 4000, at_most=False),),
    ),
    "drain": Scenario(
        "drain of a full topic, of payments that came at 1,000 a second",
        drain,
        (Bar("≥ 10,000 a second", ("rate",), 10_000, at_most=False),),
    ),
    "hot-terminal": Scenario(
        "one terminal with 30 % of the traffic", hot, (Bar("costs at most 3 times as much", ("cost_ratio",), 3),)
    ),
    "pushes-two": Scenario(
        "500 payments a second on two TaskManagers with a change every second",
        pushes_on_two,
        (Bar("a push acked by all: p99 ≤ 1 s", ("push_ms", "p99"), 1000),),
    ),
    "swaps": Scenario(
        "10 swaps of the champion, one of 2,000 trees, under 500 payments a second on two TaskManagers",
        swaps,
        (
            Bar("no decision lost", ("lost",), 0),
            Bar("none without a model", ("without_model",), 0),
            Bar("p99 in the second of each swap ≤ 100 ms", ("swap_p99_ms",), 100),
        ),
    ),
    "retrain": Scenario(
        "300 payments a second with and without `mitra retrain` beside the job",
        retrain,
        (Bar("p99 ≤ 1.5 times that without", ("p99_ratio",), 1.5),),
        reads_log=True,
    ),
}
