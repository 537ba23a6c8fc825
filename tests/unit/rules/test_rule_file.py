"""Rule files: what they hold, where their mistakes are, and what their examples show."""

import pytest

from mitra.document import read_document
from mitra.errors import ProblemsError
from rules import Example, Rule, read_rule_file, rule_mapping, run_examples
from tests.factories.expressions import schema

FEATURES = {
    "usual": 'mean(amount, by=customer, over="30d")',
    "times_usual": "amount / usual",
    "night": "hour(time) < 6",
    "unused": "items",
}


def read(text: str):
    return read_rule_file(read_document(text), "big.yaml")


def run(text: str) -> list[str]:
    return [problem.render() for problem in run_examples(read(text), FEATURES, schema())]


@pytest.mark.parametrize(
    "text",
    [
        "id: big\nwhen: amount > 100\noutcome: review\n",
        "- {id: big, when: amount > 100, outcome: review}\n",
        "rules:\n- {id: big, when: amount > 100, outcome: review}\n",
    ],
)
def test_a_file_holds_a_rule_or_a_list_or_rules(text: str):
    (one,) = read(text)
    assert one.rule == Rule(id="big", when="amount > 100", outcome="review")
    assert one.examples == ()
    assert one.line == (2 if text.startswith("rules") else 1)


def test_examples_stay_with_their_rule():
    text = """
- id: big
  when: amount > 100
  outcome: block
  examples:
  - {event: {amount: 120}, fires: true}
  - event: {amount: 20}
    given: {night: false}
    fires: false
- {id: other, when: night, outcome: review}
"""
    first, second = read(text)
    assert first.examples == (
        Example({"amount": 120}, {}, True, "[0].examples[0]", 6),
        Example({"amount": 20}, {"night": False}, False, "[0].examples[1]", 7),
    )
    assert (second.rule.id, second.line, second.examples) == ("other", 10, ())


def test_what_is_wrong_is_told_with_its_line_all_at_once():
    text = """rules:
- id: big
  when: amount > 100
  outcome: blocked
  examples:
  - {event: [1], fires: maybe}
- id: ok
  when: amount > 1
  outcome: allow
- id: ok
  whn: amount > 1
  outcome: allow
"""
    with pytest.raises(ProblemsError) as caught:
        read(text)
    assert [(one.path, one.line) for one in caught.value.problems] == [
        ("rules[0].outcome", 4),
        ("rules[0].examples[0].fires", 6),
        ("rules[0].examples[0].event", 6),
        ("rules[2].when", 10),
        ("rules[2].id", 10),
        ("rules[2].whn", 11),
    ]
    assert "did you mean when?" in str(caught.value)


def test_an_id_stands_once_in_a_file():
    with pytest.raises(ProblemsError, match='found "a", which is the id of the rule on line 1 too'):
        read("- {id: a, when: amount > 1, outcome: allow}\n- {id: a, when: amount > 2, outcome: allow}\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file holds no rule"),
        ("rules: []", "found a list of 0; allowed: a list of rules"),
        ("- 5", "found 5; allowed: a rule"),
        ("5", "found 5; allowed: a rule"),
        ("a: [", "cannot be read as YAML"),
        ("rules: [{id: a, when: b, outcome: block}]\nid: 5", "id (line 2): is not known here"),
    ],
)
def test_what_is_no_rule_file_is_refused(text: str, said: str):
    with pytest.raises(ProblemsError) as caught:
        read(text)
    assert said in str(caught.value)


RULE = "id: big\nwhen: {}\noutcome: block\nexamples:\n- {}\n"


@pytest.mark.parametrize(
    ("when", "example"),
    [
        ("amount > 100", "{event: {amount: 120}, fires: true}"),
        ("amount > 100", "{event: {amount: 20}, fires: false}"),
        ("amount > 100", "{fires: null}"),
        ("times_usual > 3", "{event: {amount: 120}, given: {times_usual: 3.5}, fires: true}"),
        ("times_usual > 3", "{event: {amount: 120}, given: {usual: 30}, fires: true}"),
        (
            "times_usual > 3",
            "{event: {amount: 120}, given: {'mean(amount, over=\"30d\", by=customer)': 50}, fires: false}",
        ),
        ("times_usual > 3", "{event: {amount: 120}, fires: null}"),
        ("night", "{event: {at: '2018-03-30T05:00:00Z'}, fires: true}"),
        ("night and amount > 5", "{event: {time: 1522453500000, amount: 7}, fires: false}"),
        (
            "amount > 1 or night",
            "{event: {amount: 7}, given: {night: null}, fires: true}".replace("{amount", "{at: 0, amount"),
        ),
    ],
)
def test_an_example_that_holds_says_nothing(when: str, example: str):
    assert run(RULE.format(when, example)) == []


@pytest.mark.parametrize(
    ("when", "example", "said"),
    [
        (
            "amount > 100",
            "{event: {amount: 120}, fires: false}",
            "examples[0] (line 5): the rule big fires here, and fires is false\n  with amount = 120",
        ),
        (
            "times_usual > 3",
            "{event: {amount: 120}, fires: true}",
            "examples[0] (line 5): the rule big can't be decided here, and fires is true\n  it lacks times_usual",
        ),
        (
            "amount > 100",
            "{event: {amount: 20}, fires: null}",
            "examples[0] (line 5): the rule big doesn't fire here, and fires is null\n  with amount = 20",
        ),
        (
            "amount > 100",
            "{event: {ammount: 20, items: 1.5}, fires: true}",
            (
                "examples[0].event.ammount (line 5): is no field of payment events\n  did you mean amount?\n"
                "examples[0].event.items (line 5): found 1.5; allowed: an integer"
            ),
        ),
        (
            "times_usual > 3",
            "{given: {unused: 20, usual: much}, fires: true}",
            (
                "examples[0].given.unused (line 5): is nothing that the rule reads\n"
                "  it reads usual, times_usual, mean(amount, by=customer, over=30d)\n"
                'examples[0].given.usual (line 5): found "much"; allowed: a number'
            ),
        ),
        (
            "night",
            "{fires: true}",
            (
                "examples[0].event (line 5): gives no time, and the rule looks at the clock\n"
                "  add at: 2026-01-31T23:45:00Z"
            ),
        ),
        (
            "night",
            "{event: {at: yesterday}, fires: true}",
            (
                'examples[0].event.at (line 5): found "yesterday"; allowed: a time like 2026-01-31T08:00:00+01:00, '
                "or milliseconds since 1970"
            ),
        ),
    ],
)
def test_an_example_that_does_not_hold_says_why(when: str, example: str, said: str):
    assert "\n".join(run(RULE.format(when, example))) == said


def test_what_is_written_reads_back():
    rule = Rule(id="a", when="amount > 1", outcome="block", percent=2.5, by="customer", from_ms=5, tags=("x",))
    assert rule_mapping(rule) == {
        "id": "a",
        "when": "amount > 1",
        "outcome": "block",
        "percent": 2.5,
        "by": "customer",
        "from": "1970-01-01T00:00:00.005+00:00",
        "tags": ["x"],
    }
