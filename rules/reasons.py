"""The reason of a rule: a text with expressions in braces, filled with values where the rule fires.

`{amount} is {round(amount / usual, 1)} times the usual` — `{{` and `}}` are braces themselves. An expression in braces is
any of the language; a missing value reads `missing`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rules.check import Checker
from rules.expression import Expression
from rules.names import Scope
from rules.parse import parse
from rules.plan import Value, ValueType
from rules.problems import ExpressionProblem, Source, Span
from rules.schema import ExpressionSchema

MAX_EXPRESSIONS = 16
_MAX_TEXT = 200
"""Characters of a value: texts come with events, and a reason lies on the decision."""


@dataclass(frozen=True)
class Template:
    """A compiled reason: `expressions[i]` stands behind `texts[i]`; one text more closes it."""

    texts: tuple[str, ...]
    expressions: tuple[Expression, ...]

    @property
    def plain(self) -> str:
        """The reason where it has no expressions, else an empty text."""
        return "" if self.expressions else self.texts[0]

    def filled(self, values: Iterator[Value]) -> str:
        """Return the reason with the values of the expressions, in their order."""
        parts = [self.texts[0]]
        for text, expression, value in zip(self.texts[1:], self.expressions, values, strict=True):
            parts += shown(value, expression.type), text
        return "".join(parts)


def shown(value: Value, kind: ValueType) -> str:
    """Return a value as a person reads it: whole numbers whole, others with two decimals or three digits."""
    if value is None:
        return "missing"
    if isinstance(value, str):
        short = value if len(value) <= _MAX_TEXT else f"{value[:_MAX_TEXT]}…"
        return short if short.isprintable() else "".join(one if one.isprintable() else "·" for one in short)
    if kind == "boolean":
        return "True" if value else "False"
    if isinstance(value, int):
        return str(value)
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if abs(value) >= 1e15 or abs(value) < 1:
        return f"{value:.3g}"
    return f"{value:.2f}".rstrip("0").rstrip(".")


def compile_template(
    text: str, path: str, schema: ExpressionSchema, scope: Scope
) -> tuple[Template | None, list[ExpressionProblem]]:
    """Return the compiled reason, or None, and all that is wrong with it, with places in the whole text."""
    whole = Source(path, text)
    texts, pieces = _split(whole)
    expressions = []
    for start, piece in pieces:
        source = Source(path, piece)
        found = parse(source, schema.expression_bytes, schema.expression_depth)
        node = None if found is None else Checker(source, schema, scope).value(found)
        if node is not None and not source.problems:
            expressions.append(Expression("reason", piece, node, schema.zone))
        colon = _end(piece, 0, ":") if source.problems else None
        if colon is not None:
            whole.add(
                _at(whole.text, start + colon), "a format behind : is not part of the language", "write round(x, 2)"
            )
            continue
        for problem in source.problems:
            whole.add(_moved(problem.span, whole.text, start), problem.message, problem.hint)
    if len(pieces) > MAX_EXPRESSIONS:
        start = pieces[MAX_EXPRESSIONS][0]
        whole.add(_at(whole.text, start), f"a reason has at most {MAX_EXPRESSIONS} values")
    return (None if whole.problems else Template(tuple(texts), tuple(expressions))), whole.problems


def _split(source: Source) -> tuple[list[str], list[tuple[int, str]]]:
    """Return the texts between, and the expressions in braces with their places."""
    text = source.text
    texts, pieces, at = [""], list[tuple[int, str]](), 0
    while at < len(text):
        character = text[at]
        if text[at : at + 2] in {"{{", "}}"}:
            texts[-1] += character
            at += 2
        elif character == "}":
            source.add(_at(text, at), "a brace is closed that was not opened", "for a brace itself, write }}")
            at += 1
        elif character == "{":
            end = _end(text, at + 1, "}")
            if end is None:
                source.add(_at(text, at), "a brace is opened and not closed", "for a brace itself, write {{")
                break
            pieces.append((at + 1, text[at + 1 : end]))
            texts.append("")
            at = end + 1
        else:
            texts[-1] += character
            at += 1
    return texts, pieces


def _end(text: str, start: int, wanted: str) -> int | None:
    """Return the place of the next `wanted` character; those in quotes don't count."""
    quote = ""
    at = start
    while at < len(text):
        character = text[at]
        if quote:
            if character == "\\":
                at += 1
            elif character == quote:
                quote = ""
        elif character in "\"'":
            quote = character
        elif character == wanted:
            return at
        at += 1
    return None


def _at(text: str, place: int) -> Span:
    line = text.count("\n", 0, place) + 1
    column = place - text.rfind("\n", 0, place)
    return Span(line, column, line, column + 1)


def _moved(span: Span, text: str, start: int) -> Span:
    """Return a span of the piece that begins at `start` as one of the whole text."""
    first = _at(text, start)
    down, right = first.line - 1, first.column - 1
    return Span(
        span.line + down,
        span.column + (right if span.line == 1 else 0),
        span.end_line + down,
        span.end_column + (right if span.end_line == 1 else 0),
    )
