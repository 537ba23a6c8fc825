"""The order in which expressions that refer to each other are checked, and the circles that have none."""

import ast
from collections.abc import Collection, Mapping

from rules.grammar import AGGREGATES, ELAPSED, GRAPH, SPEED


def references(tree: ast.expr, names: Collection[str]) -> dict[str, ast.Name]:
    """Return the `names` that a syntax tree refers to, each with its first place; aggregates refer to none."""
    found: dict[str, ast.Name] = {}
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id not in AGGREGATES and node.func.id not in {ELAPSED, GRAPH, SPEED}:
                todo += [*node.args, *node.keywords]
        elif isinstance(node, ast.Name):
            if node.id in names:
                found.setdefault(node.id, node)
        else:
            todo += ast.iter_child_nodes(node)
    return found


def sort(graph: Mapping[str, Collection[str]]) -> tuple[list[str], list[list[str]]]:
    """Return the names, each behind those it refers to, and the circles found, each as its path without the return.

    Names in a circle, and those that refer to one, stand in the order as well, wherever.
    """
    done: dict[str, None] = {}
    circles: list[list[str]] = []
    for start in graph:
        if start in done:
            continue
        path: list[str] = [start]
        open_ = {start}
        todo = [iter(graph[start])]
        while todo:
            name = next(todo[-1], None)
            if name is None:
                todo.pop()
                finished = path.pop()
                open_.discard(finished)
                done[finished] = None
            elif name in open_:
                circles.append(path[path.index(name) :])
            elif name not in done:
                path.append(name)
                open_.add(name)
                todo.append(iter(graph[name]))
    return list(done), circles
