"""From checked trees to straight-line Python: one assignment a feature, missing values tested in line.

Every name, operator and call in the code is written here; of the expression's text only checked literals come in, by
their `repr`. A piece of code is a text together with the tests, any of which holding means that the value is missing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rules.tree import (
    AggregateNode,
    Arithmetic,
    Call,
    Choice,
    Compare,
    Constant,
    FeatureNode,
    FieldNode,
    GraphNode,
    Logic,
    Member,
    Negative,
    Node,
    Not,
    TimeNode,
)

HUGE = repr(1.7976931348623157e308)
LARGEST = repr(2**63 - 1)
_HEIGHT_OF_A_LINE = 10
"""A tree this high gets a line of its own: Python's parser allows 200 nested parentheses, a level needs up to four."""

Risk = Literal["number", "integer"]


class Signal(NamedTuple):
    """Something an expression reads: a field or feature by name, an aggregate or what the graph says by its text."""

    kind: Literal["field", "aggregate", "feature", "graph", "time"]
    name: str


def signal_of(node: Node) -> Signal | None:
    """Return what a node reads by itself, None for one that only computes."""
    match node:
        case FieldNode():
            return Signal("field", node.name)
        case FeatureNode():
            return Signal("feature", node.name)
        case AggregateNode():
            return Signal("aggregate", node.text)
        case GraphNode():
            return Signal("graph", node.text)
        case _:
            return None


@dataclass(frozen=True, slots=True)
class Code:
    """A Python expression, good where none of the `missing` tests holds.

    `bare`: it needs no parentheses. `risk`: it may have left the range of its type, and is then missing.
    `whole`: it may be None by itself. A `whole` has neither tests nor risk.
    """

    text: str
    missing: tuple[str, ...] = ()
    bare: bool = False
    risk: Risk | None = None
    whole: bool = False

    @property
    def certain(self) -> bool:
        """Whether the value is there whatever the data."""
        return not (self.missing or self.risk or self.whole)


def _merge(*codes: Code) -> tuple[str, ...]:
    return tuple(dict.fromkeys(test for code in codes for test in code.missing))


def _in_range(name: str, risk: Risk) -> str:
    return f"-{HUGE} <= {name} <= {HUGE}" if risk == "number" else f"-{LARGEST} <= {name} <= {LARGEST}"


