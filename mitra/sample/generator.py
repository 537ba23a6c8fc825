"""The whole sample as a stream: honest payments with the scenarios' incidents among them, in time order.

A scenario is granted a share of the honest payments so far, and begins an incident once the grant covers all of it.
So at the end of every stretch the frauds are at most their shares of the payments, however short the sample, and no
scenario depends on another. Nothing is kept but the incidents that are not over.
"""

from collections.abc import Iterator

from mitra.errors import MitraError
from mitra.sample.columns import Payments, concatenate
from mitra.sample.honest import PAYMENTS_A_DAY, Honest
from mitra.sample.post import Post
from mitra.sample.rhythm import DAY_MS
from mitra.sample.scenarios import SCENARIOS, Scenario, Scene
from mitra.sample.streams import Numbers, stream
from mitra.sample.world import World

MAX_DAYS = 3_660
_PIECE_PAYMENTS = 50_000  # about: enough for numpy, small in memory
_MOST_PIECES = 256  # of a day: both bounds are powers of two that divide it into whole ms


class Incidents:
    """The incidents of one scenario: the grant it has left, and the payments still to come."""

    def __init__(
        self, scenario: Scenario, world: World, start_ms: int, *, tempo: float = 1.0, grant: float = 0.0
    ) -> None:
        """Begin at a time with nothing but a first grant, in payments."""
        self._scenario = scenario
        self._world = world
        self._tempo = tempo
        self._rng = stream(world.seed, scenario.name)
        self._post = Post(world)
        self._payment_numbers = Numbers(f"{world.seed} {start_ms}", f"{scenario.name} payment")
        self._device_numbers = Numbers(f"{world.seed} {start_ms}", f"{scenario.name} device")
        self._grant = grant
        self._size = self._draw_size()
        self._to_come = concatenate([])

    def among(self, honest: Payments, end_ms: int) -> Payments:
        """Return the scenario's payments before `end_ms`, beginning incidents among the honest payments there."""
        self._grant += self._scenario.share * len(honest)
        begun = [self._to_come]
        while len(honest) and self._grant >= self._size:
            scene = Scene(
                self._scenario.name, self._world, honest, end_ms, self._rng,
                self._payment_numbers, self._device_numbers, self._post, self._tempo,
            )  # fmt: skip
            begun.append(self._scenario.draw(scene, self._size))
            self._grant -= self._size
            self._size = self._draw_size()
        payments = concatenate(begun) if len(begun) > 1 else self._to_come
        now = payments.time_ms < end_ms
        self._to_come = payments.take(~now)
        return payments.take(now)

    def _draw_size(self) -> int:
        low, high = self._scenario.sizes
        return int(self._rng.integers(low, high + 1))


def make_payments(world: World, *, days: int, start_ms: int) -> Iterator[Payments]:
    """Return an iterator over a world's payments of `days` whole days from `start_ms` (a midnight, UTC), in time order, piece by piece.

    The same arguments give the same payments; more days continue fewer. Raises MitraError for arguments out of bounds.
    """
    if not 1 <= days <= MAX_DAYS:
        msg = f"days={days}: from 1 to {MAX_DAYS:,} days can be made"
        raise MitraError(msg)
    if start_ms % DAY_MS:
        msg = f"start_ms={start_ms}: not a midnight (UTC); give a multiple of {DAY_MS}"
        raise MitraError(msg)
    return _payments(world, days, start_ms)


def piece_ms(world: World) -> int:
    """Return the length of the pieces that payments are made in: a day cut into 1, 2, 4, … equal parts."""
    pieces = 1
    while len(world.customers) * PAYMENTS_A_DAY / pieces > _PIECE_PAYMENTS and pieces < _MOST_PIECES:
        pieces *= 2
    return DAY_MS // pieces


def _payments(world: World, days: int, start_ms: int) -> Iterator[Payments]:
    honest = Honest(world, start_ms)
    incidents = [Incidents(scenario, world, start_ms) for scenario in SCENARIOS]
    step_ms = piece_ms(world)
    for piece in range(days * DAY_MS // step_ms):
        end_ms = start_ms + (piece + 1) * step_ms
        payments = honest.at_their_pace(end_ms - step_ms, end_ms)
        parts = [payments, *(each.among(payments, end_ms) for each in incidents)]
        yield concatenate(parts).in_order()
