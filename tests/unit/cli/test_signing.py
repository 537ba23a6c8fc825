"""Changes signed on the command line: what counts, what is refused before it is sent, and the way to a second signature."""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import mitra.control.kafka
from mitra.cli import main
from mitra.control.replay import context_of
from mitra.pipeline import Pipeline, load_pipeline
from tests.factories.control_topics import MemoryTopics

PAGE = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Signed changes")[2].partition("\n## ")[0]
POLICY, CONTROL = re.findall(r"^```yaml\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
CALLS = [
    line
    for body in re.findall(r"^```\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
    for line in body.splitlines()
    if line.startswith("mitra ")
]
PIPELINE = """
name: shop
events: {payment: {id: id, time: at, fields: {id: string, at: time, amount: number, customer: string}}}
entities: {customer: customer}
"""
FILES = {
    "night.yaml": "{id: night, when: hour(at) < 6, outcome: review}",
    "block.yaml": "{id: big, when: amount > 5000, outcome: block}",
    "pipeline.yaml": f"{PIPELINE}{CONTROL}",
    "unsigned.yaml": PIPELINE,
}

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("getpass.getuser", lambda: "eve")
    monkeypatch.delenv("MITRA_SIGNING_KEY", raising=False)

    def called(words: str) -> tuple[int, str, str]:
        status = main(shlex.split(words)[1:])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return called


@pytest.fixture
def topics(call: Call, monkeypatch: pytest.MonkeyPatch) -> MemoryTopics:
    """A job with the page's policy; its keys are those that the page's first calls have made."""
    for name, text in FILES.items():
        Path(name).write_text(text)
    lines = [call(words)[1] for words in CALLS[:2]]
    Path("policy.yaml").write_text(f"keys:\n  {'  '.join(lines)}{POLICY[POLICY.index('may:') :]}")
    made = MemoryTopics(context_of(load_pipeline("pipeline.yaml")))

    @contextmanager
    def opened(_: Pipeline) -> Iterator[MemoryTopics]:
        yield made

    monkeypatch.setattr(mitra.control.kafka, "open_topics", opened)
    return made


def test_the_page_is_gone_through_as_it_says(call: Call, topics: MemoryTopics) -> None:
    told = [call(words) for words in CALLS[2:]]
    assert [(status, err) for status, _, err in told] == [(0, "")] * 4
    assert "active everywhere" in told[0][1]
    assert told[1][1].startswith("change.jsonl: 1 change, not sent\n")
    assert told[2][1].splitlines()[2].split() == ["rule.put", "big", "ann", "ann,", "bob"]
    assert set(topics.job.govern.live.rules) == {"night", "big"}
    assert [json.loads(data or b"")["author"] for data in topics.records] == ["ann", "ann"]
    assert "unchanged" in call(CALLS[5])[1]  # sent once more
    assert len(topics.records) == 2


def test_what_the_job_would_refuse_is_refused_before_it_is_sent(call: Call, topics: MemoryTopics) -> None:
    status, _, err = call("mitra rules push pipeline.yaml night.yaml --author ann")
    assert status == 1
    assert "signatures: the change isn't signed\n  sign it with a key that the policy names: --sign KEYFILE" in err
    _, _, err = call("mitra rules push pipeline.yaml block.yaml --sign ann-2026.pem")
    assert "needs the signature of a second person\n  who may: bob; `mitra control sign` adds it" in err
    _, _, err = call("mitra rules push pipeline.yaml night.yaml --sign ann-2026.pem --author bob")
    assert '"bob" is the author, signed by ann' in err
    assert not topics.records


def test_a_key_that_the_policy_lacks_is_not_used(call: Call, topics: MemoryTopics) -> None:
    call("mitra control keygen eve.pem")
    status, _, err = call("mitra rules push pipeline.yaml night.yaml --sign eve.pem")
    assert status == 1
    assert "the policy has no key with public=" in err
    assert not topics.records


def test_one_who_signs_twice_is_one(call: Call, topics: MemoryTopics) -> None:
    call(CALLS[3])
    first = Path("change.jsonl").read_bytes()
    assert call("mitra control sign pipeline.yaml change.jsonl --sign ann-2026.pem")[0] == 0
    assert Path("change.jsonl").read_bytes() == first
    assert "second person" in call(CALLS[5])[2]
    assert not topics.records


def test_a_change_that_was_altered_after_it_was_signed_is_refused(call: Call, topics: MemoryTopics) -> None:
    for words in CALLS[3:5]:
        call(words)
    file = Path("change.jsonl")
    file.write_text(file.read_text().replace("5000", "5"))
    status, _, err = call(CALLS[5])
    assert status == 1
    assert 'signatures[0].signature: is not by the key "ann-2026"' in err


def test_a_signature_sent_again_under_another_id_is_refused_by_the_job_too(call: Call, topics: MemoryTopics) -> None:
    call(CALLS[2])
    recorded = json.loads(topics.records[0] or b"")
    call("mitra rules retire pipeline.yaml night --sign bob-2026.pem")
    offsets = topics.append([json.dumps({**recorded, "id": "another"}).encode(), topics.records[0]])
    last = topics.job.acks[-2:]
    assert [(ack.status, ack.place) for ack in last] == [("refused", "signatures[0].signature"), ("prepared", "")]
    assert last[1].revision == 1  # a duplicate: the first one's answer
    assert not topics.job.govern.live.rules
    assert [entry["became"] for entry in json.loads(call("mitra control log pipeline.yaml --json")[1])] == [
        "accepted", "accepted", "refused", "duplicate",
    ]  # fmt: skip
    assert offsets == [2, 3]


def test_the_environment_names_the_key(call: Call, topics: MemoryTopics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MITRA_SIGNING_KEY", "bob-2026.pem")
    assert call("mitra rules push pipeline.yaml night.yaml")[0] == 0
    assert json.loads(topics.records[0] or b"")["author"] == "bob"
    assert call("mitra rules retire pipeline.yaml night --sign ann-2026.pem")[0] == 0
    assert json.loads(topics.records[1] or b"")["author"] == "ann"


def test_where_changes_are_not_signed_the_environment_is_not_asked_and_a_key_is_too_much(
    call: Call, topics: MemoryTopics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MITRA_SIGNING_KEY", "gone.pem")
    assert call("mitra rules push unsigned.yaml night.yaml --no-wait")[0] == 0
    status, _, err = call("mitra rules push unsigned.yaml block.yaml --sign ann-2026.pem")
    assert status == 1
    assert "the pipeline has no control.policy" in err
    assert "'gone.pem' cannot be read" in call("mitra rules push pipeline.yaml block.yaml")[2]


def test_a_key_is_its_owners_alone(call: Call, topics: MemoryTopics) -> None:
    file = Path("ann-2026.pem")
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    assert "is there already" in call(CALLS[0])[2]
    assert file.read_bytes() == before
    file.chmod(0o640)
    assert "has mode=0640: others can read it" in call(CALLS[2])[2]
    Path("odd.pem").write_text("no key")
    Path("odd.pem").chmod(0o600)
    assert "holds no private Ed25519 key" in call("mitra rules retire pipeline.yaml x --sign odd.pem")[2]
    assert "the key's name=a b is none" in call("mitra control keygen 'a b.pem'")[2]


def test_a_file_that_is_no_file_of_changes_is_told_by_line(call: Call, topics: MemoryTopics) -> None:
    Path("odd.jsonl").write_text(
        '{"change": "rule.retire", "id": "1", "author": "ann", "rule": "x"}\n\n{"change": 5}\n'
    )
    status, _, err = call("mitra control sign pipeline.yaml odd.jsonl --sign ann-2026.pem")
    assert status == 1
    assert "odd.jsonl: 1 problem" in err
    assert "line 3" in err
    Path("odd.jsonl").write_text("")
    assert "holds no change" in call("mitra control send pipeline.yaml odd.jsonl")[2]
    assert "cannot be read" in call("mitra control send pipeline.yaml gone.jsonl")[2]
    assert "no key is given" in call("mitra control sign pipeline.yaml odd.jsonl")[2]


def test_a_file_is_not_written_over(call: Call, topics: MemoryTopics) -> None:
    assert call(CALLS[3])[0] == 0
    status, _, err = call(CALLS[3])
    assert status == 1
    assert "'change.jsonl' is there already" in err
    _, out, _ = call("mitra rules push pipeline.yaml block.yaml --output other.jsonl --json --author ann")
    assert json.loads(out)["file"] == "other.jsonl"
    assert "signatures" not in Path("other.jsonl").read_text()
