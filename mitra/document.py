"""A YAML file as plain values, with the line of everything in it.

Read stricter than YAML 1.1: a key may be given once, `yes`, `no` and `on` are texts, `12:30` is no number and
`2024-01-01` no date, and nothing is constructed but mappings, lists, texts, numbers, true, false and null.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from mitra.errors import Problem

# Aliases let a few lines stand for billions of values; a pipeline of real life has some hundreds.
MAX_VALUES = 100_000
MAX_DEPTH = 32
# PyYAML's parser recurses; deeper flow collections than this are refused before it sees them.
_MAX_BRACKETS_OPEN = 64

# What a parser gives values without a tag: plain texts in the form of YAML 1.1's types are among them.
_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value", "binary")
)
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Document:
    """The values of a file, the line of each by its path, and what is wrong with its form."""

    value: object
    lines: Mapping[str, int]
    problems: tuple[Problem, ...]


def join_path(path: str, key: str) -> str:
    """Return the path of `key` inside `path`: `events.payment`."""
    return f"{path}.{key}" if path else key


def read_document(text: str) -> Document:
    """Return the values of a YAML text; never raises, whatever the text."""
    if _brackets_open(text) > _MAX_BRACKETS_OPEN:
        return _unreadable(f"brackets open more than {_MAX_BRACKETS_OPEN} deep", None)
    try:
        root = yaml.SafeLoader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = "; ".join(part for part in (error.problem, error.context) if part)
        snippet = (mark.get_snippet(indent=0) or "") if mark else ""
        return _unreadable(f"cannot be read as YAML: {message}", mark.line + 1 if mark else None, snippet)
    except (yaml.YAMLError, RecursionError) as error:
        return _unreadable(f"cannot be read as YAML: {str(error).splitlines()[0]}", None)
    if root is None:
        return Document({}, {}, ())
    walk = _Walk()
    value = walk.value(root, "", 0)
    return Document(value, walk.lines, tuple(walk.problems))


def _unreadable(message: str, line: int | None, hint: str = "") -> Document:
    return Document({}, {}, (Problem("", message, hint, line),))


def _brackets_open(text: str) -> int:
    deepest = depth = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


class _Walk:
    """Turns nodes into values, keeping lines and collecting problems."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self.problems: list[Problem] = []
        self._values = 0

    def value(self, node: yaml.Node, path: str, depth: int) -> object:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self._values += 1
        if depth > MAX_DEPTH or self._values > MAX_VALUES:
            if not any("too large" in problem.message for problem in self.problems):
                message = f"too large: more than {MAX_VALUES} values, or more than {MAX_DEPTH} levels"
                self.problems.append(Problem(path, message, "aliases (*name) count each time they are used", line))
            return None
        if node.tag not in _TAGS:
            self.problems.append(
                Problem(path, f"found the tag {node.tag}", "tags are not used here: leave it out", line)
            )
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, f"{path}[{place}]", depth + 1) for place, item in enumerate(node.value)]
        return _scalar(node.value) if getattr(node, "style", None) is None else node.value

    def _mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, object]:
        values: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(Problem(path, "found a list or mapping as a key", "a key is a name", line))
                continue
            key = str(key_node.value)
            inner = join_path(path, key)
            if key in values:
                message = f"given twice, on lines {self.lines[inner]} and {line}"
                self.problems.append(Problem(inner, message, "keep one of the two", line))
                continue
            self.lines[inner] = line
            values[key] = self.value(value_node, inner, depth + 1)
        return values


def _scalar(text: str) -> object:
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text in _NULL:
        return None
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    return text
