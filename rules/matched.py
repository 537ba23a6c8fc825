"""`matched("pattern", by=customer, over="1d")`: whether Flink CEP found a pattern in an entity's events lately.

Matches enter the entity's history as events, so this is a count of them, written shorter.
"""

import ast
from typing import TYPE_CHECKING

from mitra.schema import MATCH
from rules.problems import closest
from rules.tree import Node

if TYPE_CHECKING:
    from rules.check import Checker

_TAKES = ("by", "over")


def matched_call(checker: "Checker", found: ast.Call) -> Node:
    """Return the checked node of the call."""
    patterns = dict(checker.schema.patterns)
    example = 'write matched("pattern", by=customer, over="1d")'
    if not patterns:
        return checker.refuse(
            found, "the pipeline has no pattern that Flink CEP looks for", "they stand in its cep section"
        )
    given = found.args[0] if len(found.args) == 1 else None
    options = {one.arg: one for one in found.keywords if one.arg}
    if not isinstance(given, ast.Constant) or not isinstance(given.value, str) or sorted(options) != sorted(_TAKES):
        return checker.refuse(found, "matched takes the name of a pattern in quotes, by= and over=", example)
    name = given.value
    if name not in patterns:
        hint = closest(name, patterns) or f"the patterns are {', '.join(patterns)}"
        return checker.refuse(given, f"unknown pattern {name}", hint)
    entity = options["by"].value
    if isinstance(entity, ast.Name) and entity.id in checker.schema.entity_by_name and entity.id != patterns[name]:
        return checker.refuse(entity, f"{name} is looked for by {patterns[name]}", f"write by={patterns[name]}")
    where = ast.Compare(ast.Name("pattern"), [ast.Eq()], [ast.Constant(name)])
    keywords = [
        options["by"], options["over"], ast.keyword("event", ast.Name(MATCH)), ast.keyword("where", where)
    ]  # fmt: skip
    count = ast.Call(ast.Name("count"), [], keywords)
    whole = ast.Compare(count, [ast.Gt()], [ast.Constant(0)])
    for node in ast.walk(whole):
        if not hasattr(node, "lineno"):
            ast.copy_location(node, found)
    return checker.node(whole)
