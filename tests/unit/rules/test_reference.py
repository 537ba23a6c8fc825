"""The reference in docs/expressions.md: every function there is and no other, with the types that the checker takes and gives."""

import ast
import re
from pathlib import Path

import pytest

from rules import ExpressionsError, check_expressions, compile_features
from rules.grammar import AGGREGATES, FUNCTIONS, GRAPH, MATCHED, OPTIONS, PROFILE, SCALARS, SPEED
from tests.factories.expressions import VALUES, schema

PAGE = (Path(__file__).parents[3] / "docs" / "expressions.md").read_text(encoding="utf-8")
FIELDS = {"text": "country", "integer": "items", "number": "amount", "boolean": "online", "the label": "fraud"}
WINDOWS = {
    "over": 'over="1h"', "session": 'over=session("30m")', "ever": 'over="ever"', "last": "last=10", "delay": 'over="1h", delay="7d"', "where": "{}where=amount > 5",
    "event": "{}event=payment",
}  # fmt: skip
AGGREGATE_NAMES = [*AGGREGATES, SPEED]


def table(heading: str) -> list[list[str]]:
    """Return the rows of the first table below a heading, without its head."""
    below = PAGE.split(f"# {heading}\n", 1)[1]
    rows = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert rows
    return [[cell.strip() for cell in row.strip().strip("|").split(" | ")] for row in rows[0].splitlines()[2:]]


def type_of(expression: str) -> str:
    """Return the type of an expression, an empty text if it is refused."""
    try:
        found = check_expressions({"f": expression}, schema(), "features")["f"].type
    except ExpressionsError:
        return ""
    return "text" if found == "string" else found


def call(name: str, field: str, options: str = "") -> str:
    window = 'over="1h"' if name in AGGREGATES and AGGREGATES[name].windowed else ""
    options = options.format(f"{window}, " if window else "") if options else window
    paired = "until=login, id=country" + ("" if "event=" in options else ", event=payment")
    told = {"quantile": "0.9", "periodicity": '"1d"', "open": paired}.get(name, "")
    inside = ", ".join(filter(None, ["lat, lon" if name == SPEED else field, told, "by=customer", options]))
    return f"{name}({inside})"


def results(name: str) -> list[str]:
    """Return the types that an aggregate gives: of no field, then of each kind of field."""
    if name == SPEED:
        return ["", "", "number", "number", "", ""]
    return [type_of(call(name, field)) for field in ("", *FIELDS.values())]


def takes(name: str) -> list[str]:
    field = "" if type_of(call(name, "")) else "amount"
    return ["yes" if type_of(call(name, field, text)) else "" for text in WINDOWS.values()]


def shape(name: str) -> str:
    """Return what a scalar takes, as the page writes it."""
    one = SCALARS[name]
    kinds = [{"string": "text", "any": "any"}.get(kind, kind) for kind in one.arguments]
    if one.optional:
        kinds[-one.optional :] = [f"[{kind}]" for kind in kinds[-one.optional :]]
    return f"{name}({', '.join(kinds)}{', …' if one.repeats else ''})"


def test_every_function_is_in_the_reference_and_no_other():
    found = [
        row[0].strip("`").split("(")[0]
        for heading in ("Aggregates by type", "Functions by type")
        for row in table(heading)
    ]
    # These three are told of elsewhere.
    assert sorted([*found, GRAPH, MATCHED, PROFILE]) == sorted(FUNCTIONS)
    assert [row[0].strip("`") for row in table("Options by aggregate")] == AGGREGATE_NAMES
    assert {"by", *WINDOWS} - {"session", "ever"} == set(OPTIONS)


@pytest.mark.parametrize("row", table("Aggregates by type"), ids=lambda row: row[0])
def test_aggregates_take_and_give_what_is_shown(row: list[str]):
    name, *given, example = (cell.strip("`") for cell in row)
    assert given == results(name)
    assert example.startswith(f"{name}(")
    assert type_of(example) in given


@pytest.mark.parametrize("row", table("Options by aggregate"), ids=lambda row: row[0])
def test_aggregates_take_the_options_that_are_shown(row: list[str]):
    name, *given = (cell.strip("`") for cell in row)
    assert given == takes(name)


@pytest.mark.parametrize("row", table("Functions by type"), ids=lambda row: row[0])
def test_functions_take_and_give_what_is_shown(row: list[str]):
    written, given, example, result = (cell.strip("`") for cell in row)
    name = written.split("(")[0]
    assert written == shape(name)
    kind = SCALARS[name].result
    assert given.split(";")[0] == {"string": "text", "same": "the type of its arguments"}.get(kind, kind)
    made = compile_features({"f": example}, schema())
    assert re.match(rf"{name}\(", example)
    assert made.function(VALUES, (), VALUES[1]) == (ast.literal_eval(result),)  # type: ignore[arg-type]