class Writer:
    """Writes the assignments that compute some trees; nodes that stand in several places are computed once."""

    def __init__(self, trees: Sequence[Node], *, zoned: bool) -> None:
        """Prepare for these trees; `zoned`: the clock is not UTC's."""
        self.lines: list[tuple[str, str]] = []
        self.signals: dict[Signal, str] = {}
        self.kinds: dict[Signal, str] = {}
        self._zoned = zoned
        self._known: dict[str, Code] = {}
        self._counts: dict[str, int] = {}
        self._shared = 0
        self._temporaries = 0
        self._writers: dict[type[Node], Callable[..., Code]] = {
            Constant: self._constant,
            FieldNode: self._field,
            TimeNode: self._time,
            FeatureNode: self._feature,
            AggregateNode: self._aggregate,
            GraphNode: self._graph,
            Arithmetic: self._arithmetic,
            Negative: self._negative,
            Compare: self._compare,
            Logic: self._logic,
            Not: self._not,
            Member: self._member,
            Choice: self._choice,
            Call: self._call,
        }
        for tree in trees:
            self._count(tree)

    def assign(self, local: str, node: Node, *, feature: str | None = None) -> None:
        """Write `local = node`; later nodes of the same text, and references to `feature`, read the local."""
        known = self._known.get(node.text)
        code = known if known is not None else self._line(local, node)
        if known is not None:
            self.lines.append((local, known.text))
        result = Code(local, () if code.certain else (f"{local} is None",), bare=True)
        if known is None and node.parts:
            self._known[node.text] = result
        if feature is not None:
            self._known[feature] = result

    def _line(self, local: str, node: Node) -> Code:
        outer, self._temporaries = self._temporaries, 0
        code = self._writers[type(node)](node)
        self.lines.append((local, self._full(code)))
        self._temporaries = outer
        return code

    def _count(self, node: Node) -> int:
        """Count how often each compound node stands in the trees, and return the height of its tree."""
        if not node.parts:
            return 0
        seen = self._counts.get(node.text, 0)
        self._counts[node.text] = seen + 1
        if seen:
            return 0  # it gets a line of its own
        height = 1 + max(self._count(part) for part in node.parts)
        if height >= _HEIGHT_OF_A_LINE:
            self._counts[node.text] = 2
            height = 0
        return height

    def _code(self, node: Node) -> Code:
        known = self._known.get(node.text)
        if known is not None:
            return known
        if self._counts.get(node.text, 0) < 2:
            return self._writers[type(node)](node)
        local = f"s{self._shared}"
        self._shared += 1
        code = self._line(local, node)
        result = Code(local, () if code.certain else (f"{local} is None",), bare=True)
        self._known[node.text] = result
        return result

    def _temporary(self) -> str:
        self._temporaries += 1
        return f"t{self._temporaries}"

    def _full(self, code: Code) -> str:
        """Return the text that is None where the value is missing."""
        text = code.text
        if code.risk is not None:
            name = self._temporary()
            text = f"{name} if {_in_range(f'({name} := {text})', code.risk)} else None"
        return f"None if {' or '.join(code.missing)} else {text}" if code.missing else text

    def _operand(self, node: Node) -> Code:
        """Return code whose text is in range and binds as tightly as a name."""
        code = self._code(node)
        if code.whole:
            name = self._temporary()
            return Code(name, (f"({name} := {code.text}) is None",), bare=True)
        if code.risk is not None:
            name = self._temporary()
            test = f"not {_in_range(f'({name} := {code.text})', code.risk)}"
            return Code(name, (*code.missing, test), bare=True)
        return code if code.bare else Code(f"({code.text})", code.missing, bare=True)

    def _named(self, code: Code) -> Code:
        """Return an operand's code as a name, so that its text can stand twice."""
        if code.text.isidentifier():
            return code
        name = self._temporary()
        # A test that never holds: what is certain is not None.
        return Code(name, (*code.missing, f"({name} := {code.text}) is None"), bare=True)

    def _read(self, signal: Signal, kind: str) -> Code:
        prefix = {"field": "v", "aggregate": "a", "feature": "x", "graph": "g", "time": "T"}[signal.kind]
        local = self.signals.setdefault(signal, f"{prefix}{len(self.signals)}")
        self.kinds[signal] = kind
        return Code(local, (f"{local} is None",), bare=True)

    def _constant(self, node: Constant) -> Code:
        text = ascii(node.value)
        return Code(f"({text})" if text.startswith("-") else text, bare=True)

    def _field(self, node: FieldNode) -> Code:
        return self._read(Signal("field", node.name), node.type)

    def _time(self, node: TimeNode) -> Code:
        self.signals.setdefault(Signal("time", node.name), "T")
        return Code("T", bare=True)

    def _feature(self, node: FeatureNode) -> Code:
        return self._read(Signal("feature", node.name), node.type)

    def _aggregate(self, node: AggregateNode) -> Code:
        return self._read(Signal("aggregate", node.text), node.type)

    def _graph(self, node: GraphNode) -> Code:
        return self._read(Signal("graph", node.text), node.type)

    def _arithmetic(self, node: Arithmetic) -> Code:
        whole_numbers = node.type == "integer"
        code = self._term(node.parts[0], whole_numbers=whole_numbers)
        for operator, part in zip(node.operators, node.parts[1:], strict=True):
            if operator in {"+", "-", "*"}:
                right = self._term(part, whole_numbers=whole_numbers)
                missing = _merge(code, right)
            else:
                right = self._operand(part)
                if isinstance(part, Constant):
                    missing = _merge(code, right) if part.value else ("True",)
                else:
                    right = self._named(right)
                    missing = (*_merge(code, right), f"{right.text} == 0")
            code = Code(f"{code.text} {operator} {right.text}", missing, risk="integer" if whole_numbers else "number")
        return code

    def _term(self, node: Node, *, whole_numbers: bool) -> Code:
        """Return code for a term of a chain.

        Sums and products of numbers carry infinity and NaN along, so a chain of chains is tested once, at the end.
        Whole numbers are tested at each chain: they would grow for ever.
        """
        code = self._code(node)
        if code.risk == "number" and not whole_numbers:
            return Code(f"({code.text})", code.missing, bare=True, risk="number")
        return (
            self._operand(node)
            if code.whole or code.risk
            else (code if code.bare else Code(f"({code.text})", code.missing))
        )

    def _negative(self, node: Negative) -> Code:
        operand = self._operand(node.parts[0])
        return Code(f"-{operand.text}", operand.missing)

    def _compare(self, node: Compare) -> Code:
        left, right = (self._operand(part) for part in node.parts)
        return Code(f"{left.text} {node.operator} {right.text}", _merge(left, right))

    def _logic(self, node: Logic) -> Code:
        """Kleene's: a false operand decides `and`, a true one `or`; else one missing makes the whole missing."""
        decides, otherwise = ("False", "True") if node.operator == "and" else ("True", "False")
        tests, missing, certain = [], [], []
        for part in node.parts:
            code = self._code(part)
            if code.certain:
                text = code.text if code.bare else f"({code.text})"
                certain.append(text)
                tests.append(f"not {text}" if node.operator == "and" else text)
                continue
            name = self._temporary()
            value = f"({name} := {self._full(code)})"
            tests.append(f"{value} is not None and not {name}" if node.operator == "and" else value)
            missing.append(f"{name} is None")
        if not missing:
            return Code(f" {node.operator} ".join(certain))
        text = f"{decides} if {' or '.join(tests)} else None if {' or '.join(missing)} else {otherwise}"
        return Code(text, whole=True)

    def _not(self, node: Not) -> Code:
        operand = self._operand(node.parts[0])
        return Code(f"not {operand.text}", operand.missing)

    def _member(self, node: Member) -> Code:
        value = self._operand(node.parts[0])
        listed = ", ".join(ascii(one.value) for one in node.values)
        return Code(f"{value.text} {'not ' if node.negated else ''}in {{{listed}}}", value.missing)

    def _choice(self, node: Choice) -> Code:
        condition = self._operand(node.parts[0])
        then, otherwise = (self._code(part) for part in node.parts[1:])
        text = f"({self._full(then)}) if {condition.text} else ({self._full(otherwise)})"
        if then.certain and otherwise.certain:
            return Code(text, condition.missing)
        text = f"None if {' or '.join(condition.missing)} else {text}" if condition.missing else text
        return Code(text, whole=True)

    def _call(self, node: Call) -> Code:
        match node.function:
            case "default":
                return self._default(node)
            case "is_missing":
                return self._is_missing(node.parts[0])
            case "hour" | "weekday" | "day":
                return self._clock(node)
            case "round" if len(node.parts) == 2:
                return self._rounded(node)
            case _:
                return self._strict(node)

    def _strict(self, node: Call) -> Code:
        """Functions that are missing where one of their arguments is."""
        arguments = [self._operand(part) for part in node.parts]
        texts = [one.text for one in arguments]
        missing = _merge(*arguments)
        match node.function:
            case "abs" | "distance_km" | "address_similarity" | "address_complete" | "address_part" as name:
                text = f"{name}({', '.join(texts)})"
                return Code(text, missing, bare=True) if name == "abs" else self._maybe(text, missing)
            case "log" | "sqrt" as name:
                number = self._named(arguments[0])
                bound = "<= 0" if name == "log" else "< 0"
                return Code(f"{name}({number.text})", (*number.missing, f"{number.text} {bound}"), bare=True)
            case "round":
                return Code(f"round({texts[0]})", missing, bare=True, risk="integer")
            case "least" | "greatest" as name:
                return Code(f"{'min' if name == 'least' else 'max'}({', '.join(texts)})", missing, bare=True)
            case "lower":
                return Code(f"{texts[0]}.lower()", missing, bare=True)
            case "starts_with":
                return Code(f"{texts[0]}.startswith({texts[1]})", missing, bare=True)
            case "contains":
                return Code(f"{texts[1]} in {texts[0]}", missing)
        msg = f"no code is known for function={node.function!r}"
        raise AssertionError(msg)

    @staticmethod
    def _maybe(text: str, missing: tuple[str, ...]) -> Code:
        return Code(f"None if {' or '.join(missing)} else {text}" if missing else text, whole=True)

    def _rounded(self, node: Call) -> Code:
        number, digits = self._operand(node.parts[0]), node.parts[1].text
        return Code(f"round({number.text}, {digits})", number.missing, bare=True, risk="number")

    def _default(self, node: Call) -> Code:
        first, second = (self._code(part) for part in node.parts)
        if first.certain:
            return first
        if first.bare and first.missing == (f"{first.text} is None",):
            text = f"({self._full(second)}) if {first.text} is None else {first.text}"
        else:
            name = self._temporary()
            text = f"({self._full(second)}) if ({name} := {self._full(first)}) is None else {name}"
        return Code(text, whole=not second.certain)

    def _is_missing(self, part: Node) -> Code:
        code = self._code(part)
        if code.certain:
            return Code("False", bare=True)
        if code.bare and code.missing == (f"{code.text} is None",):
            return Code(f"{code.text} is None")
        return Code(f"({self._full(code)}) is None")

    def _clock(self, node: Call) -> Code:
        self._code(node.parts[0])
        local = "(T + offset_ms(T))" if self._zoned else "T"
        match node.function:
            case "hour":
                return Code(f"{local} // 3600000 % 24")
            case "weekday":  # 1970-01-01 was a Thursday
                return Code(f"({local} // 86400000 + 3) % 7")
            case _:
                return Code(f"day_of_month({local})", bare=True)
