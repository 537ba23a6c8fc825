"""What decide answers when it is asked to load models: nothing before it has them, and never by waiting."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from control_stream import Ack, Artefact, Delta, LiveModel, LiveSet, Load, read_ack
from mitra.blueprint import Blueprint
from mitra.decide import State
from mitra.messages import Marker, Revise, encode
from mitra.model_registry import Failed, Loaded
from mitra.pipeline import load_pipeline
from mitra.stages.decide import DecideStage, Output
from models.errors import ModelError
from tests.factories.stages import state
from tests.unit.stages.test_decide import PIPELINE
from tests.unit.stages.test_lineup import Scorer, Shelf

ONE = Artefact("one", "1", "/one", "1" * 64, ("amount",))
LOAD = Load(7, "change", [ONE])


class Model(Scorer):
    """A scorer that the features of a pipeline fit, or not."""

    def __init__(self, fault: str = "") -> None:
        super().__init__("one@1")
        self.fault = fault

    def check_features(self, available: Any) -> None:
        assert available["amount"] == "number"
        if self.fault:
            raise ModelError(self.fault)


def loaded(row_us: float = 5.0, fault: str = "") -> Loaded:
    return Loaded(Model(fault), row_us)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def blueprint(tmp_path_factory: pytest.TempPathFactory) -> Blueprint:
    path = tmp_path_factory.mktemp("loads") / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    return Blueprint(load_pipeline(path))


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def stage(blueprint: Blueprint, shelf: Shelf) -> DecideStage:
    return DecideStage(blueprint, lambda: 1000.0, registry=shelf)


def acks(out: Output) -> list[tuple[str, str, int, int]]:
    found = [read_ack(data) for data in out.acks]
    return [(ack.status, ack.id, ack.revision, ack.attempt) for ack in found if isinstance(ack, Ack)]


def revise(revision: int = 3, base: int = 0) -> Revise:
    live = LiveSet(models={"one@1": LiveModel(ONE, "champion")})
    return Revise(9, revision, base, [Delta.between(LiveSet(), live).encode()], [])


def test_a_bucket_says_loaded_when_it_is_and_asks_to_be_called_until_then(stage: DecideStage, shelf: Shelf) -> None:
    out = stage.process(0, state(), [encode(LOAD)])
    assert (acks(out), out.poll_ms) == ([], 1020)
    assert shelf.wanted == ["one"]
    assert (acks(stage.poll(0)), stage.poll(1).poll_ms) == ([], None)
    shelf.has["one"] = loaded()
    out = stage.poll(0)
    assert (acks(out), out.poll_ms) == ([("loaded", "change", 0, 7)], None)
    assert acks(stage.poll(0)) == []


def test_what_is_asked_twice_is_answered_once_with_the_newer_number(stage: DecideStage, shelf: Shelf) -> None:
    stored = state()
    stage.process(0, stored, [encode(LOAD), encode(msgspec.structs.replace(LOAD, attempt=8))])
    shelf.has["one"] = loaded()
    assert acks(stage.poll(0)) == [("loaded", "change", 0, 8)]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Failed("model.ubj is cut off", 0.0), "model one@1: model.ubj is cut off"),
        (loaded(2001.0), "model one@1: it takes 2001 µs a payment; allowed: at most 2000 (limits.model_us)"),
        (loaded(5.0, "asks for what isn't there"), "model one@1: asks for what isn't there"),
    ],
)
def test_what_is_no_good_is_said_with_the_reason(stage: DecideStage, shelf: Shelf, found: Any, said: str) -> None:
    shelf.has["one"] = found
    (data,) = stage.process(0, state(), [encode(LOAD)]).acks
    ack = read_ack(data)
    assert ack is not None
    assert (ack.status, ack.id, ack.reason) == ("failed", "change", said)


def test_a_revision_is_ready_when_something_came_of_each_of_its_models(stage: DecideStage, shelf: Shelf) -> None:
    assert acks(stage.process(0, state(), [encode(revise())])) == []
    shelf.has["one"] = loaded()
    assert acks(stage.poll(0)) == [("ready", "", 3, 9)]
    # One that was good when it was put, and can't be had now, holds nobody up.
    shelf.has["one"] = Failed("the store is gone", 0.0)
    assert acks(stage.process(1, state(), [encode(revise())])) == [("ready", "", 3, 9)]


def test_a_restored_bucket_has_its_models_before_its_first_payment(blueprint: Blueprint, shelf: Shelf) -> None:
    stored: State = state()
    shelf.has["one"] = loaded()
    stage = DecideStage(blueprint, lambda: 1000.0, registry=shelf)
    markers = [encode(Marker(9, 3, bucket)) for bucket in range(blueprint.pipeline.job.buckets)]
    stage.process(0, stored, [encode(revise()), *markers])
    waited: list[Artefact] = []

    class Waiting(Shelf):
        def wait(self, artefacts: Any, longest_s: float) -> None:
            waited.extend(artefacts)

    DecideStage(blueprint, lambda: 1000.0, registry=Waiting()).process(0, stored, [])
    assert [one.reference for one in waited] == ["one@1"]


def test_models_that_no_revision_has_are_let_go(blueprint: Blueprint, tmp_path: Path) -> None:
    kept: list[set[str]] = []

    class Keeping(Shelf):
        def keep(self, owner: int, wanted: Any) -> None:
            kept.append(set(wanted))

    shelf = Keeping(one=loaded())
    stored = state()
    stage = DecideStage(blueprint, lambda: 1000.0, registry=shelf)
    stage.process(0, stored, [encode(revise())])
    assert kept[-1] == {ONE.sha256}
    gone = Delta.between(LiveSet(models={"one@1": LiveModel(ONE, "champion")}), LiveSet()).encode()
    markers = [encode(Marker(9, 4, bucket)) for bucket in range(blueprint.pipeline.job.buckets)]
    stage.process(0, stored, [encode(Revise(9, 4, 3, [gone], [])), *markers])
    assert kept[-1] == set()
