"""The uids of the job's operators: a savepoint finds each operator's state by them, so they are kept in a file."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mitra.local.environment import environment
from mitra.local.files import checkout

HERE = Path(__file__).parent
GOLDEN = HERE / "uids.txt"
GOLDEN_MONITOR = HERE / "uids_monitor.txt"
"""Those that a job with a monitor has beside the others."""
GOLDEN_GRAPH = HERE / "uids_graph.txt"
"""Those that a job with a graph has beside the others."""
GOLDEN_LOG = HERE / "uids_log.txt"
"""Those that a job with a log has beside the others."""

SMALL = "name: small\nevents: {login: {id: id, time: at, fields: {id: string, at: time}}}\n"
FULL = """
name: full
delivery: exactly-once
events:
  payment: {id: id, time: at, decided: true, fields: {id: string, at: time, customer: string, amount: number}}
  login: {id: id, time: at, decided: false, fields: {id: string, at: time, customer: string}}
entities: {customer: customer}
labels: {}
features: {ever: 'count(by=customer, over="ever")'}
job: {lanes: 4, buckets: 16}
"""
GRAPHED = f"{FULL}graph: {{address: 'localhost:7070', nodes: {{customer: customer, other: id}}, links: [[customer, other]]}}\n"
LOGGED = f"{FULL}log: {{path: log}}\n"
MONITORED = f"{LOGGED}monitor: {{}}\n"
MATCHED = f"{FULL}cep: {{sequences: [twice.yaml]}}\n"
TWICE = """
sequences:
- {id: twice, by: customer, within: 1h, steps: [{step: a}, {step: b, event: payment, when: amount > 5}], skip: to_next, outcome: review}
- {id: again, by: customer, within: 2h, steps: [{step: a, times: 2}, {step: b}], skip: past_last, outcome: review}
"""


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The plans of two pipelines as different as can be, of one with a log, of one with a monitor too, and of one with patterns, built in one JVM."""
    folder = tmp_path_factory.mktemp("uids")
    (folder / "twice.yaml").write_text(TWICE, encoding="utf-8")
    paths = [folder / f"{name}.yaml" for name in ("small", "full", "logged", "monitored", "graphed", "matched")]
    for path, text in zip(paths, (SMALL, FULL, LOGGED, MONITORED, GRAPHED, MATCHED), strict=True):
        path.write_text(text, encoding="utf-8")
    env = {**environment(heap_mb=512, logs=folder / "logs"), "PYTHONPATH": str(checkout())}
    command = [sys.executable, str(HERE / "print_uids.py"), *map(str, paths)]
    said = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout.splitlines()[-1])


def test_every_operator_has_a_uid(plans: list[dict[str, Any]]) -> None:
    for plan in plans:
        assert [name for uid, name in plan["operators"] if not uid] == []
        uids = [uid for uid, _ in plan["operators"]]
        assert len(set(uids)) == len(uids)
        assert set(plan["given"]) <= set(uids)


def test_the_uids_are_those_of_the_golden_file(plans: list[dict[str, Any]]) -> None:
    """Whatever the pipeline says: one more event type or lane, or another delivery, must not orphan state.

    Only another number of buckets must, for the state was cut by it: so that number is part of the uids.
    """
    for plan, buckets, more in zip(
        plans[:5],
        (8, 16, 16, 16, 16),
        ((), (), (GOLDEN_LOG,), (GOLDEN_LOG, GOLDEN_MONITOR), (GOLDEN_GRAPH,)),
        strict=True,
    ):
        texts = [path.read_text(encoding="utf-8") for path in (GOLDEN, *more)]
        golden = sorted("".join(texts).replace("{buckets}", str(buckets)).splitlines())
        uids = sorted(uid for uid, _ in plan["operators"])
        gone = [uid for uid in golden if uid not in uids]
        new = [uid for uid in uids if uid not in golden]
        assert uids == golden, (
            f"the job's uids changed: gone={gone}, new={new}. A savepoint of the released job loses the state of what is "
            f"gone. If that is meant, change {GOLDEN.name} and say so in CHANGELOG.md (breaking)"
        )


def test_patterns_of_flink_cep_add_operators_and_change_none(plans: list[dict[str, Any]]) -> None:
    """Their own are named by the patterns: with others, no state is taken for theirs."""
    full, matched = (sorted(uid for uid, _ in plan["operators"]) for plan in (plans[1], plans[5]))
    assert [uid for uid in full if uid not in matched] == []
    new = [uid for uid in matched if uid not in full]
    assert {uid.removeprefix("Sink Committer: ").partition("-")[0] for uid in new} == {"cep"}
    assert [re.sub(r"-[0-9a-f]{8}$", "", uid) for uid in new if "-match-" in uid] == [
        "cep-match-again",
        "cep-match-twice",
    ]
    assert "cep-records" in new
