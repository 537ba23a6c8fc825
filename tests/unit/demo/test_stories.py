"""What the demo tells beside payments comes to its end: the takeover is blocked with its match, the lost order gives an alert."""

from dataclasses import replace
from pathlib import Path

from control_stream import LiveSet
from mitra.control.files import read_files
from mitra.control.replay import context_of
from mitra.demo.stories import EVERY_S, FIRST_S, Stories
from mitra.pipeline import load_pipeline
from tests.factories.wired import WiredJob

EXAMPLE = Path(__file__).parents[3] / "examples" / "payments"
START_MS = 1_700_000_000_000


def test_each_story_is_blocked_or_told_within_seconds() -> None:
    pipeline = replace(load_pipeline(EXAMPLE / "pipeline.yaml"), model=None)
    files = read_files([EXAMPLE / "sequences"], context_of(pipeline), {})
    job = WiredJob(pipeline, LiveSet(rules={one.rule.id: one.rule for _, one in files.rules}))
    stories = Stories(pipeline, START_MS)
    for second in range(int(FIRST_S + EVERY_S) + 12):
        now_ms = START_MS + second * 1000
        job.tick(now_ms)
        sent = [(topic, value) for topic, _, value in stories.events(second)]
        if sent:
            job.read(now_ms, sent)
        transfer = stories.transfer(second)
        if transfer is not None:
            job.read(now_ms, [("transfers", transfer.value)])
    assert [decision.outcome for decision in job.decisions] == ["block", "block"]
    fired = [rule for decision in job.decisions for rule in decision.rules]
    assert [rule["id"] for rule in fired] == ["account-takeover"] * 2
    assert [[one["step"] for one in rule["events"]] for rule in fired] == [["login", "reset", "payout"]] * 2
    assert [(alert["rule"], alert["key"].split("-")[0]) for alert in job.alerts] == [("undelivered-order", "lost")] * 2
    assert job.letters == []
