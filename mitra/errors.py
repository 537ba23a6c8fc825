"""Every error Mitra raises on purpose is a `MitraError`; anything else is a defect of Mitra."""

from dataclasses import dataclass


class MitraError(Exception):
    """What is wrong, the name and value found, and the way out, in one message for a person."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file: where it is (`line` from 1), what was found and what would be right."""

    path: str
    message: str
    hint: str = ""
    line: int | None = None

    def render(self) -> str:
        """Return the problem as it is printed: its place and message, then the hint below."""
        place = f"line {self.line}" if self.line is not None else ""
        place = f"{self.path} ({place})" if self.path and place else self.path or place
        head = f"{place}: {self.message}" if place else self.message
        hint = self.hint.replace("\n", "\n  ")
        return f"{head}\n  {hint}" if hint else head


class ProblemsError(MitraError):
    """All the problems found in one pass, so that they can be mended in one pass."""

    def __init__(self, subject: str, problems: list[Problem]) -> None:
        """Keep the problems found in `subject`, a file's name."""
        self.subject = subject
        self.problems = problems
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        rendered = [problem.render() for problem in problems]
        # Those that show a piece of text with a caret are told apart by an empty line.
        separator = "\n\n" if any("\n  |" in text for text in rendered) else "\n"
        super().__init__(separator.join([f"{subject}: {count}", *rendered]))
