"""docs/control.md: its changes can be made, its ack is one that comes out, its tables are complete."""

import base64
import json
import re
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from control_stream import ed25519
from control_stream.acks import Ack, Status, ack_schema
from control_stream.changes import CHANGES, Change, read_change
from control_stream.limits import ControlLimits
from control_stream.live_set import LiveSet
from control_stream.refusal import Refused
from control_stream.signing import read_policy
from mitra.errors import ProblemsError
from tests.factories.control import Job

TEXT = (Path(__file__).parents[3] / "docs" / "control.md").read_text(encoding="utf-8")
PIECES = dict(re.findall(r"^## (.+?)$(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))


def shown(title: str) -> list[str]:
    (body,) = re.findall(r"^```json\n(.*?)^```$", PIECES[title], re.MULTILINE | re.DOTALL)
    return str(body).splitlines()


def rows(title: str, head: str) -> list[str]:
    table = PIECES[title].partition(f"| {head} |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE)


def test_the_changes_shown_can_be_made() -> None:
    for title in ("A change", "What can be changed"):
        job = Job()
        for line in shown(title):
            status = job.send(line.encode()).status
            assert status == ("loading" if "model.put" in line else "prepared"), line
            job.load()
        job.answer()
        assert job.govern.settled
    assert set(job.govern.live.rules) == {"big_at_night"}  # by the rollback


def test_every_change_is_listed_and_shown() -> None:
    assert rows("What can be changed", "change") == list(CHANGES)
    assert {json.loads(line)["change"] for line in shown("What can be changed")} == set(CHANGES)


def test_the_ack_shown_is_one_that_comes_out() -> None:
    (line,) = shown("An ack")
    example = json.loads(line)
    jsonschema.validate(example, ack_schema())
    job = Job()
    job.offset = 10
    job.send(shown("A change")[0].encode().replace(b"7f3a", b"first"))
    job.now_ms = example["at"]
    ack = job.push("rule.retire", id="7f3a", rule="big_at_nigt")
    assert json.loads(ack.to_json()) == example


def test_tables_name_every_field_and_status() -> None:
    assert rows("An ack", "field") == list(Ack.__struct_fields__)
    assert rows("An ack", "status") == list(get_args(Status))


def policy_text() -> str:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", PIECES["Signed changes"], re.MULTILINE | re.DOTALL)
    return str(text)


def test_the_policy_shown_is_one_and_its_table_is_complete() -> None:
    policy = read_policy(policy_text(), "policy.yaml")
    assert set(policy.may) == {"ann", "bob"}
    assert (policy.keys["ann-2025"].to_revision, policy.from_revision) == (41, 12)
    with pytest.raises(ProblemsError) as found:
        read_policy(f"{policy_text()}more: 1\n", "policy.yaml")
    assert f"allowed: {', '.join(rows('Signed changes', 'key'))}" in str(found.value)


def test_a_change_signed_as_the_program_shown_does_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", PIECES["Signed changes"], re.MULTILINE | re.DOTALL)
    pem = ed25519.new_private_pem()
    (tmp_path / "ann-2026.pem").write_bytes(pem)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(program, names)
    public = base64.b64encode(ed25519.public_of(ed25519.private_of_pem(pem) or b"")).decode()
    text = policy_text().replace("Vd/E3t5rlJ0VvC6DZrTQSPqMqnw5v6ESbGV9lFPYXgs=", public)
    change = read_change(names["record"].encode(), ControlLimits())
    assert isinstance(change, Change)
    read_policy(text, "policy.yaml", "shop.control").authorize(change, LiveSet(), 12)
    with pytest.raises(Refused):
        read_policy(text, "policy.yaml", "test.control").authorize(change, LiveSet(), 12)
