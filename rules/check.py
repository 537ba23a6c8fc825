"""From Python's syntax tree to the checked tree: only the language's own constructs, every one with its type."""

import ast
import math
from collections.abc import Callable, Sequence
from typing import Literal, cast

from rules import tree
from rules.aggregates import aggregate, speed
from rules.grammar import (
    AGGREGATES,
    FOREIGN,
    FOREIGN_OPERATORS,
    FUNCTIONS,
    GRAPH,
    INSTEAD,
    MATCHED,
    MAX_TEXT,
    OPERATORS,
    PROFILE,
    SPEED,
)
from rules.graph import graph
from rules.matched import matched_call
from rules.names import IN_STEP, Scope, resolve, resolve_part
from rules.parse import continues
from rules.problems import Source, closest
from rules.profile import profile
from rules.scalars import scalar
from rules.schema import ExpressionSchema
from rules.tree import Constant, Node, NodeType, Unknown

MAX_INTEGER = 2**63 - 1
NUMERIC = ("integer", "number")
ARTICLES = {"string": "a text", "integer": "a number", "number": "a number", "boolean": "a boolean"}


def join(types: Sequence[NodeType]) -> NodeType | None:
    """Return the type that holds values of all these types, or None if there is none."""
    kinds = set(types)
    if "unknown" in kinds:
        return "unknown"
    if len(kinds) == 1:
        return types[0]
    return "number" if kinds == set(NUMERIC) else None


