"""One batch through the graph: the questions of its payments to the client, the answers to their decide buckets.

Pure asyncio, so it is tested without Flink. Whatever happens, every payment comes out, with an answer or without one.
"""

import logging
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from mitra.graph.cache import Answer
from mitra.graph.client import GraphClient
from mitra.graph.questions import Question
from mitra.graph.settings import GraphSettings
from mitra.hashing import text_hash
from mitra.messages import Asked, Told, cells, decode, encode

log = logging.getLogger(__name__)

FIGURES_S = 5.0
"""Seconds between figures of the lookups on the monitor topic."""

_Array = np.ndarray[Any, Any]
_encode_json = msgspec.json.Encoder().encode


class Lookup:
    """Looks up batches, from one event loop."""

    def __init__(self, settings: GraphSettings, buckets: int, subtask: int = 0) -> None:
        """Ask as `settings` say, for decide buckets of that number."""
        self._settings = settings
        self._buckets = buckets
        self._subtask = subtask
        self.client = GraphClient(settings)
        self._told_ms = time.time() * 1000.0

    async def look_up(self, blob: bytes) -> list[tuple[int, bytes]]:
        """Return the messages to decide buckets for a message of intake; never raises."""
        asked = decode(blob)
        assert isinstance(asked, Asked)
        settings = self._settings
        width, count = settings.width, len(asked.ids)
        values, capped = np.full((count, width), np.nan), np.zeros((count, width), np.uint8)
        complete = np.zeros(count, np.uint8)
        # A batch that was under way over an upgrade asks for other things: it goes without.
        if asked.plan == settings.fingerprint:
            try:
                self._fill(await self._answers(asked), values, capped, complete)
            except Exception:  # Flink would lose the batch
                log.exception("%d payments go without the graph", count)
        return list(self._messages(asked, values, capped, complete))

    async def _answers(self, asked: Asked) -> list[Answer | bool]:
        """Return for each node its answer, False where there is none, True where nothing was asked."""
        questions = _questions_of(self._settings, asked)
        answers = iter(await self.client.ask([one for one in questions if one is not None]))
        return [True if one is None else next(answers) or False for one in questions]

    def _fill(self, answers: list[Answer | bool], values: _Array, capped: _Array, complete: _Array) -> None:
        nodes, columns = len(self._settings.nodes), len(self._settings.columns)
        complete[:] = 1
        for place, answer in enumerate(answers):
            row, node = divmod(place, nodes)
            if isinstance(answer, Answer):
                span = slice(node * columns, (node + 1) * columns)
                values[row, span] = np.frombuffer(answer.values, np.float64)
                capped[row, span] = np.frombuffer(answer.capped, np.uint8)
            elif not answer:
                complete[row] = 0

    def _messages(
        self,
        asked: Asked,
        values: _Array,
        capped: _Array,
        complete: _Array,
    ) -> Iterator[tuple[int, bytes]]:
        rows_of: dict[int, list[int]] = {}
        for row, identity in enumerate(asked.ids):
            rows_of.setdefault(text_hash(identity) % self._buckets, []).append(row)
        figures = self._figures()
        if figures and not rows_of:
            rows_of[0] = []
        for bucket, rows in rows_of.items():
            told = Told(
                plan=self._settings.fingerprint,
                ids=[asked.ids[row] for row in rows],
                topics=cells(asked.topics, 1, rows),
                partitions=cells(asked.partitions, 4, rows),
                offsets=cells(asked.offsets, 8, rows),
                width=self._settings.width,
                values=values[rows].tobytes(),
                capped=capped[rows].tobytes(),
                complete=complete[rows].tobytes(),
                figures=figures,
            )
            figures = []
            yield bucket, encode(told)

    def _figures(self) -> list[bytes]:
        """Return the figures for the monitor topic, where they are due."""
        now_ms = time.time() * 1000.0
        if now_ms - self._told_ms < FIGURES_S * 1000.0:
            return []
        head = {"metric": "graph", "subtask": self._subtask, "from": int(self._told_ms), "to": int(now_ms)}
        self._told_ms = now_ms
        return [_encode_json({**head, "lookups": self.client.lookups()})]


def _questions_of(settings: GraphSettings, asked: Asked) -> list[Question | None]:
    """Return a question for each node of each payment, None for one that it doesn't name."""
    times = np.frombuffer(asked.times_ms, np.int64).tolist()
    return [
        None if id is None else Question(node.type, id, time_ms)
        for time_ms, ids in zip(times, asked.nodes, strict=True)
        for node, id in zip(settings.nodes, ids, strict=True)
    ]
