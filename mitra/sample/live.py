"""Payments for ever, from now on, at a steady pace: what the demo and the load are made of.

Only the number of payments is sped up, not the clock: event times follow the wall clock, people pay in their usual
rhythm (at any hour, those who are awake), trips and flights take their time. The pace comes from the number of
customers, of whom each pays about every three hours instead of twice a day.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mitra.errors import MitraError
from mitra.sample import tags
from mitra.sample.columns import concatenate
from mitra.sample.generator import Incidents
from mitra.sample.honest import Honest
from mitra.sample.labels import known_at_ms
from mitra.sample.scenarios import SCENARIOS
from mitra.sample.texts import Texts, hexadecimal
from mitra.sample.world import make_world

MAX_RATE = 100_000.0
_FEWEST_CUSTOMERS, _MOST_CUSTOMERS = 20_000, 1_000_000
_CUSTOMERS_A_RATE = 10_800.0  # a payment in three hours each
_FIRST_PIECE, _PIECE = 500, 4_000  # payments made at once: few at first, so that the first comes soon
_TEMPO = 60.0  # the hours that fraudsters take become minutes
_GRANT = 40.0  # payments that each scenario may begin with: the first incidents come at once


class Payment(NamedTuple):
    """One payment as a message, with what its label will say."""

    key: bytes
    value: bytes
    event_time_ms: int
    transaction_id: str
    is_fraud: bool
    scenario: str
    known_at_ms: int

    def label(self, known_at_ms: int | None = None) -> bytes:
        """Return the label's message, known at the given time or at its own."""
        known = self.known_at_ms if known_at_ms is None else known_at_ms
        fraud = "true" if self.is_fraud else "false"
        text = f'{{"transaction_id":"{self.transaction_id}","is_fraud":{fraud},"known_at":{known}}}'
        return text.encode()


def live_payments(seed: int, rate: float, start_ms: int, *, customers: int | None = None) -> Iterator[Payment]:
    """Yield payments for ever, `rate` a second (event time) on average, from `start_ms`, in time order, without waiting.

    The caller sends each when its event time has come. `customers` is by default as many as make the rate with a
    payment in three hours each, from 20,000 to 1,000,000. The same arguments give the same payments. Frauds are 0.45 % in the
    long run and more in the first minutes. Raises MitraError for a rate out of bounds.
    """
    if not 0 < rate <= MAX_RATE:
        msg = f"rate={rate}: payments a second can be above 0 and up to {MAX_RATE:,.0f}"
        raise MitraError(msg)
    if customers is None:
        customers = int(min(max(rate * _CUSTOMERS_A_RATE, _FEWEST_CUSTOMERS), _MOST_CUSTOMERS))
    return _payments(seed, rate, start_ms, customers)


def _payments(seed: int, rate: float, start_ms: int, customers: int) -> Iterator[Payment]:
    world = make_world(seed, customers)
    texts = Texts(world)
    honest = Honest(world, start_ms, sleepless=True)
    incidents = [Incidents(scenario, world, start_ms, tempo=_TEMPO, grant=_GRANT) for scenario in SCENARIOS]
    gaps = np.random.Generator(np.random.PCG64(seed))
    begin_ms, planned, made = float(start_ms), 0, 0
    while True:
        # Incidents add payments and hurry takes some away: each piece makes up for what the ones before lacked.
        planned += _PIECE if planned else _FIRST_PIECE
        count = max(planned - made, 1)
        stop_ms = start_ms + planned * 1_000 / rate
        waits = np.cumsum(gaps.exponential(1.0, count + 1))
        times = begin_ms + (stop_ms - begin_ms) * waits[:-1] / waits[-1]
        begin_ms, end_ms = stop_ms, int(stop_ms)
        payments = honest.at_times(times.astype(np.int64))
        piece = concatenate([payments, *(each.among(payments, end_ms) for each in incidents)]).in_order()
        made += len(piece)
        tag = piece.tag.tolist()
        rows = zip(
            texts.keys(piece), texts.messages(piece), piece.time_ms.tolist(), hexadecimal(piece.id), tag,
            known_at_ms(piece).tolist(), strict=True,
        )  # fmt: skip
        for key, message, time_ms, number, place, known in rows:
            yield Payment(
                key.encode(), message.encode(), time_ms, number, tags.IS_FRAUD[place], tags.NAMES[place], known
            )
