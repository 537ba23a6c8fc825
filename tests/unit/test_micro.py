"""Micro models: their scores are features of other models, in an order that follows from what they read."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mitra.blueprint import Blueprint
from mitra.errors import MitraError
from mitra.micro import order_of
from mitra.pipeline import load_pipeline
from mitra.pipeline_whole import check_whole
from mitra.table_features import features_of
from tests.factories.models import tiny_model

PIPELINE = """
name: small
events: {payment: {id: id, time: at, fields: {id: string, at: time, customer: string, amount: number}}}
entities: {customer: customer}
features: {amount: amount, count_1h: 'count(by=customer, over="1h")'}
micro_models: {outer: outer-1, inner: inner-1}
model: {path: tiny-1}
"""


def write(folder: Path, **reads: tuple[str, ...]) -> Path:
    """Write models under their names, each over what it reads, and the pipeline beside them."""
    for seed, (name, features) in enumerate(reads.items()):
        tiny_model(folder, features, name=name, seed=seed)
    path = folder / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path, inner=("amount",), outer=("inner", "count_1h"), tiny=("outer", "inner", "amount"))


def test_each_is_scored_behind_those_it_reads(path: Path) -> None:
    payments = pa.table({
        "id": ["a", "b", "c"],
        "at": [1_700_000_000_000, 1_700_000_001_000, 1_700_000_002_000],
        "customer": ["x", "x", "y"],
        "amount": [2.0, -1.0, 0.5],
    })  # fmt: skip
    found = features_of(str(path), payments)
    blueprint = Blueprint.of(load_pipeline(path))
    models = {name: blueprint.micro_files[name] for name in ("inner", "outer")}
    assert set(models) == {"inner", "outer"}
    amount, count = (found.column(name).to_numpy().astype(np.float32) for name in ("amount", "count_1h"))
    from models.artefact import load_model  # noqa: PLC0415

    inner, outer = load_model(path.parent / "inner-1"), load_model(path.parent / "outer-1")
    expected = inner.raw_scores(amount[:, None])
    assert found.column("inner").to_numpy() == pytest.approx(expected)
    stacked = np.column_stack([expected.astype(np.float32), count])
    assert found.column("outer").to_numpy() == pytest.approx(outer.raw_scores(stacked))
    assert len(set(expected.tolist())) > 1


def test_the_pipeline_is_sound_and_its_model_reads_their_scores(path: Path) -> None:
    pipeline, problems = check_whole(path)
    assert problems == []
    assert pipeline is not None
    assert pipeline.model_inputs == ("amount", "count_1h", "outer", "inner")
    blueprint = Blueprint.of(pipeline)
    assert blueprint.compiled.types["outer"] == "number"


def test_a_circle_is_refused_with_the_names_in_it(tmp_path: Path) -> None:
    path = write(tmp_path, inner=("outer",), outer=("inner", "count_1h"), tiny=("amount",))
    said = "micro models read each other in a circle: outer reads inner reads outer"
    with pytest.raises(MitraError, match=said):
        Blueprint.of(load_pipeline(path))
    _, problems = check_whole(path)
    assert [(one.path, one.message.partition(";")[0]) for one in problems] == [("micro_models", said)]


def test_what_can_t_be_read_is_told_by_name(tmp_path: Path) -> None:
    path = write(tmp_path, inner=("nothing",), tiny=("amount",))
    _, problems = check_whole(path)
    assert [one.path for one in problems] == ["micro_models.outer", "micro_models.inner"]
    assert "there is no folder" in problems[0].message
    assert "nothing: not defined" in problems[1].message


def test_the_order_is_any_in_which_nothing_is_read_before_it_is_there() -> None:
    reads = {"a": ("b", "x"), "b": ("c", "d"), "c": (), "d": ("c",)}
    order = order_of(reads)
    assert sorted(order) == sorted(reads)
    assert all(
        order.index(other) < order.index(name) for name, others in reads.items() for other in others if other in reads
    )
