"""What becomes of models in the cache: used ones stay, for whoever uses them, and the others go in the end."""

import os
import threading
import time
from pathlib import Path

import pytest

from control_stream import Artefact
from mitra.model_cache import KEPT_S, ModelCache, Tried
from mitra.model_registry import Loaded, Registry
from tests.factories.models import put_of, tiny_model

LIBRARIES = "numpy 1"
FEATURES = ("amount", "count")
OLD, NEW = "a" * 64, "b" * 64


@pytest.fixture
def cache(tmp_path: Path) -> ModelCache:
    return ModelCache(tmp_path / "cache")


def keep(cache: ModelCache, sha256: str, *, unused_s: float = 0.0) -> None:
    folder = cache.temporary()
    (folder / "manifest.json").write_text("{}")
    cache.keep(sha256, folder, Tried(1.0, LIBRARIES), {"a": 1})
    unused(cache, sha256, unused_s)


def unused(cache: ModelCache, sha256: str, seconds: float) -> None:
    """Have all of a model's files be of a time when it was last used."""
    then = time.time() - seconds
    for path in cache.folder.glob(f"{sha256}*"):
        os.utime(path, (then, then))


def names(cache: ModelCache) -> set[str]:
    return {path.name for path in cache.folder.iterdir()}


def files(*sha256s: str) -> set[str]:
    return {name for sha256 in sha256s for name in (sha256, f"{sha256}.json", f"{sha256}.npz")}


def test_what_nobody_has_used_for_long_goes_whole(cache: ModelCache) -> None:
    keep(cache, OLD, unused_s=KEPT_S + 60)
    keep(cache, NEW, unused_s=KEPT_S - 60)
    assert cache.prune() == [OLD]
    assert names(cache) == files(NEW)


def test_to_ask_for_a_model_is_to_use_it(cache: ModelCache) -> None:
    keep(cache, OLD, unused_s=KEPT_S + 60)
    assert cache.tried(OLD, LIBRARIES) == Tried(1.0, LIBRARIES)
    assert cache.prune() == []
    assert names(cache) == files(OLD)


def test_what_killed_trials_leave_goes_and_what_they_fill_stays(cache: ModelCache) -> None:
    left, filling = cache.temporary(), cache.temporary()
    (left / "model.ubj").write_bytes(b"half")
    keep(cache, OLD)
    (cache.folder / f"{OLD}.json").unlink()
    then = time.time() - KEPT_S - 60
    for path in (left, cache.artefact(OLD), cache.folder / f"{OLD}.npz"):
        os.utime(path, (then, then))
    assert cache.prune() == []
    assert names(cache) == {filling.name}


def test_a_cache_that_is_not_there_has_nothing_to_delete(cache: ModelCache) -> None:
    assert (cache.prune(), cache.tried("none", LIBRARIES)) == ([], None)
    assert not cache.folder.exists()


def test_of_two_jobs_over_one_cache_neither_loses_what_the_other_runs(cache: ModelCache, tmp_path: Path) -> None:
    running: list[tuple[Registry, str]] = []
    for seed in range(2):
        tiny_model(tmp_path, FEATURES, name=f"m{seed}", seed=seed)
        said = put_of(tmp_path / f"m{seed}-1")
        one = Artefact(said["name"], said["version"], said["uri"], said["sha256"], FEATURES)
        registry = Registry(cache, 10_000_000)
        registry.keep(0, {one.sha256})
        registry.want(one, 0.0)
        registry.wait([one], 300)
        assert isinstance(registry.found(one), Loaded)
        running.append((registry, one.sha256))
    keep(cache, OLD, unused_s=KEPT_S + 60)
    (first, own), (second, other) = running
    unused(cache, own, KEPT_S + 60)
    unused(cache, other, KEPT_S - 60)
    assert first.tidy() == [OLD]
    unused(cache, other, KEPT_S + 60)
    assert second.tidy() == []
    assert names(cache) == files(own, other)
    # One that runs neither any more, and a job that is gone: then there is nobody to keep them.
    first.keep(0, ())
    unused(cache, own, KEPT_S + 60)
    unused(cache, other, KEPT_S + 60)
    assert sorted(first.tidy()) == sorted([own, other])
    assert names(cache) == set()


def test_what_is_not_the_caches_own_stays(cache: ModelCache) -> None:
    foreign = cache.folder / "payments-2026-01-01"
    foreign.mkdir(parents=True)
    then = time.time() - 2 * KEPT_S
    os.utime(foreign, (then, then))
    assert cache.prune() == []
    assert names(cache) == {foreign.name}


def test_nobody_is_told_of_a_model_that_goes(cache: ModelCache) -> None:
    told: list[bool] = []
    for _ in range(100):
        keep(cache, OLD, unused_s=KEPT_S + 60)
        found: list[Tried | None] = []
        begin = threading.Barrier(2)

        def ask(found: list[Tried | None] = found, begin: threading.Barrier = begin) -> None:
            begin.wait()
            found.append(cache.tried(OLD, LIBRARIES))

        thread = threading.Thread(target=ask)
        thread.start()
        begin.wait()
        gone = cache.prune()
        thread.join()
        told.append(found != [None])
        assert told[-1] == (gone == [])
        assert cache.artefact(OLD).is_dir() == told[-1]
    assert len(told) == 100
