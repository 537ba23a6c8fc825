"""The checked tree of an expression: every node has a static type and a canonical text.

Two nodes of equal text mean the same: white space, parentheses that change nothing, the order of `and`, `or` and of a
list, units of time and the side a constant is compared from are gone. Aggregates' keys and shared code rest on that.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from mitra.graph.features import Column
from rules.plan import Aggregate, ValueType

NodeType = ValueType | Literal["time", "unknown"]
"""`time` is only what hour(), weekday() and day() take; `unknown` stands for something already reported."""

CHOICE, OR, AND, NOT, COMPARISON, SUM, PRODUCT, NEGATIVE, ATOM = range(9)
"""How tightly a node's text binds."""


@dataclass(frozen=True, eq=False)
class Node:
    """One node: its type, its text, how tightly the text binds, and the nodes it is made of."""

    type: NodeType
    text: str
    level: int = ATOM
    parts: tuple["Node", ...] = ()

    def walk(self) -> Iterator["Node"]:
        """Yield the node and all below it."""
        yield self
        for part in self.parts:
            yield from part.walk()


@dataclass(frozen=True, eq=False)
class Unknown(Node):
    """Stands where a problem was reported, so that nothing else is reported because of it."""


@dataclass(frozen=True, eq=False)
class Constant(Node):
    """A literal."""

    value: float | int | str | bool = False


@dataclass(frozen=True, eq=False)
class FieldNode(Node):
    """A field of the decided event, or of the stored event in a `where=`."""

    name: str = ""


@dataclass(frozen=True, eq=False)
class TimeNode(Node):
    """The event's time, in milliseconds since 1970 UTC. `name` is that of the field which holds it."""

    name: str = "time"


@dataclass(frozen=True, eq=False)
class FeatureNode(Node):
    """Another feature's value."""

    name: str = ""


@dataclass(frozen=True, eq=False)
class AggregateNode(Node):
    """What a history answers."""

    aggregate: Aggregate | None = None


@dataclass(frozen=True, eq=False)
class GraphNode(Node):
    """What the graph says of a node that the event names."""

    node: str = ""
    column: Column | None = None


@dataclass(frozen=True, eq=False)
class Arithmetic(Node):
    """A chain of + and -, or of *, /, // and %: `operators[i]` stands before `parts[i + 1]`."""

    operators: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Negative(Node):
    """A number with its sign turned."""


@dataclass(frozen=True, eq=False)
class Compare(Node):
    """Two values compared."""

    operator: str = "=="


@dataclass(frozen=True, eq=False)
class Logic(Node):
    """Two or more conditions joined by `and` or by `or`."""

    operator: Literal["and", "or"] = "and"


@dataclass(frozen=True, eq=False)
class Not(Node):
    """A condition turned round."""


@dataclass(frozen=True, eq=False)
class Member(Node):
    """Whether a value is one of some constants."""

    values: tuple[Constant, ...] = ()
    negated: bool = False


@dataclass(frozen=True, eq=False)
class Choice(Node):
    """`parts` are the condition, the value if it is true and the value if it is false."""


@dataclass(frozen=True, eq=False)
class Call(Node):
    """A scalar function of its `parts`."""

    function: str = ""


def _inside(node: Node, least_level: int) -> str:
    return node.text if node.level >= least_level else f"({node.text})"


def constant(value: float | str | bool) -> Constant:  # noqa: FBT001 - a value is no flag
    """Return the node of a literal."""
    if isinstance(value, bool):
        return Constant("boolean", repr(value), value=value)
    if isinstance(value, str):
        return Constant("string", ascii(value), value=value)
    kind: NodeType = "integer" if isinstance(value, int) else "number"
    text = repr(value)
    return Constant(kind, text, NEGATIVE if text.startswith("-") else ATOM, value=value)


def arithmetic(operators: tuple[str, ...], operands: tuple[Node, ...], kind: NodeType) -> Node:
    """Return the node of a chain of one level's operators."""
    level = SUM if operators[0] in {"+", "-"} else PRODUCT
    text = _inside(operands[0], level)
    for operator, operand in zip(operators, operands[1:], strict=True):
        text += f" {operator} {_inside(operand, level + 1)}"
    return Arithmetic(kind, text, level, operands, operators=operators)


def negative(operand: Node, kind: NodeType) -> Node:
    """Return the node of a number with its sign turned; of a literal, the negative literal."""
    if isinstance(operand, Constant) and operand.level == ATOM and not isinstance(operand.value, str):
        return constant(-operand.value)
    return Negative(kind, f"-{_inside(operand, NEGATIVE + 1)}", NEGATIVE, (operand,))


_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def _whole(node: Node) -> Node:
    """Return 100 for 100.0: compared, they are the same."""
    if isinstance(node, Constant) and isinstance(node.value, float) and node.value.is_integer():
        return constant(int(node.value)) if abs(node.value) < 2**53 else node
    return node


def compare(operator: str, left: Node, right: Node) -> Node:
    """Return the node of one comparison; a constant goes to the right."""
    left, right = _whole(left), _whole(right)
    if isinstance(left, Constant) and not isinstance(right, Constant):
        operator, left, right = _FLIPPED[operator], right, left
    text = f"{_inside(left, COMPARISON + 1)} {operator} {_inside(right, COMPARISON + 1)}"
    return Compare("boolean", text, COMPARISON, (left, right), operator=operator)


def logic(operator: Literal["and", "or"], operands: Iterable[Node]) -> Node:
    """Return the node of conditions joined; each stands once, and their order is no part of the text."""
    flat: dict[str, Node] = {}
    for operand in operands:
        joined = operand.parts if isinstance(operand, Logic) and operand.operator == operator else (operand,)
        for part in joined:
            flat.setdefault(part.text, part)
    parts = tuple(flat.values())
    if len(parts) == 1:
        return parts[0]
    level = AND if operator == "and" else OR
    text = f" {operator} ".join(sorted(_inside(part, level + 1) for part in parts))
    return Logic("boolean", text, level, parts, operator=operator)


def opposite(operand: Node) -> Node:
    """Return the node of a condition turned round."""
    return Not("boolean", f"not {_inside(operand, NOT)}", NOT, (operand,))


def member(value: Node, values: Iterable[Constant], *, negated: bool) -> Node:
    """Return the node that asks whether a value is one of the constants."""
    whole = {one.text: one for item in values if isinstance(one := _whole(item), Constant)}
    ordered = tuple(whole[text] for text in sorted(whole))
    text = f"{_inside(value, COMPARISON + 1)} {'not ' if negated else ''}in [{', '.join(one.text for one in ordered)}]"
    return Member("boolean", text, COMPARISON, (value,), values=ordered, negated=negated)


def choice(condition: Node, then: Node, otherwise: Node, kind: NodeType) -> Node:
    """Return the node of `then if condition else otherwise`."""
    text = f"{_inside(then, OR)} if {_inside(condition, OR)} else {_inside(otherwise, OR)}"
    return Choice(kind, text, CHOICE, (condition, then, otherwise))


def call(function: str, arguments: tuple[Node, ...], kind: NodeType) -> Node:
    """Return the node of a scalar function's call."""
    return Call(kind, f"{function}({', '.join(one.text for one in arguments)})", ATOM, arguments, function=function)
