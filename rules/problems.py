"""Problems in expressions, with their place in the text, rendered like a compiler's: line, caret, hint."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from mitra.errors import MitraError, Problem, ProblemsError


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text: first character and the one behind the last. Lines and columns count from 1, in characters."""

    line: int = 1
    column: int = 1
    end_line: int = 1
    end_column: int = 2


@dataclass(frozen=True, slots=True)
class ExpressionProblem(Problem):
    """One thing wrong with an expression. `path` is the expression's name, like `features.big`."""

    text: str = ""
    span: Span = field(default_factory=Span)

    def render(self) -> str:
        """Return message, place, source line with carets, and hint."""
        span = self.span
        lines = self.text.split("\n")
        line = lines[span.line - 1] if span.line <= len(lines) else ""
        end = span.end_column if span.end_line == span.line else len(line.rstrip()) + 1
        # What doesn't print, and would move the cursor of who reads it, is shown as a dot.
        line = "".join(one if one.isprintable() or one == "\t" else "·" for one in line)
        number = str(span.line)
        gutter = " " * len(number)
        # Tabs stay tabs, so that the caret stands under its character however wide they are printed.
        before = "".join(character if character == "\t" else " " for character in line[: span.column - 1])
        rows = [
            self.message,
            f"{gutter}--> {self.path}:{span.line}:{span.column}",
            f"{gutter} |",
            f"{number} | {line}",
            f"{gutter} | {before}{'^' * max(1, end - span.column)}",
        ]
        rows += [f"{gutter} = {hint}" for hint in self.hint.split("\n") if hint]
        return "\n".join(rows)


class ExpressionsError(ProblemsError):
    """Expressions that can't be compiled: all problems of all of them."""

    def __init__(self, subject: str, problems: list[ExpressionProblem]) -> None:
        """Keep the problems found in the expressions called `subject`."""
        self.subject = subject
        self.problems: list[Problem] = list(problems)
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        MitraError.__init__(self, "\n\n".join([f"{subject}: {count}", *(problem.render() for problem in problems)]))


class Source:
    """One expression's text under its name, and the problems found in it so far."""

    def __init__(self, path: str, text: str) -> None:
        """Keep the text with its line ends made equal."""
        self.path = path
        self.text = text.replace("\r\n", "\n").replace("\r", "\n")
        self.problems: list[ExpressionProblem] = []
        self._lines = self.text.split("\n")

    def span(self, node: ast.AST) -> Span:
        """Return where a node of the parsed text stands."""
        return Span(
            node.lineno,  # type: ignore[attr-defined]
            self._column(node.lineno, node.col_offset),  # type: ignore[attr-defined]
            node.end_lineno,  # type: ignore[attr-defined]
            self._column(node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
        )

    def _column(self, line: int, offset: int) -> int:
        """Return the column of a byte offset. The parser sees a parenthesis before the first line (`rules.parse`)."""
        if line == 1:
            offset -= 1
        if line > len(self._lines):
            return 1
        return len(self._lines[line - 1].encode()[: max(0, offset)].decode(errors="ignore")) + 1

    def sorted(self) -> list[ExpressionProblem]:
        """Return the problems in the order of their places."""
        return sorted(self.problems, key=lambda one: (one.span.line, one.span.column))

    def add(self, node: ast.AST | Span, message: str, hint: str = "") -> None:
        """Note a problem at a node or span; the same one at the same place is noted once."""
        span = node if isinstance(node, Span) else self.span(node)
        problem = ExpressionProblem(self.path, message, hint, text=self.text, span=span)
        if problem not in self.problems:
            self.problems.append(problem)


def closest(word: str, allowed: Iterable[str]) -> str:
    """Return `did you mean …?`, or an empty text if nothing allowed is close to `word`."""
    by_lower = {name.lower(): name for name in allowed}
    close = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"did you mean {by_lower[close[0]]}?" if close else ""
