"""Checks of what is asked of the graph: its feature, the node, and what narrows it."""

import ast
from typing import TYPE_CHECKING

from mitra.graph.features import FEATURES, Column, GraphFeature
from mitra.graph.settings import GraphSettings
from rules.durations import duration_ms, duration_text
from rules.problems import closest
from rules.schema import graph_text
from rules.tree import GraphNode, Node, Unknown

if TYPE_CHECKING:
    from rules.check import Checker

UNKNOWN = Unknown("unknown", "?")
_EXAMPLE = 'write graph("degree", by=customer)'


def graph(checker: "Checker", found: ast.Call) -> Node:
    """Return the checked node of what the graph says."""
    settings = checker.schema.graph
    if checker.scope.stored:
        return checker.refuse(found, "the graph can't be asked in where=", "where= asks only the stored event itself")
    if settings is None:
        return checker.refuse(
            found, "this pipeline has no graph", "its section graph says what is a node and what is linked"
        )
    before = len(checker.source.problems)
    feature = _feature(checker, found)
    options = _options(checker, found, feature)
    node = _one_of(checker, found, options.get("by"), "by", list(settings.node_by_name), "node")
    kind = over_ms = None
    if feature is not None and feature.option in options:
        kind = _one_of(checker, found, options[feature.option], feature.option, list(settings.types), "type of node")
    if feature is not None and feature.windowed:
        over_ms = _window(checker, found, options.get("over"), feature, settings)
    if len(checker.source.problems) > before or feature is None or node is None:
        return UNKNOWN
    column = Column(feature.name, kind or "", over_ms or 0)
    return GraphNode(feature.type, graph_text(node, column), node=node, column=column)


def _feature(checker: "Checker", found: ast.Call) -> GraphFeature | None:
    given = found.args[0] if len(found.args) == 1 else None
    name = given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else None
    if given is None or name is None:
        quotes = isinstance(given, ast.Name) and given.id in FEATURES
        checker.refuse(
            given or found, "graph wants the name of a feature, in quotes", "put it in quotes" if quotes else _EXAMPLE
        )
        return None
    if name not in FEATURES:
        hint = closest(name, FEATURES) or f"there are {', '.join(FEATURES)}"
        checker.refuse(given, f"the graph has no feature {name}", hint)
        return None
    return FEATURES[name]


def _options(checker: "Checker", found: ast.Call, feature: GraphFeature | None) -> dict[str, ast.keyword]:
    """Return the options by name, having noted those that the feature doesn't take."""
    options: dict[str, ast.keyword] = {}
    if feature is None:
        allowed = ["by", "to", "via", "over"]
    else:
        allowed = ["by", *([feature.option] if feature.option else []), *(["over"] if feature.windowed else [])]
    for option in found.keywords:
        if option.arg is None:
            checker.refuse(option.value, "** is not part of the language")
        elif option.arg in options:
            checker.refuse(option, f"{option.arg}= is given twice")
        elif option.arg not in allowed:
            what = "graph" if feature is None else f"the feature {feature.name}"
            checker.refuse(
                option, f"{what} takes no {option.arg}=", f"it takes {', '.join(f'{one}=' for one in allowed)}"
            )
        options[option.arg or "**"] = option
    return options


def _one_of(
    checker: "Checker", found: ast.Call, option: ast.keyword | None, name: str, allowed: list[str], what: str
) -> str | None:
    listed = f"there are {', '.join(allowed)}"
    if option is None:
        checker.refuse(found, f"graph needs {name}=, which {what} to ask about", listed)
        return None
    given = option.value
    if isinstance(given, ast.Name) and given.id in allowed:
        return given.id
    if isinstance(given, ast.Name):
        checker.refuse(given, f"the graph has no {what} {given.id}", closest(given.id, allowed) or listed)
    else:
        quoted = isinstance(given, ast.Constant) and isinstance(given.value, str)
        checker.refuse(
            given, f"behind {name}= stands the name of a {what}", "take the quotes off" if quoted else listed
        )
    return None


def _window(
    checker: "Checker", found: ast.Call, option: ast.keyword | None, feature: GraphFeature, settings: GraphSettings
) -> int | None:
    listed = " or ".join(f'over="{duration_text(window)}"' for window in settings.windows_ms)
    if option is None:
        checker.refuse(found, f"the feature {feature.name} needs a window", f"write {listed}")
        return None
    given = option.value.value if isinstance(option.value, ast.Constant) else None
    size_ms = duration_ms(given) if isinstance(given, str) else None
    if size_ms not in settings.windows_ms:
        checker.refuse(option.value, "that is no window of the graph", f"write {listed}, or add it to graph.windows")
        return None
    return size_ms
