"""`mitra models`: what it prints, and its exit status, over topics in memory."""

from pathlib import Path

import pytest

from mitra.control.monitor import ModelUse, sum_up
from mitra.pipeline import load_pipeline
from tests.factories.control_topics import MemoryTopics
from tests.factories.models import tiny_model
from tests.unit.cli.test_control import Call, call, pipeline, topics

__all__ = ["call", "pipeline", "topics"]  # fixtures

USE = {"tiny@1": ModelUse(1_748_779_200_000, 1_748_779_210_000, payments=100, calls=40, spent_us=2_000.0)}


@pytest.fixture(autouse=True)
def used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mitra.control.monitor.model_use", lambda _: USE)


@pytest.fixture
def features(pipeline: str) -> tuple[str, ...]:
    return load_pipeline(pipeline).model_inputs[:2]


@pytest.fixture
def store(tmp_path: Path, features: tuple[str, ...]) -> Path:
    tiny_model(tmp_path, features)
    tiny_model(tmp_path, features[:1], version="2")
    return tmp_path


def test_a_model_is_pushed_promoted_listed_and_taken_back(call: Call, pipeline: str, store: Path) -> None:
    status, out, err = call(f"models push {pipeline} {store}/tiny-1")
    assert err == ""
    assert status == 0
    assert out.splitlines()[1].split() == ["model.put", "tiny@1", "1", "active"]
    assert "revision 2 is active everywhere" in out
    assert call(f"models push {pipeline} {store}/tiny-2")[0] == 0
    assert call(f"models mode {pipeline} tiny@1 champion")[0] == 0
    assert call(f"models mode {pipeline} tiny@2 challenger --percent 10 --by customer")[0] == 0
    status, out, _ = call(f"models list {pipeline}")
    rows = [line.split() for line in out.splitlines()]
    assert ["tiny@1", "champion", "100", "40", "50", "µs", "0", str(store / "tiny-1")] in rows
    assert any(row[:7] == "tiny@2 challenger, decides about 10 % of".split() for row in rows)
    _, found = call(f"models list {pipeline} --json")
    assert [(one["model"], one["mode"], one["percent"]) for one in found["models"]] == [
        ("tiny@1", "champion", None),
        ("tiny@2", "challenger", 10),
    ]
    assert found["models"][0]["use"]["call_us"] == 50.0
    status, out, _ = call(f"control status {pipeline}")
    assert [line.split()[:2] for line in out.splitlines()[-3:]] == [
        ["model", "mode"],
        ["tiny@1", "champion"],
        ["tiny@2", "challenger,"],
    ]
    assert out.splitlines()[-1].endswith(f"decides about 10 % of customer  {store}/tiny-2")
    _, found = call(f"control status {pipeline} --json")
    assert [(one["model"], one["mode"]) for one in found["models"]] == [
        ("tiny@1", "champion"),
        ("tiny@2", "challenger"),
    ]
    _, out, _ = call(f"control export {pipeline} {store}/out")
    assert (
        out.splitlines()[-1] == "models are no files here: `mitra models push` puts tiny@1, tiny@2 from where they lie"
    )
    _, shown = call(f"models show {pipeline} tiny@2 --json")
    assert [one["change"] for one in shown["history"]] == ["model.put", "model.mode"]
    _, told = call(f"models diff {pipeline} tiny@1 tiny@2 --json")
    assert told["differs"]["features"] == ["2", "1"]
    assert call(f"models rollback {pipeline} 5")[0] == 0
    _, found = call(f"models list {pipeline} --json")
    assert {one["model"]: one["mode"] for one in found["models"]} == {"tiny@1": "champion", "tiny@2": "shadow"}


def test_what_a_worker_cannot_load_is_told_and_stands_in_the_log(
    call: Call, pipeline: str, store: Path, topics: MemoryTopics
) -> None:
    topics.fault = "model tiny@1: model.ubj is cut off"
    status, out, err = call(f"models push {pipeline} {store}/tiny-1")
    assert status == 1
    assert "refused" in out
    assert "model tiny@1: model.ubj is cut off" in err
    assert "a worker of the job can't load it, so nothing was changed" in err
    _, log = call(f"control log {pipeline} --json")
    assert [(one["change"], one["became"]) for one in log] == [("model.put", "loading"), ("turn_down", "refused")]
    assert log[1]["reason"] == "model tiny@1: model.ubj is cut off"
    status, _, err = call(f"models show {pipeline} tiny@1")
    assert (status, "no model tiny@1 is live" in err) == (1, True)


def test_what_is_no_artefact_is_told_without_a_change(call: Call, pipeline: str, topics: MemoryTopics) -> None:
    status, _, err = call(f"models push {pipeline} /nowhere")
    assert (status, topics.records) == (1, [])
    assert "/nowhere/manifest.json can't be read" in err


def test_the_figures_of_subtasks_are_summed_up() -> None:
    one = {"metric": "model", "model": "a@1", "mode": "shadow", "subtask": 0, "from": 5, "to": 9}
    counts = {"payments": 10, "batches": 4, "failed": 1, "spent_us": 80.0}
    found = sum_up([{**one, **counts}, {"metric": "rules"}, {**one, "subtask": 1, "from": 3, **counts}])
    assert found == {"a@1": ModelUse(3, 9, payments=20, calls=8, failed=2, spent_us=160.0)}
    assert found["a@1"].call_us == 20.0
