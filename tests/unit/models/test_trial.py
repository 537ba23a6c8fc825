"""A model is fetched, tried in a process of its own, and loaded from the cache; what is no good is told in a sentence."""

import hashlib
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from control_stream import Artefact
from mitra.errors import MitraError
from mitra.model_cache import ModelCache
from mitra.model_registry import Failed, Loaded, Registry
from mitra.model_trial import Order, main
from models.artefact import load_model, write_artefact
from models.calibration import Uncalibrated
from models.errors import ModelError
from models.manifest import Manifest, ModelFeature, Thresholds
from tests.factories.models import put_of, tiny_model

FEATURES = ("amount", "count")


def order(folder: Path, cache: Path, **more: Any) -> Order:
    said = put_of(folder)
    reference = f"{said['name']}@{said['version']}"
    values = {"uri": str(folder), "sha256": said["sha256"], "reference": reference, "features": tuple(said["features"])}
    return Order(**{**values, "cache": str(cache), "max_bytes": 10_000_000, **more})


def artefact(folder: Path, **more: Any) -> Artefact:
    said = put_of(folder) | more
    return Artefact(said["name"], said["version"], said["uri"], said["sha256"], tuple(said["features"]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_model(tmp_path, FEATURES)
    return tmp_path / "tiny-1"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def settled(registry: Registry, one: Artefact) -> Loaded | Failed:
    registry.want(one, 0.0)
    registry.wait([one], 300)
    found = registry.found(one)
    assert found is not None
    return found


def test_what_comes_out_of_a_process_of_its_own_scores_as_the_artefact_does(folder: Path, cache: Path) -> None:
    registry = Registry(ModelCache(cache), 10_000_000)
    found = settled(registry, artefact(folder))
    assert isinstance(found, Loaded), found
    rows = np.random.default_rng(3).normal(size=(50, 2)).astype(np.float32)
    rows[::7] = np.nan
    assert np.array_equal(found.model.raw_scores(rows), load_model(folder).raw_scores(rows))
    assert 0 < found.row_us < 1e6
    # The next process takes it from the cache, though the store is gone.
    shutil.rmtree(folder)
    again = settled(Registry(ModelCache(cache), 10_000_000), Artefact("tiny", "1", str(folder), *_known(found)))
    assert isinstance(again, Loaded), again
    assert np.array_equal(again.model.raw_scores(rows), found.model.raw_scores(rows))


def _known(found: Loaded) -> tuple[str, tuple[str, ...]]:
    return found.model.digest, found.model.features


def test_a_process_that_dies_is_a_failure_with_its_last_words(folder: Path, cache: Path, tmp_path: Path) -> None:
    registry = Registry(ModelCache(cache), 10_000_000)
    gone = artefact(folder, uri="memory-of-nobody://x")
    found = settled(registry, gone)
    assert isinstance(found, Failed)
    assert "memory-of-nobody://x/manifest.json can't be" in found.reason


def test_a_failure_is_kept_for_a_while_and_forgotten_with_the_last_who_wanted_it(folder: Path, cache: Path) -> None:
    now = [0.0]
    registry = Registry(ModelCache(cache), 10_000_000, lambda: time.monotonic() + now[0])
    one = artefact(folder, sha256="0" * 64)
    registry.keep(1, [one.sha256])
    first = settled(registry, one)
    registry.want(one, 30.0)
    assert registry.found(one) is first
    now[0] = 31.0
    registry.want(one, 30.0)
    registry.wait([one], 300)
    assert registry.found(one) is not first
    registry.keep(1, [])
    assert registry.found(one) is None


def spoilt(folder: Path, data: bytes, *, described: bool) -> Path:
    (folder / "model.ubj").write_bytes(data)
    if described:
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["files"] = [{"name": "model.ubj", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}]
        (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize(
    ("spoil", "described", "more", "said"),
    [
        (lambda data: data[:100], False, {}, "is cut off: it has bytes=100"),
        (lambda data: data + b"x", False, {}, "more than bytes="),
        (lambda data: b"x" + data[1:], False, {}, "the manifest says"),
        (lambda data: data[:100], True, {}, "is not a model that can score"),
        (lambda _: b"", True, {}, "is not a model that can score"),
        (lambda data: data, False, {"max_bytes": 100}, "allowed: at most 100 (limits.model_bytes)"),
        (lambda data: data, False, {"sha256": "0" * 64}, "the change says 000"),
        (lambda data: data, False, {"reference": "other@1"}, "the artefact is tiny@1, the change says other@1"),
        (lambda data: data, False, {"features": ("amount", "more")}, "reads count; doesn't read more"),
        (lambda data: data, False, {"features": ("count", "amount")}, "in another order"),
        (lambda data: data, False, {"uri": "/nowhere"}, "/nowhere/manifest.json can't be read"),
        (lambda data: data, False, {"uri": "nostore://x"}, "can't be read"),
    ],
)
def test_what_is_no_good_is_told_and_leaves_nothing(
    folder: Path, cache: Path, spoil: Any, described: bool, more: dict[str, Any], said: str
) -> None:
    spoilt(folder, spoil((folder / "model.ubj").read_bytes()), described=described)
    with pytest.raises(MitraError) as found:
        main(order(folder, cache, **more))
    assert said in str(found.value)
    assert str(cache) not in str(found.value)
    assert list(cache.iterdir()) == []


def test_any_store_that_fsspec_knows_will_do(folder: Path, cache: Path) -> None:
    main(order(folder, cache, uri=f"file://{folder}/"))
    assert ModelCache(cache).artefact(put_of(folder)["sha256"]).is_dir()


def estimator_artefact(folder: Path, estimator: Any) -> Path:
    manifest = Manifest(
        name="logit", version="1", files=(), features=tuple(ModelFeature(one, "number") for one in FEATURES),
        calibration=Uncalibrated(), thresholds=Thresholds(),
    )  # fmt: skip
    return write_artefact(folder, manifest, skops.io.dumps(estimator), file="model.skops")


class Foreign(TransformerMixin, BaseEstimator):
    """A type that is not scikit-learn's own."""

    def fit(self, x: Any, y: Any = None) -> "Foreign":
        return self

    def transform(self, x: Any) -> Any:
        return x


def fitted(*steps: Any) -> Any:
    x = np.random.default_rng(0).normal(size=(200, 2))
    return make_pipeline(*steps).fit(x, (x[:, 0] > 0).astype(int))


def test_an_estimator_of_scikit_learn_scores_through_the_cache(tmp_path: Path, cache: Path) -> None:
    estimator = fitted(SimpleImputer(), LogisticRegression())
    folder = estimator_artefact(tmp_path / "logit", estimator)
    main(order(folder, cache))
    model = load_model(ModelCache(cache).artefact(put_of(folder)["sha256"]))
    rows = np.array([[0.5, 1.0], [-2.0, 0.0]], dtype=np.float32)
    assert model.raw_scores(rows) == pytest.approx(estimator.predict_proba(rows)[:, 1])
    assert model.explain(rows) == [[], []]


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (fitted(LogisticRegression()), "put an imputer before it"),
        (fitted(Foreign(), SimpleImputer(), LogisticRegression()), "types that Mitra doesn't trust"),
        (SimpleImputer(), "gives no probability of the classes 0 and 1"),
    ],
)
def test_an_estimator_that_cannot_score_or_could_run_code_is_refused(tmp_path: Path, estimator: Any, said: str) -> None:
    folder = estimator_artefact(tmp_path / "logit", estimator)
    with pytest.raises(ModelError, match=said):
        load_model(folder)


def test_a_pickle_is_no_estimator(tmp_path: Path) -> None:
    folder = estimator_artefact(tmp_path / "logit", fitted(SimpleImputer(), LogisticRegression()))
    manifest = json.loads((folder / "manifest.json").read_text())
    data = b"cos\nsystem\n(S'true'\ntR."
    (folder / "model.skops").write_bytes(data)
    manifest["files"] = [{"name": "model.skops", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="is no skops file"):
        load_model(folder)
