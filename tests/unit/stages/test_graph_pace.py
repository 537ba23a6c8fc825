"""How much a branch is asked that gives nothing back."""

from mitra.graph_pace import BRANCH_BYTES, Pace, shared_pace


def test_a_branch_is_asked_as_much_as_it_holds_until_it_is_heard() -> None:
    pace = Pace()
    assert pace.may_ask(BRANCH_BYTES - 1)
    assert not pace.may_ask(2)
    assert pace.may_ask(1)
    assert not pace.may_ask(1)
    pace.heard()
    assert pace.may_ask(BRANCH_BYTES)


def test_a_message_that_is_larger_than_the_branch_goes_alone() -> None:
    pace = Pace()
    assert pace.may_ask(2 * BRANCH_BYTES)
    assert not pace.may_ask(1)


def test_a_jobs_stages_share_their_pace_and_jobs_do_not() -> None:
    assert shared_pace("one") is shared_pace("one")
    assert shared_pace("one") is not shared_pace("other")
