"""When the service is asked, and when it is left alone."""

from mitra.graph.breaker import FAILURES, FIRST_PAUSE_MS, LONGEST_PAUSE_MS, Breaker
from mitra.graph.cache import Answer, Cache
from mitra.graph.questions import Question


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def broken(clock: Clock) -> Breaker:
    breaker = Breaker(clock)
    for _ in range(FAILURES):
        assert breaker.allows()
        breaker.failed()
    return breaker


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = Breaker(Clock())
    for _ in range(10):
        for _ in range(FAILURES - 1):
            breaker.failed()
        breaker.succeeded()
    assert breaker.state == "closed"
    assert broken(Clock()).state == "open"


def test_one_probe_at_a_time_after_a_pause_and_success_closes() -> None:
    clock = Clock()
    breaker = broken(clock)
    assert not breaker.wants_probe()
    clock.now = FIRST_PAUSE_MS
    assert breaker.wants_probe()
    assert not breaker.wants_probe()
    assert not breaker.allows()
    breaker.succeeded()
    assert breaker.allows()


def test_pauses_double_up_to_the_longest() -> None:
    clock = Clock()
    breaker = broken(clock)
    pauses = []
    for _ in range(6):
        started = clock.now
        while not breaker.wants_probe():
            clock.now += 50
        pauses.append(clock.now - started)
        breaker.failed()
    assert pauses == [FIRST_PAUSE_MS, 500, 1_000, LONGEST_PAUSE_MS, LONGEST_PAUSE_MS, LONGEST_PAUSE_MS]


def test_a_call_that_was_under_way_neither_opens_again_nor_prolongs() -> None:
    clock = Clock()
    breaker = broken(clock)
    clock.now = FIRST_PAUSE_MS - 1
    breaker.failed()
    clock.now = FIRST_PAUSE_MS
    assert breaker.wants_probe()
    assert breaker.opened == 1


def test_the_cache_is_bounded_and_forgets_by_age() -> None:
    clock = Clock()
    cache = Cache(100, 2, clock)
    for name in "abc":
        cache.put(("device", name), Answer(1_000, b"", b""))
    assert [cache.get(Question("device", name, 1_000)) is not None for name in "abc"] == [False, True, True]
    assert cache.get(Question("device", "c", 1_101)) is None
    assert cache.get(Question("device", "c", 999)) is None
    clock.now = 101
    assert cache.get(Question("device", "c", 1_000)) is None
