"""What a store of the graph is: it takes records, measures surroundings, and gives all links for the communities."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from mitra.errors import MitraError
from mitra.graph.community import LinkTable
from mitra.graph.features import Column
from mitra.graph.questions import Answers, Question
from mitra.graph.records import Record


class StoreError(MitraError):
    """A store's database can't be reached, or refuses."""


class Taken(NamedTuple):
    """How many records were new, and how many were known already and changed nothing."""

    taken: int
    known: int


class GraphStore(Protocol):
    """One graph. Answers and records may be asked for and given at the same time, from one event loop.

    A store with a database behind it raises StoreError from any of these.
    """

    async def ingest(self, records: Sequence[Record]) -> Taken:
        """Take records; each counts once, however often it comes."""

    async def answer(self, questions: Sequence[Question], features: Sequence[Column]) -> Answers:
        """Answer each question with all features; those of communities are left missing."""

    async def links(self, time_ms: int) -> LinkTable:
        """Return the links made up to a time, with what was known by then."""

    async def newest_ms(self) -> int:
        """Return the event time of the newest link, 0 without any."""

    async def close(self) -> None:
        """Let go of what the store holds open."""
