"""Why a change is refused: the place in its text, what is wrong there, and the way out."""

from collections.abc import Sequence

import msgspec

from mitra.errors import MitraError, Problem, ProblemsError
from rules.problems import ExpressionProblem

_REASON_CHARACTERS = 4_000
"""An ack is read by a person, and a hostile change may hold a line of a megabyte."""


class Refusal(msgspec.Struct, frozen=True):
    """A record of the control topic that can't be taken; `id` is the change's, where it could be read."""

    id: str
    place: str
    reason: str
    hint: str = ""


class Refused(MitraError):  # noqa: N818 - an answer, not a failure of Mitra
    """A change that reads well, but can't be applied to what is live."""

    def __init__(self, place: str, reason: str, hint: str = "") -> None:
        """Keep the place in the change, what is wrong and the way out."""
        self.place = place
        self.reason = reason
        self.hint = hint
        super().__init__(Problem(place, reason, hint).render())

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> "Refused":
        """Return the refusal for all of some problems: the place and hint are the first one's."""
        first = problems[0]
        place = first.path
        if isinstance(first, ExpressionProblem):
            place = f"{place}:{first.span.line}:{first.span.column}"
        plain = len(problems) == 1 and not isinstance(first, ExpressionProblem)
        reason = first.message if plain else "\n".join(problem.render() for problem in problems)
        return cls(place, _cut(reason), _cut(first.hint))

    @classmethod
    def from_error(cls, error: ProblemsError) -> "Refused":
        """Return the refusal for what a check found."""
        return cls.of(error.problems)


def _cut(text: str) -> str:
    return text if len(text) <= _REASON_CHARACTERS else f"{text[:_REASON_CHARACTERS]}… ({len(text)} characters)"