class Checker:
    """Checks one expression in one scope, noting problems in its source."""

    def __init__(self, source: Source, schema: ExpressionSchema, scope: Scope) -> None:
        """Check the text of `source` against `schema`, with the names of `scope`."""
        self.source = source
        self.schema = schema
        self.scope = scope
        self._checks: dict[type[ast.AST], Callable[..., Node]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.BinOp: self._binary,
            ast.UnaryOp: self._unary,
            ast.BoolOp: self._logic,
            ast.Compare: self._compare,
            ast.IfExp: self._choice,
            ast.Call: self._call,
        }
        if scope.place == IN_STEP:
            self._checks[ast.Attribute] = self._part

    def inside(self, scope: Scope) -> "Checker":
        """Return a checker of the same text in another scope."""
        return Checker(self.source, self.schema, scope)

    def refuse(self, node: ast.AST, message: str, hint: str = "") -> Node:
        """Note a problem and return the node that stands in for what was meant."""
        self.source.add(node, message, hint)
        return Unknown("unknown", "?")

    def node(self, found: ast.expr) -> Node:
        """Return the checked node, which may be a time."""
        check = self._checks.get(type(found))
        if check is None:
            return self.refuse(found, *FOREIGN.get(type(found), ("this is not part of the language", "")))
        return check(found)

    def value(self, found: ast.expr) -> Node:
        """Return the checked node of a value."""
        node = self.node(found)
        if node.type == "time":
            return self.refuse(found, "a time can't be reckoned with", "ask hour(time), weekday(time) or day(time)")
        return node

    def number(self, found: ast.expr, wanted_by: str) -> Node:
        """Return the checked node of a number that `wanted_by` wants."""
        node = self.value(found)
        if node.type not in (*NUMERIC, "unknown"):
            return self.refuse(found, f"{wanted_by} wants a number, not {ARTICLES[node.type]}", self._number_hint(node))
        return node

    def string(self, found: ast.expr, wanted_by: str) -> Node:
        """Return the checked node of a text that `wanted_by` wants."""
        node = self.value(found)
        if node.type not in {"string", "unknown"}:
            return self.refuse(found, f"{wanted_by} wants a text, not {ARTICLES[node.type]}")
        return node

    def condition(self, found: ast.expr, wanted_by: str) -> Node:
        """Return the checked node of a boolean that `wanted_by` wants."""
        node = self.value(found)
        if node.type not in {"boolean", "unknown"}:
            hint = "compare it with something, like x > 0" if node.type in NUMERIC else 'compare it, like x == "y"'
            return self.refuse(found, f"{wanted_by} wants a boolean, not {ARTICLES[node.type]}", hint)
        return node

    @staticmethod
    def _number_hint(node: Node) -> str:
        if isinstance(node, Constant) and isinstance(node.value, str):
            return "take the quotes off" if node.value.replace(".", "", 1).isdigit() else ""
        return "write 1 if ... else 0" if node.type == "boolean" else ""

    def _constant(self, found: ast.Constant) -> Node:
        value = found.value
        if isinstance(value, bool):
            return tree.constant(value)
        if isinstance(value, int):
            if value > MAX_INTEGER:
                return self.refuse(found, "the number is too big", f"integers go up to {MAX_INTEGER}")
            return tree.constant(value)
        if isinstance(value, float):
            return tree.constant(value) if math.isfinite(value) else self.refuse(found, "the number is too big")
        if isinstance(value, str):
            if len(value) > MAX_TEXT:
                return self.refuse(found, f"the text is {len(value)} characters long, more than {MAX_TEXT}")
            if any("\ud800" <= character <= "\udfff" for character in value):
                return self.refuse(found, "the text is not Unicode")
            return tree.constant(value)
        if value is None:
            return self.refuse(
                found, "None is not part of the language", "to ask whether a value is there, write is_missing(...)"
            )
        return self.refuse(found, f"a value of type {type(value).__name__} is not part of the language")

    def _name(self, found: ast.Name) -> Node:
        return resolve(found, self.scope, self.schema, self.source)

    def _part(self, found: ast.Attribute) -> Node:
        return resolve_part(found, self.scope, self.source)

    def _binary(self, found: ast.BinOp) -> Node:
        links = [found]
        while continues(links[-1].left, links[-1]):
            links.append(cast(ast.BinOp, links[-1].left))
        links.reverse()
        operators: list[str] = []
        for link in links:
            operator = OPERATORS.get(type(link.op))
            if operator is None:
                self.refuse(link, *FOREIGN_OPERATORS[type(link.op)])
            operators.append(operator or "?")
        operands = [links[0].left, *(link.right for link in links)]
        wanted_by = [operators[0], *operators]
        nodes = tuple(self.number(one, f"'{by}'") for one, by in zip(operands, wanted_by, strict=True))
        if "?" in operators:
            return Unknown("unknown", "?")
        kind = "number" if "/" in operators else join([node.type for node in nodes])
        return tree.arithmetic(tuple(operators), nodes, kind or "unknown")

    def _unary(self, found: ast.UnaryOp) -> Node:
        if isinstance(found.op, ast.Not):
            return tree.opposite(self.condition(found.operand, "not"))
        if isinstance(found.op, ast.USub):
            operand = self.number(found.operand, "'-'")
            return tree.negative(operand, operand.type)
        self.value(found.operand)
        return self.refuse(found, *FOREIGN_OPERATORS[type(found.op)])

    def _logic(self, found: ast.BoolOp) -> Node:
        word: Literal["and", "or"] = "and" if isinstance(found.op, ast.And) else "or"
        return tree.logic(word, [self.condition(operand, word) for operand in found.values])

    def _choice(self, found: ast.IfExp) -> Node:
        condition = self.condition(found.test, "if")
        then, otherwise = self.value(found.body), self.value(found.orelse)
        kind = join([then.type, otherwise.type])
        if kind is None:
            return self.refuse(
                found, f"the result is {ARTICLES[then.type]} or {ARTICLES[otherwise.type]}", "both must be of one type"
            )
        return tree.choice(condition, then, otherwise, kind)

    def _compare(self, found: ast.Compare) -> Node:
        if any(isinstance(operator, ast.In | ast.NotIn) for operator in found.ops):
            if len(found.ops) > 1:
                return self.refuse(found, "in can't be chained with other comparisons", "write and between them")
            return self._member(found, negated=isinstance(found.ops[0], ast.NotIn))
        if any(isinstance(operator, ast.Is | ast.IsNot) for operator in found.ops):
            return self.refuse(found, "is is not part of the language", "write == or !=, or is_missing(...)")
        operands = [found.left, *found.comparators]
        nodes = [self.value(operand) for operand in operands]
        pairs = []
        for place, operator in enumerate(found.ops):
            left, right = nodes[place], nodes[place + 1]
            symbol = OPERATORS[type(operator)]
            if self._comparable(found if len(found.ops) == 1 else operands[place + 1], symbol, left, right):
                pairs.append(tree.compare(symbol, left, right))
        return tree.logic("and", pairs) if len(pairs) == len(found.ops) else Unknown("unknown", "?")

    def _comparable(self, place: ast.AST, symbol: str, left: Node, right: Node) -> bool:
        kind = join([left.type, right.type])
        if kind is None:
            hint = next((hint for hint in map(self._number_hint, (left, right)) if hint), "")
            self.refuse(place, f"{ARTICLES[left.type]} is compared with {ARTICLES[right.type]}", hint)
        elif kind == "boolean" and symbol not in {"==", "!="}:
            self.refuse(place, f"booleans have no order: {symbol} can't compare them", "write ==, !=, and, or, not")
        else:
            return kind != "unknown"
        return False

    def _member(self, found: ast.Compare, *, negated: bool) -> Node:
        value, listed = self.value(found.left), found.comparators[0]
        if not isinstance(listed, ast.List | ast.Tuple):
            hint = "to look for a piece of a text, write contains(text, piece)"
            return self.refuse(listed, "behind in stands a list of numbers or texts", hint)
        if not listed.elts:
            return self.refuse(listed, "the list is empty")
        constants = []
        for element in listed.elts:
            item = self.node(element) if isinstance(element, ast.Constant | ast.UnaryOp) else None
            if item is None or not isinstance(item, Constant | Unknown):
                self.refuse(element, "a list holds only numbers and texts as they are written")
            elif isinstance(item, Constant):
                if join([value.type, item.type]) is None:
                    self.refuse(element, f"{ARTICLES[value.type]} is looked for, and this is {ARTICLES[item.type]}")
                else:
                    constants.append(item)
        if len(constants) < len(listed.elts) or value.type == "unknown":
            return Unknown("unknown", "?")
        return tree.member(value, constants, negated=negated)

    def _call(self, found: ast.Call) -> Node:
        if not isinstance(found.func, ast.Name):
            self.value(found.func)
            return self.refuse(found, "only the language's functions can be called")
        name = found.func.id
        if name == SPEED:
            return speed(self, found)
        if name in AGGREGATES:
            return aggregate(self, found)
        if name == GRAPH:
            return graph(self, found)
        if name == MATCHED:
            return matched_call(self, found)
        if name == PROFILE:
            return profile(self, found)
        node = scalar(self, found)
        if node is not None:
            return node
        hint = INSTEAD.get(name.lower()) or closest(name, FUNCTIONS)
        is_name = name in self.scope.fields or name in self.scope.features
        what = f"{name} is no function" if is_name else f"unknown function {name}"
        return self.refuse(found.func, what, "" if is_name else hint)
