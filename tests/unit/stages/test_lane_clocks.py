"""The clocks of a history bucket: what it knows by what its lanes have told."""

from mitra.lane import GRACE_MS, IDLE_MS
from mitra.lane_clocks import SILENT_MS, LaneClocks

NOW_MS = 1_700_000_000_000


class Bucket:
    """A bucket whose wall clock a test turns."""

    def __init__(self, lanes: int) -> None:
        self.now_ms = float(NOW_MS)
        self.clocks = LaneClocks(lanes, lambda: self.now_ms)


def test_the_least_clock_is_of_the_lanes_that_were_heard_lately() -> None:
    bucket = Bucket(3)
    clocks = bucket.clocks
    # One lane alone may be far ahead of those that are heard of later: by its clock nothing is idle.
    clocks.events(0, 5_000, 0)
    clocks.labels(1, -(1 << 62))
    assert clocks.least_ms() == 0
    bucket.now_ms += SILENT_MS + 1
    clocks.events(0, 5_000, 0)
    assert clocks.least_ms() == 5_000
    clocks.labels(2, 3_000)
    assert clocks.least_ms() == 3_000
    bucket.now_ms += SILENT_MS + 1
    clocks.told(2, 4_000, idle=True)
    clocks.events(0, 9_000, 0)
    assert clocks.least_ms() == 9_000
    clocks.events(2, 2_000, 0)
    assert clocks.least_ms() == 3_000


def test_what_is_settled_is_known_when_every_lane_has_told_it() -> None:
    bucket = Bucket(2)
    clocks = bucket.clocks
    clocks.events(0, 9_000, 8_000)
    assert clocks.settled_ms() is None
    clocks.told(1, 0, idle=False)
    assert clocks.settled_ms() is None
    clocks.told(1, 7_000, idle=False)
    assert clocks.settled_ms() == 7_000
    clocks.events(1, 9_500, 0)  # a backlog has begun: what was settled stays so
    assert clocks.settled_ms() == 7_000
    clocks.told(5, 1, idle=True)  # a lane that there is no more
    assert clocks.settled_ms() == 7_000


def test_a_lane_that_never_speaks_is_waited_for_a_minute() -> None:
    bucket = Bucket(2)
    bucket.clocks.told(0, 8_000, idle=False)
    bucket.now_ms += GRACE_MS
    assert bucket.clocks.settled_ms() is None
    bucket.now_ms += 1
    assert bucket.clocks.settled_ms() == 8_000


def test_the_time_by_now_is_the_wall_clock_less_what_the_slowest_lane_is_behind() -> None:
    bucket = Bucket(2)
    clocks = bucket.clocks
    clocks.events(0, NOW_MS - 300, 0)
    assert clocks.now_ms() is None
    clocks.events(1, NOW_MS - 40, 0)
    assert clocks.now_ms() == NOW_MS - 300
    bucket.now_ms += 10_000
    assert clocks.now_ms() == NOW_MS + 9_700
    clocks.events(0, NOW_MS + 9_900, 0)
    assert clocks.now_ms() == NOW_MS + 9_900
    # A late event doesn't set it back.
    clocks.events(0, NOW_MS, 0)
    assert clocks.now_ms() == NOW_MS + 9_900


def test_the_time_by_now_waits_for_lanes_behind_a_start() -> None:
    silent, one = Bucket(2), Bucket(2)
    one.clocks.events(0, NOW_MS - 50, 0)
    for bucket, wait_ms, behind_ms in ((silent, GRACE_MS, 0), (one, IDLE_MS, 50)):
        bucket.now_ms += wait_ms
        assert bucket.clocks.now_ms() is None
        bucket.now_ms += 1
        assert bucket.clocks.now_ms() == bucket.now_ms - behind_ms


def test_the_newest_time_is_known_when_all_lanes_brought_events() -> None:
    clocks = Bucket(2).clocks
    clocks.events(0, 9_000, 0)
    clocks.told(1, 9_999, idle=True)
    assert clocks.newest_ms() is None
    clocks.events(1, 8_000, 0)
    assert clocks.newest_ms() == 9_000


def test_a_lane_on_the_wall_clock_holds_nobody_behind_it() -> None:
    bucket = Bucket(1)
    bucket.clocks.events(0, NOW_MS - 600_000, 0)  # the end of a backlog
    assert bucket.clocks.now_ms() == NOW_MS - 600_000
    bucket.clocks.told(0, NOW_MS, idle=True)
    assert bucket.clocks.now_ms() == NOW_MS
