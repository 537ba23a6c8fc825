"""Models on the control topic: they wait for every bucket, are turned down by one, and the log alone says which."""

from typing import Any

import pytest

from control_stream.live_models import LiveModel
from tests.factories.control import Job

MODEL = {"name": "fraud", "version": "1", "uri": "/models/1", "sha256": "a1" * 32, "features": ["amount", "big"]}
SECOND = {**MODEL, "version": "2", "uri": "/models/2", "sha256": "b2" * 32}


def modes(job: Job) -> dict[str, tuple[str, float | None, str | None]]:
    return {name: (one.mode, one.percent, one.by) for name, one in job.govern.live.models.items()}


def put(job: Job, model: dict[str, Any] = MODEL, **more: Any) -> None:
    assert job.push("model.put", **model, **more).status == "loading"
    job.load()
    job.answer()


def test_a_model_is_live_as_a_shadow_once_every_bucket_has_it() -> None:
    job = Job()
    assert job.push("model.put", id="m", **MODEL).status == "loading"
    assert modes(job) == {}
    (load,) = job.loads
    assert (load.id, [one.reference for one in load.artefacts]) == ("m", ["fraud@1"])
    job.load()
    assert modes(job) == {"fraud@1": ("shadow", None, None)}
    assert [(ack.id, ack.status, ack.revision) for ack in job.acks] == [("m", "loading", 1), ("m", "prepared", 2)]
    job.answer()
    assert job.govern.settled


def test_one_bucket_that_cannot_load_it_turns_it_down_for_all() -> None:
    job = Job()
    put(job)
    job.push("model.put", id="m", **SECOND)
    job.load(fault="model fraud@2: model.ubj is cut off")
    refused = job.acks[-1]
    assert (refused.id, refused.status, refused.place, refused.reason) == (
        "m", "refused", "uri", "model fraud@2: model.ubj is cut off"
    )  # fmt: skip
    assert list(modes(job)) == ["fraud@1"]
    assert job.push("model.put", id="m", **SECOND).status == "refused"


def test_what_is_asked_is_asked_again_until_it_is_answered_also_by_the_next_run() -> None:
    job = Job()
    job.push("model.put", **MODEL)
    old = job.loads.popleft()
    assert job.tick(1).load == []
    assert [one.attempt for one in job.tick(5).load] == [old.attempt]
    job.restart()
    job.loads.clear()
    job.tick(1)
    assert [one.attempt for one in job.loads] == [job.attempt]
    job.loads.appendleft(old)  # an answer to the run before counts for nothing
    job.load()
    assert list(modes(job)) == ["fraud@1"]


def test_the_log_says_what_came_of_it_whatever_the_store_is_like_later() -> None:
    job = Job()
    put(job)
    job.push("model.put", **SECOND)
    job.load(fault="gone")
    job.push("model.mode", model="fraud@1", mode="champion")
    again = Job()
    for output in [job.log[offset] for offset in range(len(job.log))]:
        again.send(output)
    assert again.govern.live == job.govern.live


def test_a_champion_makes_the_one_before_a_challenger_and_a_share_is_of_an_entity() -> None:
    job = Job()
    put(job)
    put(job, SECOND)
    job.push("model.mode", model="fraud@1", mode="champion")
    job.push("model.mode", model="fraud@2", mode="challenger", percent=10, by="terminal")
    assert modes(job) == {"fraud@1": ("champion", None, None), "fraud@2": ("challenger", 10, "terminal")}
    job.push("model.mode", model="fraud@2", mode="champion")
    assert modes(job) == {"fraud@1": ("challenger", None, None), "fraud@2": ("champion", None, None)}
    job.push("model.mode", model="fraud@1", mode="challenger", percent=5)
    assert modes(job)["fraud@1"] == ("challenger", 5, "customer")
    job.push("model.retire", model="fraud@2")
    assert list(modes(job)) == ["fraud@1"]


def test_a_rollback_that_brings_no_model_is_made_at_once_and_one_that_does_waits() -> None:
    job = Job()
    put(job)
    champion = job.push("model.mode", model="fraud@1", mode="champion").revision
    put(job, SECOND)
    job.push("model.mode", model="fraud@2", mode="champion")
    assert job.push("rollback", to=champion).status == "prepared"
    assert modes(job) == {"fraud@1": ("champion", None, None)}
    job.push("model.retire", model="fraud@1")
    assert job.push("rollback", to=champion).status == "loading"
    job.load()
    assert modes(job) == {"fraud@1": ("champion", None, None)}


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("model.put", {**SECOND, "features": ["amout"]}, "amout: not defined; did you mean amount?"),
        ("model.put", {**MODEL, "sha256": "c3" * 32}, "fraud@1 is live with other bytes"),
        ("model.mode", {"model": "fraud@3", "mode": "champion"}, 'no model "fraud@3"'),
        ("model.mode", {"model": "fraud@1", "mode": "challenger", "percent": 5, "by": "nobody"}, '"nobody"'),
        ("model.retire", {"model": "other@1"}, 'no model "other@1"'),
    ],
)
def test_what_does_not_fit_is_refused_at_once(kind: str, body: dict[str, Any], said: str) -> None:
    job = Job()
    put(job)
    before = job.govern.live
    ack = job.push(kind, **body)
    assert ack.status == "refused"
    assert said in ack.reason
    assert job.govern.live == before


def test_a_feature_that_a_model_reads_stays_and_stays_a_number() -> None:
    job = Job()
    job.push("feature.put", name="double", text="amount * 2")
    put(job, {**MODEL, "features": ["double"]})
    ack = job.push("feature.retire", name="double")
    assert (ack.status, "model fraud@1" in ack.reason) == ("refused", True)
    ack = job.push("feature.put", name="double", text='"a" if amount > 1 else "b"')
    assert (ack.status, "double: is a text" in ack.reason) == ("refused", True)
    job.push("model.retire", model="fraud@1")
    assert job.push("feature.retire", name="double").status == "prepared"


def test_state_has_all_of_it() -> None:
    job = Job()
    put(job)
    job.push("model.put", **SECOND)
    job.restart()
    assert isinstance(job.govern.live.models["fraud@1"], LiveModel)
    job.loads.clear()
    job.tick(10)
    job.load()
    assert list(modes(job)) == ["fraud@1", "fraud@2"]
