"""Every example in docs/sequences.md: sequences compile, examples hold, and the tables name every key."""

import re
from pathlib import Path

import pytest

from mitra.document import read_document
from mitra.schema import Entity, EventType, Field
from rules import ExpressionSchema, check_rules, read_rule_file, read_written, run_examples
from tests.factories.expressions import LABELS

TEXT = (Path(__file__).parents[3] / "docs" / "sequences.md").read_text(encoding="utf-8")
FILES = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def _event(name: str, *fields: Field, decided: bool = False) -> EventType:
    own = (Field("id", "string"), Field("at", "integer"), Field("customer_id", "string"), *fields)
    return EventType(name, f"t.{name}", "id", "at", own, decided=decided)


DEVICE = Field("device_id", "string", required=False)
SCHEMA = ExpressionSchema(
    (
        _event("payment", Field("amount", "number"), DEVICE, decided=True),
        _event("login", Field("new_device", "boolean"), Field("passed", "boolean"), DEVICE),
        _event("password_reset"),
    ),
    (Entity("customer", ("customer_id",)),),
    LABELS,
    90 * 86_400_000,
)


def keys(heading: str) -> list[str]:
    """Return the keys in the first column of the table below a heading."""
    below = TEXT.split(f"# {heading}\n", 1)[1]
    rows = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert rows
    return [name for row in rows[0].splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split(" | ")[0])]


@pytest.mark.parametrize("content", FILES)
def test_sequences_compile_and_their_examples_hold(content: str) -> None:
    rules = read_rule_file(read_document(content), "page")
    check_rules({one.rule.id: one.rule for one in rules}, {}, SCHEMA)
    assert run_examples(rules, {}, SCHEMA) == []


def test_the_page_has_examples() -> None:
    assert len(FILES) >= 3
    assert sum("examples:" in content for content in FILES) >= 1


def test_an_example_that_does_not_hold_is_told() -> None:
    content = FILES[0].replace("fires: true", "fires: false", 1).replace("at: 40m", "at: 3m", 1)
    problems = run_examples(read_rule_file(read_document(content), "page"), {}, SCHEMA)
    assert [(one.path, one.message) for one in problems] == [
        ("examples[0]", "the sequence account-takeover fires here, and fires is false"),
        ("examples[1].events", "are not in order of time"),
    ]


def test_the_tables_have_every_key_and_no_other() -> None:
    given = {"id": "a", "by": "customer", "within": "1h", "steps": [{"step": "a", "?": 1}], "outcome": "block", "!": 1}
    _, problems = read_written(given, "")
    of_step, of_sequence = (one.message.partition("allowed: ")[2].split(", ") for one in problems)
    assert sorted(of_sequence) == sorted({*keys("What a sequence says")})
    assert sorted(of_step) == sorted(keys("Steps"))
