"""`mitra rules`, `mitra lists`, `mitra control`: what they print, and their exit status, over topics in memory."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import mitra.control.kafka
from mitra.cli import main
from mitra.control.replay import context_of
from mitra.pipeline import Pipeline, load_pipeline
from tests.factories.control_topics import MemoryTopics

ROOT = Path(__file__).parents[3]
FILES = {
    "big.yaml": """
id: big
when: amount > 500
outcome: review
reason: "{amount} is a lot"
examples:
- {event: {amount: 600}, fires: true}
""",
    "more.yaml": """
rules:
- {id: tiny, when: amount < 1, outcome: allow, mode: shadow}
- {id: night, when: hour < 6 and amount > 100, outcome: block, tags: [night]}
""",
}

Call = Callable[..., Any]


@pytest.fixture
def pipeline() -> str:
    return str(ROOT / "examples" / "payments" / "pipeline.yaml")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_text(content)
    return folder


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> MemoryTopics:
    loaded = load_pipeline(ROOT / "examples" / "payments" / "pipeline.yaml")
    made = MemoryTopics(context_of(loaded), lanes=1, buckets=2)

    @contextmanager
    def opened(_: Pipeline) -> Iterator[MemoryTopics]:
        yield made

    monkeypatch.setattr(mitra.control.kafka, "open_topics", opened)
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    return made


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], topics: MemoryTopics) -> Call:
    """Call a command; give its status, stdout and stderr, or with `--json` its document."""

    def called(words: str, *more: str) -> Any:
        status = main([*words.split(), *more])
        captured = capsys.readouterr()
        if "--json" in words:
            return status, json.loads(captured.out)
        return status, captured.out, captured.err

    return called


def test_a_push_tells_revision_version_and_time(call: Call, pipeline: str, files: Path):
    status, out, err = call(f"rules push {pipeline} {files} --reason wave")
    lines = out.splitlines()
    assert (status, err) == (0, "")
    assert [line.split() for line in lines[:4]] == [
        ["change", "of", "version", "revision", "state"],
        ["rule.put", "big", "1", "1", "active"],
        ["rule.put", "tiny", "1", "2", "active"],
        ["rule.put", "night", "1", "3", "active"],
    ]
    assert lines[4].startswith("revision 3 is active everywhere (1 lane, 2 buckets of history and 2 of decide), after ")


def test_a_push_tells_from_when_each_aggregate_is_exact(call: Call, pipeline: str, files: Path, topics: MemoryTopics):
    topics.exact_from = {"count(by=terminal, over=2h, where=amount > 9)": 1_748_779_200_000}
    status, out, _ = call(f"rules push {pipeline} {files}")
    assert status == 0
    assert out.splitlines()[4:6] == [
        "exact at once where a history is whole (up to 2048 events, none older than 30d); for other histories:",
        "  count(by=terminal, over=2h, where=amount > 9) from 2025-06-01T12:01:00Z on",  # the later of two buckets
    ]
    (files / "big.yaml").write_text(FILES["big.yaml"].replace("500", "400"))
    _, found = call(f"rules push {pipeline} {files} --json")
    assert found["exact_from"] == {"count(by=terminal, over=2h, where=amount > 9)": 1_748_779_260_000}


def test_what_is_live_already_is_named_and_skipped(call: Call, pipeline: str, files: Path, topics: MemoryTopics):
    call(f"rules push {pipeline} {files}")
    (files / "big.yaml").write_text(FILES["big.yaml"].replace("500", "400"))
    status, found = call(f"rules push {pipeline} {files} --json")
    assert status == 0
    assert [(one["of"], one["state"], one.get("version")) for one in found["changes"]] == [
        ("big", "active", 2),
        ("tiny", "unchanged", None),
        ("night", "unchanged", None),
    ]
    assert found["revision"] == 4
    assert len(topics.records) == 4


def test_one_wrong_file_and_nothing_is_sent(call: Call, pipeline: str, files: Path, topics: MemoryTopics):
    (files / "bad.yaml").write_text("id: bad\nwhen: amonut > 1\noutcome: block\n")
    status, out, err = call(f"rules push {pipeline} {files}")
    assert (status, out) == (1, "")
    assert "bad.yaml: 1 problem" in err
    assert "did you mean amount?" in err
    assert not topics.records


def test_an_example_that_does_not_hold_keeps_a_rule_out(call: Call, pipeline: str, files: Path, topics: MemoryTopics):
    (files / "big.yaml").write_text(FILES["big.yaml"].replace("fires: true", "fires: false"))
    status, _, err = call(f"rules push {pipeline} {files}")
    assert status == 1
    assert "the rule big fires here, and fires is false" in err
    assert not topics.records


def test_what_the_live_set_refuses_is_told_before_anything_is_sent(call: Call, pipeline: str, topics: MemoryTopics):
    status, _, err = call(f"lists add {pipeline} mules c1")
    assert status == 1
    assert 'there is no list "mules"' in err
    assert err.endswith("nothing was sent\n")
    assert not topics.records


def test_a_push_that_is_not_active_everywhere_names_who_is_behind(
    call: Call, pipeline: str, files: Path, topics: MemoryTopics
):
    topics.silent = {("history", 1)}
    status, out, err = call(f"rules push {pipeline} {files}/big.yaml --timeout 50ms")
    assert status == 1
    assert "prepared" in out
    assert "history: bucket 1: has not prepared it" in err
    status, found = call(f"rules push {pipeline} {files}/big.yaml --timeout 50ms --json")
    assert status == 1
    assert found["behind"]["history"] == {"0": None, "1": None}


def test_a_change_that_the_job_refuses_after_all_is_told_with_its_reason(
    call: Call, pipeline: str, files: Path, topics: MemoryTopics
):
    # Between the look at the log and the sending, somebody else makes the change impossible.
    append = topics.append
    gone = b'{"change": "rule.retire", "id": "x", "author": "eve", "rule": "big"}'

    def late(changes: Any) -> list[int]:
        append([gone])
        return append(changes)

    call(f"rules push {pipeline} {files}/big.yaml")
    topics.append = late  # type: ignore[method-assign]
    status, out, err = call(f"rules mode {pipeline} big shadow --timeout 50ms")
    assert status == 1
    assert out.splitlines()[1].split() == ["rule.mode", "big", "3", "refused"]
    assert 'rule: there is no rule "big"' in err
    assert "the job has refused what looked right from here" in err


def test_a_job_that_is_down_is_asked_after(call: Call, pipeline: str, files: Path, topics: MemoryTopics):
    topics.down = True
    status, _, err = call(f"rules push {pipeline} {files}/big.yaml --timeout 50ms")
    assert status == 1
    assert "1 of 1 change got no answer within 50ms: is the job running?" in err
    status, out, _ = call(f"rules push {pipeline} {files}/more.yaml --no-wait")
    assert status == 0
    assert out.splitlines()[-1] == "not waited for: `mitra control status PIPELINE` shows who runs what"


def test_rules_are_listed_shown_and_changed(call: Call, pipeline: str, files: Path):
    call(f"rules push {pipeline} {files}")
    assert call(f"rules mode {pipeline} tiny live --percent 12.5 --by customer")[0] == 0
    assert call(f"rules retire {pipeline} night --author bob", "--reason", "not needed")[0] == 0
    _, out, _ = call(f"rules list {pipeline}")
    assert out.splitlines()[0] == "payments: 2 rules at revision 5"
    assert "tiny  1        live 12.5 % of customer  allow" in out
    status, out, _ = call(f"rules show {pipeline} tiny")
    assert status == 0
    assert out == (
        "id: tiny\nwhen: amount < 1\noutcome: allow\npercent: 12.5\nby: customer\n"
        "# version 1, active everywhere\n# revision 2: rule.put by ann\n# revision 4: rule.mode by ann\n"
    )
    status, _, err = call(f"rules show {pipeline} night")
    assert status == 1
    assert err.startswith("mitra rules: no rule night is live: it was retired by bob in revision 5; `mitra rules list")


def test_a_rule_is_snoozed_for_one(call: Call, pipeline: str, files: Path):
    call(f"rules push {pipeline} {files}")
    status, out, _ = call(f"rules snooze {pipeline} big --by customer --key c1 --until 7d")
    assert status == 0, out
    _, found = call(f"rules show {pipeline} big --json")
    assert [(one["by"], one["key"]) for one in found["snoozed"]] == [("customer", "c1")]
    status, _, err = call(f"rules snooze {pipeline} big --by customer --key c1 --until soon")
    assert status == 1
    assert "--until=soon is no time" in err


def test_lists_are_put_filled_and_shown(call: Call, pipeline: str, tmp_path: Path):
    keys = tmp_path / "keys.csv"
    keys.write_text("c2\nc3,2026-05-01T12:00:00Z\n")
    put = f"lists put {pipeline} mules --kind block --by customer --immutable --reason"
    assert call(put, "a known mule")[0] == 0
    assert call(f"lists add {pipeline} mules c1 --file {keys} --until 2026-06-01T00:00:00Z")[0] == 0
    assert call(f"lists remove {pipeline} mules c2")[0] == 0
    _, out, _ = call(f"lists show {pipeline} mules")
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["customer", "until"],
        ["c1", "2026-06-01T00:00:00Z"],
        ["c3", "2026-05-01T12:00:00Z"],
    ]
    _, found = call(f"lists list {pipeline} --json")
    assert found["lists"] == [
        {"name": "mules", "kind": "block", "by": "customer", "immutable": True, "reason": "a known mule", "entries": 2}
    ]
    _, out, _ = call(f"lists list {pipeline}")
    assert out.splitlines()[2].split() == ["mules", "immutable", "block", "customer", "2", "a", "known", "mule"]
    status, _, err = call(f"lists add {pipeline} mules")
    assert (status, err.strip()) == (1, "mitra lists: no key is given; name some, or a file of them with --file")


def test_features_come_and_go(call: Call, pipeline: str, files: Path):
    assert call(f"rules put-feature {pipeline} double", "amount * 2")[0] == 0
    (files / "big.yaml").write_text("id: big\nwhen: double > 5\noutcome: review\n")
    assert call(f"rules push {pipeline} {files}/big.yaml")[0] == 0
    status, _, err = call(f"rules retire-feature {pipeline} double")
    assert status == 1
    assert '"double" is still read by rule big' in err


def test_status_says_who_runs_what(call: Call, pipeline: str, files: Path, topics: MemoryTopics):
    call(f"rules push {pipeline} {files}")
    call(f"lists put {pipeline} mules --kind watch --by customer")
    status, out, _ = call(f"control status {pipeline}")
    assert status == 0
    assert [line.split()[:4] for line in out.splitlines()[2:5]] == [
        ["intake", "1", "4", "all"],
        ["history", "2", "4", "all"],
        ["decide", "2", "4", "all"],
    ]
    assert "3 rules" in out
    assert "1 list" in out
    topics.silent = {("intake", 0)}
    call(f"rules retire {pipeline} big --timeout 10ms")
    status, out, _ = call(f"control status {pipeline}")
    assert status == 1
    assert out.endswith("is the job running?\nintake: lane 0: runs revision 4\n")
    status, found = call(f"control status {pipeline} --json")
    assert (status, found["active"], found["revision"]) == (1, False, 5)
    last = found["parts"][-1]
    assert (last["stage"], last["part"], last["revision"]) == ("decide", 1, 5)


def test_status_tells_of_a_job_that_runs_another_pipeline_file(call: Call, pipeline: str, topics: MemoryTopics):
    call(f"lists put {pipeline} mules --kind watch --by customer")
    answer = json.loads(topics.acks[0] or b"")
    topics.acks.append(json.dumps({**answer, "status": "refused", "reason": "there is no entity"}).encode())
    status, out, _ = call(f"control status {pipeline}")
    assert status == 1
    assert "the job answered otherwise to revision 1 than this pipeline file would" in out


def test_the_log_tells_refused_changes_too(call: Call, pipeline: str, files: Path, topics: MemoryTopics):
    call(f"rules push {pipeline} {files}/big.yaml", "--reason", "fraud wave")
    topics.append([b'{"change": "rule.retire", "id": "x", "author": "eve", "rule": "bog"}', b"{"])
    status, out, _ = call(f"control log {pipeline}")
    assert status == 0
    rows = out.splitlines()
    assert rows[0] == "payments: 3 changes"
    assert "ann     rule.put big     fraud wave  accepted" in rows[2]
    assert 'eve     rule.retire bog              refused: rule: there is no rule "bog"' in rows[3]
    assert "?       ?                            refused: cannot be read as JSON" in rows[4]
    _, found = call(f"control log {pipeline} --last 1 --json")
    assert [one["became"] for one in found] == ["refused"]


def test_a_rollback_and_an_export_that_changes_nothing(call: Call, pipeline: str, files: Path, tmp_path: Path):
    call(f"rules push {pipeline} {files}")
    call(f"lists put {pipeline} mules --kind watch --by customer")
    call(f"lists add {pipeline} mules c1 c2")
    assert call(f"rules retire {pipeline} big")[0] == 0
    status, out, _ = call(f"control rollback {pipeline} 5")
    assert status == 0
    assert out.splitlines()[1].split() == ["rollback", "5", "7", "active"]
    folder = tmp_path / "out"
    status, out, _ = call(f"control export {pipeline} {folder}")
    assert status == 0
    assert f"{folder}: revision 7 in 5 files: 3 rules, 0 features, 1 list" in out
    status, found = call(f"rules push {pipeline} {folder} --json")
    assert status == 0
    assert {one["state"] for one in found["changes"]} == {"unchanged"}
    status, _, err = call(f"rules rollback {pipeline} 99")
    assert status == 1
    assert "there is no revision 99 yet" in err


def test_check_runs_the_examples_of_rule_files(call: Call, tmp_path: Path):
    pipeline = ROOT / "examples" / "handbook" / "pipeline.yaml"
    file = tmp_path / "big.yaml"
    file.write_text(FILES["big.yaml"].replace("amount", "TX_AMOUNT"))
    status, out, _ = call(f"check {pipeline} {tmp_path}")
    assert status == 0
    assert out.splitlines()[2] == "1 rule: nothing wrong, 1 example as they say"
    file.write_text(file.read_text().replace("fires: true", "fires: false"))
    status, found = call(f"check {pipeline} {file} --json")
    assert status == 1
    (problem,) = found["problems"]
    assert (problem["file"], problem["line"]) == (str(file), 7)
    assert "the rule big fires here" in problem["rendered"]


@pytest.mark.parametrize(
    "words",
    ["rules", "rules push", "rules push x", "rules mode x y lively", "lists put x y --kind blok --by z", "control"],
)
def test_a_wrong_call_has_status_2(call: Call, words: str):
    assert call(words)[0] == 2


def test_a_wrong_timeout_is_told(call: Call, pipeline: str, files: Path):
    status, _, err = call(f"rules push {pipeline} {files} --timeout long")
    assert status == 1
    assert "--timeout=long is no length of time" in err


def test_a_dead_broker_is_one_line_within_seconds(pipeline: str, files: Path):
    words = ["rules", "push", pipeline, str(files), "--bootstrap", "localhost:1"]
    done = subprocess.run(
        [sys.executable, "-m", "mitra.cli", *words], capture_output=True, text=True, timeout=10, cwd=ROOT, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("mitra rules: no Kafka at bootstrap=localhost:1")
    assert done.stderr.count("\n") == 1


def test_ctrl_c_while_waiting_has_status_130(
    call: Call, pipeline: str, files: Path, topics: MemoryTopics, monkeypatch: pytest.MonkeyPatch
):
    def broken_off(_: float) -> list[bytes | None]:
        raise KeyboardInterrupt

    monkeypatch.setattr(topics, "next_acks", broken_off)
    status, _, err = call(f"rules push {pipeline} {files}")
    assert status == 130
    assert err == "mitra rules: broken off\n"


def test_an_author_that_is_not_known_is_asked_for(
    call: Call, pipeline: str, files: Path, monkeypatch: pytest.MonkeyPatch
):
    def unknown() -> str:
        raise KeyError

    monkeypatch.setattr("getpass.getuser", unknown)
    status, _, err = call(f"rules push {pipeline} {files}")
    assert status == 1
    assert "name one with --author" in err
