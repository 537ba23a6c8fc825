"""docs/control.md: its changes can be made, its ack is one that comes out, its tables are complete."""

import json
import re
from pathlib import Path
from typing import get_args

import jsonschema

from control_stream.acks import Ack, Status, ack_schema
from control_stream.changes import CHANGES
from control_stream.signing import read_policy
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
            assert job.send(line.encode()).status == "prepared", line
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


def test_the_policy_shown_is_one() -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", PIECES["Signed changes"], re.MULTILINE | re.DOTALL)
    policy = read_policy(text, "policy.yaml")
    assert set(policy.may) == {"ann", "bob"}
