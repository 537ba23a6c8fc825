"""From text to Python's syntax tree, within bounds; nothing is executed.

The text is parsed inside parentheses, so that an expression may run over several lines.
"""

import ast
import warnings

from rules.problems import Source, Span

MAX_DEPTH = 64
"""No schema allows more: parsing and checking recurse, and generated code nests some three parentheses a level."""

MAX_TERMS = 256
"""Operands of one chain, like a + b + c: the parser nests each deeper than the last."""

_SUM = (ast.Add, ast.Sub)


def parse(source: Source, max_bytes: int, max_depth: int) -> ast.expr | None:
    """Return the syntax tree of an expression, or None after noting why there is none."""
    size = len(source.text.encode(errors="replace"))
    if size > max_bytes:
        source.add(Span(), f"the expression is {size:,} bytes long, more than {max_bytes:,}", "split it into features")
        return None
    if not source.text.strip():
        source.add(Span(), "the expression is empty")
        return None
    tree = _parse(source)
    if tree is None or not _balanced(source, tree) or not _shallow(source, tree, min(max_depth, MAX_DEPTH)):
        return None
    return tree


def _parse(source: Source) -> ast.expr | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(f"({source.text}\n)", mode="eval").body
    except SyntaxError as error:
        _syntax_problem(source, error)
    except UnicodeEncodeError as error:
        line = source.text.count("\n", 0, error.start) + 1
        column = error.start - source.text.rfind("\n", 0, error.start) - 1
        source.add(Span(line, max(1, column), line, max(1, column) + 1), "the text is not Unicode here")
    except (RecursionError, MemoryError):
        source.add(Span(), "the expression is nested too deep or too long", "split it into features")
    except ValueError as error:
        source.add(Span(), f"the text is not an expression: {error}")
    return None


def _syntax_problem(source: Source, error: SyntaxError) -> None:
    lines = source.text.split("\n")
    line = error.lineno or 1
    if line > len(lines):  # the parenthesis behind the text was taken for its end
        line, column, end = len(lines), len(lines[-1]) + 1, None
    else:
        column = (error.offset or 1) - (1 if line == 1 else 0)
        end = error.end_offset if error.end_lineno == error.lineno else None
        end = end - (1 if line == 1 else 0) if end else None
    column = min(max(1, column), len(lines[line - 1]) + 1)
    end = min(max(column + 1, end or 0), len(lines[line - 1]) + 2)
    message = error.msg or "invalid syntax"
    message = message[:1].lower() + message[1:]
    hint = ""
    if message.lower().startswith("invalid syntax. maybe you meant '=='") or "cannot assign" in message:
        message, hint = "'=' assigns, which an expression can't do", "to compare, write =="
    elif message.lower().startswith("invalid syntax. perhaps you forgot a comma"):
        message, hint = "invalid syntax", "an operator or a comma may be missing here"
    source.add(Span(line, column, line, end), message, hint)


def _balanced(source: Source, tree: ast.expr) -> bool:
    """Refuse what only parses because of the parentheses around it, like `a) + (b` or a bare comma."""
    if tree.lineno > 1 or tree.col_offset > 0:
        return True
    if isinstance(tree, ast.Tuple) and not tree.elts:
        source.add(Span(), "the expression is empty")
    elif isinstance(tree, ast.Tuple):
        source.add(Span(), "one expression is wanted, not several", "take out the commas")
    elif isinstance(tree, ast.GeneratorExp):
        source.add(Span(), "a comprehension is not part of the language")
    else:
        source.add(Span(), "a parenthesis is closed that was not opened")
    return False


def continues(left: ast.expr, node: ast.BinOp) -> bool:
    """Tell whether `left`, the left operand of `node`, is the beginning of the same chain of sums or of products."""
    return isinstance(left, ast.BinOp) and isinstance(left.op, _SUM) == isinstance(node.op, _SUM)


def _shallow(source: Source, tree: ast.expr, max_depth: int) -> bool:
    """Refuse a tree that is nested too deep; a chain of operators counts as one level."""
    todo: list[tuple[ast.AST, int, int]] = [(tree, 1, 1)]
    while todo:
        node, depth, terms = todo.pop()
        if depth > max_depth or terms > MAX_TERMS:
            what = (
                f"nested more than {max_depth} levels deep"
                if depth > max_depth
                else f"a chain of over {MAX_TERMS} terms"
            )
            source.add(
                node if hasattr(node, "lineno") else Span(), f"the expression is {what}", "split it into features"
            )
            return False
        for child in ast.iter_child_nodes(node):
            if isinstance(node, ast.BinOp) and child is node.left and continues(child, node):
                todo.append((child, depth, terms + 1))
            elif isinstance(child, ast.expr_context | ast.operator | ast.boolop | ast.unaryop | ast.cmpop):
                continue
            else:
                todo.append((child, depth if isinstance(child, ast.keyword) else depth + 1, 1))
    return True
