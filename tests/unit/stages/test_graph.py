"""Payments decided with a graph beside them: a ring is blocked, a silent graph degrades, and edges are told once."""

from pathlib import Path

import pytest

from mitra.graph.records import Edges, Judged, Link
from tests.factories.graph_job import PIPELINE, Job, graph_job, rule

RING = rule("ring", 'graph("frauds_1_hop", by=device) > 0 and graph("degree", by=device, to=customer) >= 2')
DEGREE = rule("busy", "cards_on_device >= 2")


def make_ring(job: Job) -> None:
    for number in range(3):
        (decision,) = job.payment(f"p{number}", 1_000 + number, f"C{number}", "D1")
        assert decision["outcome"] == "allow"
    job.label("p0", 1_500)


def test_a_new_card_on_the_device_of_a_known_ring_is_blocked(tmp_path: Path) -> None:
    with graph_job(tmp_path, RING) as job:
        make_ring(job)
        (decision,) = job.payment("new", 2_000, "newcomer", "D1")
        assert (decision["outcome"], decision["degraded"]) == ("block", [])
        assert [one["id"] for one in decision["rules"]] == ["ring"]
        assert decision["features"] == {"cards_on_device": 3, "ring": True}


@pytest.mark.parametrize(
    ("at", "known", "outcome"),
    [(2_000, 1_999, "block"), (2_000, 2_000, "block"), (2_000, 2_001, "allow"), (1_000, 10, "allow")],
)
def test_a_label_counts_from_when_it_is_known_and_links_before_the_payment(
    tmp_path: Path, at: int, known: int, outcome: str
) -> None:
    with graph_job(tmp_path, rule("fraud", 'graph("frauds_1_hop", by=device) > 0')) as job:
        job.payment("p", 1_000, "C", "D1")
        job.label("p", known)
        (decision,) = job.payment("new", at, "newcomer", "D1")
        assert decision["outcome"] == outcome


def test_without_the_graph_a_payment_is_decided_at_its_deadline_and_says_so(tmp_path: Path) -> None:
    with graph_job(tmp_path, RING, rule("newcomer", 'customer == "newcomer"')) as job:
        make_ring(job)
        job.deaf = True
        assert job.payment("new", 2_000, "newcomer", "D1") == []
        assert job.wait(9_999) == []
        (decision,) = job.wait(1)
        assert decision["degraded"] == ["graph"]
        assert decision["outcome"] == "block"  # by the rule that needs no graph
        assert sorted(decision["not_evaluated"]["ring"]) == [
            'graph("degree", by=device, to=customer)',
            'graph("frauds_1_hop", by=device)',
        ]
        assert decision["features"] == {"cards_on_device": None, "ring": None}


def test_what_went_without_the_graph_and_what_it_said_too_late_is_counted(tmp_path: Path) -> None:
    with graph_job(tmp_path) as job:
        job.payment("p0", 1_000, "C", "D")
        job.deaf = True
        job.payment("p1", 1_001, "C", "D")
        assert len(job.wait(10_000)) == 1
        assert job.deliver() == []
        job.clock_ms += 5_000
        assert job.deliver() == []
        job.payment("p2", 1_002, "C", "D")
        told = [one for one in job.figures if "late_answers" in one]
        counts = [(one["payments"], one["degraded"], one["late_answers"]) for one in told]
        assert [sum(column) for column in zip(*counts, strict=True)] == [2, 1, 1]


def test_who_waits_while_rules_change_has_its_answer_and_is_judged_by_the_rules_it_came_under(tmp_path: Path) -> None:
    with graph_job(tmp_path, DEGREE) as job:
        for number in range(2):
            job.payment(f"p{number}", 1_000 + number, f"C{number}", "D1")
        job.deaf = True
        assert job.payment("new", 2_000, "newcomer", "D1") == []
        for revision in range(1, 4):
            assert job.change(revision, revision - 1, rule("busy", f"cards_on_device >= {100 + revision}")) == []
        waiting = {ack.part for ack in job.acks if ack.status == "active" and ack.revision == 3}
        assert len(waiting) == 1  # of two buckets, that without the payment
        (decision,) = job.deliver()
        assert (decision["outcome"], decision["degraded"], decision["revision"]) == ("block", [], 0)
        assert {ack.part for ack in job.acks if ack.status == "active" and ack.revision == 3} == {0, 1}


def test_a_deadline_lets_the_rules_go_that_a_payment_waited_under(tmp_path: Path) -> None:
    with graph_job(tmp_path, DEGREE) as job:
        job.deaf = True
        job.payment("new", 2_000, "newcomer", "D1")
        job.change(1, 0, rule("busy", "amount > 5"))
        (decision,) = job.wait(10_000)
        assert (decision["not_evaluated"], decision["revision"]) == ({"busy": ["cards_on_device"]}, 0)
        assert {ack.part for ack in job.acks if ack.status == "active" and ack.revision == 1} == {0, 1}


def test_a_dead_service_is_no_answer_and_decides_at_once(tmp_path: Path) -> None:
    with graph_job(
        tmp_path, DEGREE, text=PIPELINE.replace("ADDRESS", "127.0.0.1:1").replace("timeout: 5s", "timeout: 1s")
    ) as job:
        (decision,) = job.payment("p", 1_000, "C", "D")
        assert decision["degraded"] == ["graph"]
        assert decision["not_evaluated"] == {"busy": ["cards_on_device"]}


def test_where_nothing_comes_of_what_was_asked_the_next_payments_are_decided_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mitra.graph_pace.BRANCH_BYTES", 150)
    with graph_job(tmp_path, DEGREE) as job:
        job.deaf = True
        assert job.payment("p0", 1_000, "C0", "D1") == job.payment("p1", 1_001, "C1", "D1") == []
        for number in range(2, 9):
            (decision,) = job.payment(f"p{number}", 1_000 + number, f"C{number}", "D1")
            assert decision["degraded"] == ["graph"]
            assert decision["not_evaluated"] == {"busy": ["cards_on_device"]}
            assert decision["features"] == {"cards_on_device": None, "ring": None}
        assert [one["degraded"] for one in job.deliver()] == [[], []]
        job.deaf = False
        (decision,) = job.payment("p9", 2_000, "C9", "D1")
        assert (decision["degraded"], decision["features"]["cards_on_device"]) == ([], 9)


def test_a_payment_without_a_device_lacks_its_values_and_is_not_degraded(tmp_path: Path) -> None:
    with graph_job(tmp_path, DEGREE) as job:
        (decision,) = job.payment("p", 1_000, "C")
        assert decision["degraded"] == []
        assert decision["not_evaluated"] == {"busy": ["cards_on_device"]}
        assert job.edges == []


def test_links_and_labels_are_told_once_however_often_a_payment_comes(tmp_path: Path) -> None:
    with graph_job(tmp_path) as job:
        job.payment("p", 1_000, "C", "D")
        (again,) = job.payment("p", 1_000, "C", "D")
        assert again["duplicate"]
        job.label("p", 1_200)
        assert job.edges == [Edges("p", 1_000, [Link("customer", "C", "device", "D")]), Judged("p", True, 1_200, 1_200)]


def test_what_the_graph_cut_off_is_told_as_approximate(tmp_path: Path) -> None:
    with graph_job(tmp_path) as job:
        job._service.store._measurer._caps = type(job._service.store._measurer._caps)(own_links=2)
        for number in range(4):
            (decision,) = job.payment(f"p{number}", 1_000 + number, f"C{number}", "D1")
            assert decision["approximate"] == (["cards_on_device", "ring"] if number == 3 else [])
