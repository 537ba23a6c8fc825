"""What the language has, by name, and what to say of the Python it hasn't."""

import ast
from dataclasses import dataclass
from typing import Literal

from rules.plan import Function

Kind = Literal["number", "string", "time", "any", "digits", "part"]
Result = Literal["string", "integer", "number", "boolean", "same"]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar function: the kinds of its arguments, how many may be left out, and its result.

    `same`: the type that the arguments have together. `repeats`: the last argument may come again and again.
    """

    arguments: tuple[Kind, ...]
    result: Result
    optional: int = 0
    repeats: bool = False


SCALARS: dict[str, Scalar] = {
    "default": Scalar(("any", "any"), "same"),
    "is_missing": Scalar(("any",), "boolean"),
    "abs": Scalar(("number",), "same"),
    "log": Scalar(("number",), "number"),
    "sqrt": Scalar(("number",), "number"),
    "round": Scalar(("number", "digits"), "integer", optional=1),
    "least": Scalar(("number", "number"), "same", repeats=True),
    "greatest": Scalar(("number", "number"), "same", repeats=True),
    "hour": Scalar(("time",), "integer"),
    "weekday": Scalar(("time",), "integer"),
    "day": Scalar(("time",), "integer"),
    "lower": Scalar(("string",), "string"),
    "starts_with": Scalar(("string", "string"), "boolean"),
    "contains": Scalar(("string", "string"), "boolean"),
    "distance_km": Scalar(("number", "number", "number", "number"), "number"),
    "address_similarity": Scalar(("string", "string"), "number"),
    "address_complete": Scalar(("string",), "boolean"),
    "address_part": Scalar(("string", "part"), "string"),
}
OF_ADDRESSES = ("address_similarity", "address_complete", "address_part")
"""Their code is supplied (rules.supplied), and too slow to be asked of every event of a history."""

ADDRESS_PARTS = ("number", "street", "city", "region", "postcode")
MAX_DIGITS = 12
"""Of round(x, n): more than a double holds of an amount of money."""


@dataclass(frozen=True, slots=True)
class AggregateShape:
    """What an aggregate function takes.

    `field`: whether it reads a field. `windowed`: whether it needs over= or last=; without, it takes neither, and no
    delay=. `numeric`: which fields it reads: `any`, `number`, or `number_or_boolean` (True counts as 1).
    `label`: whether the field may be the label. `parameter`: what else it is told: the `share` of a quantile, a `period`.
    `ever`: whether lifetime totals of it are kept; `default_ever`: whether that is meant where no window is named.
    `elapsed`: whether the time between two events can stand for the field.
    """

    field: Literal["required", "optional", "none"] = "required"
    windowed: bool = True
    numeric: Literal["any", "number", "number_or_boolean"] = "any"
    label: bool = False
    parameter: Literal["share", "period"] | None = None
    ever: bool = True
    default_ever: bool = False
    elapsed: bool = False


AGGREGATES: dict[Function, AggregateShape] = {
    "count": AggregateShape(field="optional", label=True, elapsed=True),
    "sum": AggregateShape(numeric="number_or_boolean", label=True, elapsed=True),
    "mean": AggregateShape(numeric="number_or_boolean", label=True, elapsed=True),
    "min": AggregateShape(numeric="number", elapsed=True),
    "max": AggregateShape(numeric="number", elapsed=True),
    "std": AggregateShape(numeric="number", elapsed=True),
    "distinct": AggregateShape(),
    "previous": AggregateShape(windowed=False),
    "first": AggregateShape(),
    "seconds_since": AggregateShape(field="none", windowed=False),
    "quantile": AggregateShape(numeric="number", parameter="share", ever=False, elapsed=True),
    "most_common": AggregateShape(ever=False),
    "trend": AggregateShape(numeric="number", ever=False, elapsed=True),
    "periodicity": AggregateShape(field="none", parameter="period", ever=False),
    "open": AggregateShape(field="none", default_ever=True),
}
OPTIONS = ("by", "over", "last", "delay", "where", "event")
SPEED = "speed_kmh"
GRAPH = "graph"
MATCHED = "matched"
PROFILE = "profile"
SESSION = "session"
ELAPSED = "elapsed"
OPEN_OPTIONS = (*OPTIONS, "until", "id")
MAX_LAST = 1_000
"""Of last=: the newest events are read one by one, and histories keep some thousands."""

MAX_TEXT = 1_000
"""Characters of a text in quotes."""

FUNCTIONS = (*SCALARS, *AGGREGATES, SPEED, GRAPH, MATCHED, PROFILE)

INSTEAD = {
    "len": "count(...) counts events; the length of a text can't be asked",
    "avg": "did you mean mean?",
    "average": "did you mean mean?",
    "stddev": "did you mean std?",
    "elapsed": "aggregate it: mean(elapsed(event=created, to=picked, id=order_id), by=store, last=50)",
    "median": "write quantile(amount, 0.5, ...)",
    "percentile": "write quantile(amount, 0.95, ...)",
    "mode": "did you mean most_common?",
    "slope": "did you mean trend?",
    "session": 'it stands behind over=: count(by=..., over=session("30m"))',
    "ifnull": "did you mean default?",
    "coalesce": "did you mean default?",
    "nvl": "did you mean default?",
    "isnull": "did you mean is_missing?",
    "lag": "did you mean previous?",
    "upper": "write lower(...) and compare with a lower-case text",
    "int": "did you mean round?",
    "float": "integers are numbers already",
    "str": "numbers and texts can't be turned into each other",
    "bool": "write a comparison, like x > 0",
}
"""Functions that other languages have, and what to use."""

FOREIGN: dict[type[ast.AST], tuple[str, str]] = {
    ast.Attribute: ("a dot reaches into nothing here: values have no parts", ""),
    ast.Subscript: ("square brackets behind a value are not part of the language", ""),
    ast.Lambda: ("lambda is not part of the language", ""),
    ast.ListComp: ("a comprehension is not part of the language", ""),
    ast.SetComp: ("a comprehension is not part of the language", ""),
    ast.DictComp: ("a comprehension is not part of the language", ""),
    ast.GeneratorExp: ("a comprehension is not part of the language", ""),
    ast.JoinedStr: ("f-texts are not part of the language", "write the text without f"),
    ast.Starred: ("* before a value is not part of the language", ""),
    ast.NamedExpr: ("':=' is not part of the language", "give the value a name as a feature of its own"),
    ast.Dict: ("a dict is not part of the language", ""),
    ast.Set: ("a set is not part of the language", "write a list: [...]"),
    ast.List: ("a list only stands behind in", 'like country in ["DE", "FR"]'),
    ast.Tuple: ("a list only stands behind in", 'like country in ("DE", "FR")'),
    ast.Await: ("await is not part of the language", ""),
    ast.Yield: ("yield is not part of the language", ""),
    ast.YieldFrom: ("yield is not part of the language", ""),
}
FOREIGN_OPERATORS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Pow: ("** is not part of the language", "write x * x for a square, sqrt(x) for a root"),
    ast.MatMult: ("@ is not part of the language", ""),
    ast.BitAnd: ("& is not part of the language", "write and"),
    ast.BitOr: ("| is not part of the language", "write or"),
    ast.BitXor: ("^ is not part of the language", ""),
    ast.LShift: ("<< is not part of the language", ""),
    ast.RShift: (">> is not part of the language", ""),
    ast.Invert: ("~ is not part of the language", "write not"),
    ast.UAdd: ("a plus sign before a value is not part of the language", "leave it out"),
}
OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
