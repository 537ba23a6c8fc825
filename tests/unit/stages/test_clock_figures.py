"""What the monitor topic tells of event time."""

import json

from mitra.clock_figures import ClockFigures
from mitra.lane_clocks import Heard
from mitra.records import monitor_schema
from mitra.rule_figures import PERIOD_MS

START = 1_700_000_000_000.0


def test_it_tells_what_came_late_how_far_behind_it_is_and_who_is_idle() -> None:
    figures = ClockFigures(2)
    lanes = {0: Heard(int(START) - 700), 1: Heard(int(START) - 90_000, idle=True), 2: Heard()}
    assert figures.due(START, [lanes]) == []
    figures.came(10, 2)
    figures.came(5, 0)
    figures.told(3, lanes)
    (record,) = map(json.loads, figures.due(START + PERIOD_MS, [lanes, {0: Heard(int(START) - 800)}]))
    assert record == {
        "metric": "clock", "subtask": 2, "from": START, "to": START + PERIOD_MS, "events": 15, "late": 2,
        "behind_ms": PERIOD_MS + 700, "idle_lanes": [1], "by_wall_clock": 3,
    }  # fmt: skip
    assert record.keys() <= monitor_schema()["properties"].keys()
    (record,) = map(json.loads, figures.due(START + 9 * PERIOD_MS, [{0: Heard(int(START), idle=True)}]))
    assert (record["events"], record["behind_ms"], record["idle_lanes"]) == (0, None, [0])


def test_alerts_count_only_where_the_wall_clock_stands_in() -> None:
    figures = ClockFigures(0)
    figures.due(START, [])
    figures.told(3, {0: Heard(int(START))})
    (record,) = map(json.loads, figures.due(START + PERIOD_MS, []))
    assert record["by_wall_clock"] == 0
