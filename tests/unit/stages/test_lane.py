"""How far a lane is settled: what holds it back, and when the wall clock stands in."""

from mitra.lane import GRACE_MS, IDLE_MS, QUIET_MS, TICK_MS, Lane, Source
from tests.factories.stages import payment

START = 1_700_000_000_000


class Read:
    """A lane that is read and looked at; `now_ms` is the wall clock, in milliseconds since the start."""

    def __init__(self) -> None:
        self.lane, self.now_ms = Lane(0), 0

    def bring(self, at_ms: int, partition: int = 0, *, lags: bool = False) -> int:
        source = Source(0, partition, 0)
        event = payment("p", START + at_ms)
        self.lane.reach([event], [source], START + self.now_ms, {(0, partition)} if lags else set())
        self.lane.clock_ms = max(self.lane.clock_ms, event.time_ms)
        return self.settled

    def look(self, until_ms: int) -> int:
        """Look at the lane until then."""
        while self.now_ms < until_ms:
            self.now_ms = min(self.now_ms + TICK_MS, until_ms)
            self.lane.listen(START + self.now_ms)
        return self.settled

    @property
    def settled(self) -> int:
        settled_ms = self.lane.settled_ms(START + self.now_ms)
        return settled_ms and settled_ms - START


def opened() -> Read:
    """A lane with two partitions whose opening is over."""
    read = Read()
    read.look(1_000)
    read.bring(900, 1)
    for now_ms in range(1_000, 1_000 + IDLE_MS, 400):
        read.look(now_ms)
        read.bring(now_ms - 100)
    read.look(1_000 + IDLE_MS)
    return read


def test_nothing_is_settled_until_all_partitions_had_time_to_bring_something() -> None:
    read = Read()
    read.look(1_000)
    assert read.bring(900) == 0
    read.look(800 + IDLE_MS)
    assert read.bring(IDLE_MS, 1) == 0
    read.look(1_000 + IDLE_MS)
    assert read.bring(900 + IDLE_MS) == IDLE_MS


def test_a_partition_that_is_furthest_behind_holds_the_lane_back_until_it_is_quiet() -> None:
    read = opened()
    assert read.bring(2_000, 1) == 2_000
    assert read.look(read.now_ms + QUIET_MS) == 2_000
    assert read.look(read.now_ms + 1) == read.lane.clock_ms - START


def test_a_lane_that_is_idle_goes_on_with_the_wall_clock() -> None:
    read = opened()
    read.bring(read.now_ms - 100)
    last_ms = read.now_ms
    assert read.look(last_ms + IDLE_MS) == last_ms - 100
    assert read.look(last_ms + IDLE_MS + 1) == last_ms + IDLE_MS - 99
    assert read.lane.idle
    assert read.look(last_ms + 30_000) == last_ms + 29_900
    assert read.bring(last_ms + 29_999) == last_ms + 29_999
    assert not read.lane.idle


def test_silence_in_which_nobody_looked_says_nothing() -> None:
    read = opened()
    settled_ms = read.bring(read.now_ms - 100)
    read.now_ms += 600_000
    read.lane.listen(START + read.now_ms)
    assert (read.settled, read.lane.idle) == (settled_ms, False)


def test_a_backlog_holds_the_lane_back_though_it_is_silent_for_long() -> None:
    read = opened()
    read.now_ms += 600_000  # the job stood still
    began_ms = read.now_ms
    # The first partition is read: the other one may have as much.
    assert read.bring(300_000, lags=True) == 0
    read.look(began_ms + IDLE_MS)
    assert read.bring(20_000, 1, lags=True) == 20_000
    last_ms = read.now_ms
    assert read.look(last_ms + 30_000) == 20_000
    assert read.look(last_ms + GRACE_MS) == 20_000
    assert read.look(last_ms + GRACE_MS + TICK_MS) > 300_000


def test_what_lagged_last_is_let_go_where_the_others_are_up_to_date() -> None:
    read = opened()
    read.bring(20_000, 1, lags=True)
    last_ms = read.now_ms
    for now_ms in range(last_ms, last_ms + IDLE_MS, 200):
        read.look(now_ms)
        assert read.bring(now_ms) in (0, 20_000)
    read.look(last_ms + IDLE_MS)
    assert read.bring(last_ms + IDLE_MS) == last_ms + IDLE_MS


def test_a_lane_that_brought_nothing_since_the_start_goes_on_with_the_wall_clock_after_a_minute() -> None:
    read = Read()
    assert read.look(GRACE_MS) == 0
    assert read.look(GRACE_MS + 2 * TICK_MS) == read.now_ms
