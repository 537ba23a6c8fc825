"""Which model decides about whom, and what all of them said."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from control_stream import Artefact, LiveModel
from mitra.decision import OUTCOMES
from mitra.feature_plan import Features
from mitra.lineup import Lineup
from mitra.model_cache import ModelCache
from mitra.model_registry import Failed, Loaded, Registry
from mitra.segments import Segments
from rules.rollout import applies

NUMERIC = {"amount": 0, "count": 1}
KEYS = [[f"c{n}"] for n in range(200)]
ENTITIES = [["customer"]] * 200


class Scorer:
    """Scores by one feature, times a factor; above 2 it fails."""

    def __init__(self, reference: str, feature: str = "amount", factor: float = 1.0) -> None:
        self.reference = reference
        self.features = (feature,)
        self.factor = factor
        self.calls: list[int] = []

    def raw_scores(self, x: Any) -> Any:
        self.calls.append(len(x))
        if (x > 2).any():
            raise ValueError("too much")
        return x[:, 0].astype(np.float64) * self.factor

    def calibrate(self, raw: Any) -> Any:
        return raw / 2

    def outcomes(self, scores: Any) -> Any:
        return (scores >= 0.25).astype(int)

    def explain(self, x: Any) -> list[list[dict[str, Any]]]:
        return [[{"feature": self.reference, "value": float(row[0])}] for row in x]


class Shelf(Registry):
    """A registry that has what it was given."""

    def __init__(self, **scorers: Any) -> None:
        super().__init__(ModelCache(Path("/nowhere")), 1)
        self.has: dict[str, Any] = scorers
        self.wanted: list[str] = []

    def want(self, artefact: Artefact, again_after_s: float) -> None:
        self.wanted.append(artefact.name)

    def found(self, artefact: Artefact) -> Any:
        return self.has.get(artefact.name)


def model(name: str, mode: Any = "shadow", percent: float | None = None, feature: str = "amount") -> LiveModel:
    by = None if percent is None else "customer"
    return LiveModel(Artefact(name, "1", f"/{name}", name, (feature,)), mode, percent, by)


def live(*models: LiveModel) -> dict[str, LiveModel]:
    return {one.artefact.reference: one for one in models}


def features(amounts: Any, counts: Any = 0.0) -> Features:
    numbers = np.zeros((len(amounts), 2))
    numbers[:, 0], numbers[:, 1] = amounts, counts
    return Features(NUMERIC, numbers, {}, numbers)


def loaded(name: str, factor: float = 1.0, feature: str = "amount") -> Loaded:
    return Loaded(Scorer(f"{name}@1", feature, factor), 5.0)  # type: ignore[arg-type]


def test_without_models_nothing_is_scored() -> None:
    scored = Lineup(None, {}, NUMERIC, Shelf()).score(features([1.0, 2.0]), ENTITIES[:2], KEYS[:2])
    assert (scored.scores, scored.outcomes, scored.deciding, scored.models) == (
        [None] * 2,
        [0, 0],
        [None] * 2,
        [[], []],
    )


def test_the_pipelines_own_model_decides_until_another_is_champion() -> None:
    own = Scorer("own@1")
    shelf = Shelf(a=loaded("a", 0.5))
    lineup = Lineup(own, live(model("a")), NUMERIC, shelf)
    scored = lineup.score(features([1.0]), ENTITIES[:1], KEYS[:1])
    assert (scored.deciding, scored.scores, scored.outcomes) == (["own@1"], [0.5], [1])
    assert scored.models == [[("own@1", "champion", 1.0, 0.5, 1), ("a@1", "shadow", 0.5, 0.25, 1)]]
    lineup = Lineup(own, live(model("a", "champion")), NUMERIC, shelf)
    scored = lineup.score(features([1.0]), ENTITIES[:1], KEYS[:1])
    assert (scored.deciding, scored.scores, scored.models) == (["a@1"], [0.25], [[]])
    assert own.calls == [1]


def test_each_model_scores_a_batch_once_whatever_its_share() -> None:
    shelf = Shelf(a=loaded("a"), b=loaded("b", 0.1), c=loaded("c", feature="count"))
    models = live(model("a", "champion"), model("b", "challenger", 30), model("c", feature="count"))
    lineup = Lineup(None, models, NUMERIC, shelf)
    scored = lineup.score(features([1.0] * 200, 0.5), ENTITIES, KEYS)
    assert [found.model.calls for found in shelf.has.values()] == [[200]] * 3
    expected = ["b@1" if applies("b@1", key, 30) else "a@1" for (key,) in KEYS]
    assert scored.deciding == expected
    assert scored.scores == [0.05 if one == "b@1" else 0.5 for one in expected]
    assert [OUTCOMES[one] for one in scored.outcomes] == ["allow" if one == "b@1" else "review" for one in expected]
    assert {row for row, reasons in scored.reasons.items() if reasons} == {
        n for n in range(200) if expected[n] == "a@1"
    }
    wider = Lineup(None, {**models, "b@1": model("b", "challenger", 60)}, NUMERIC, shelf)
    also = wider.score(features([1.0] * 200), ENTITIES, KEYS).deciding
    assert all(then == "b@1" for now, then in zip(expected, also, strict=True) if now == "b@1")
    assert also.count("b@1") > expected.count("b@1")


def test_a_payment_without_the_entity_is_the_champions() -> None:
    shelf = Shelf(a=loaded("a"), b=loaded("b"))
    lineup = Lineup(None, live(model("a", "champion"), model("b", "challenger", 100)), NUMERIC, shelf)
    scored = lineup.score(features([1.0, 1.0]), [["terminal"], ["customer"]], [["t"], ["c"]])
    assert scored.deciding == ["a@1", "b@1"]


def test_a_champion_that_is_not_loaded_is_told_and_scores_as_soon_as_it_is() -> None:
    shelf = Shelf()
    lineup = Lineup(Scorer("own@1"), live(model("a", "champion")), NUMERIC, shelf)
    scored = lineup.score(features([1.0]), ENTITIES[:1], KEYS[:1])
    assert (scored.deciding, scored.scores, scored.failed) == (["a@1"], [None], [0])
    assert shelf.wanted == ["a"]
    shelf.has["a"] = Failed("gone", 0.0)
    assert lineup.score(features([1.0]), ENTITIES[:1], KEYS[:1]).failed == [0]
    shelf.has["a"] = loaded("a")
    scored = lineup.score(features([1.0]), ENTITIES[:1], KEYS[:1])
    assert (scored.deciding, scored.scores, scored.failed) == (["a@1"], [0.5], [])


def test_where_a_challenger_fails_the_champion_decides_and_it_is_told() -> None:
    shelf = Shelf(a=loaded("a", feature="count"), b=loaded("b"))
    models = live(model("a", "champion", feature="count"), model("b", "challenger", 100))
    lineup = Lineup(None, models, NUMERIC, shelf)
    scored = lineup.score(features([1.0, 3.0], 1.5), ENTITIES[:2], KEYS[:2])
    assert (scored.deciding, scored.failed) == (["b@1", "a@1"], [1])
    assert scored.scores == [0.5, 0.75]
    assert [(one.reference, one.rows, one.failed) for one in lineup.contenders] == [("a@1", 2, 0), ("b@1", 2, 1)]


def test_a_model_whose_features_are_gone_is_not_asked() -> None:
    shelf = Shelf(a=loaded("a"))
    lineup = Lineup(None, live(model("a", "champion", feature="gone")), NUMERIC, shelf)
    scored = lineup.score(features([1.0]), ENTITIES[:1], KEYS[:1])
    assert (scored.failed, scored.scores, shelf.wanted) == ([0], [None], [])


@pytest.mark.parametrize("mode", ["challenger", "shadow"])
def test_without_a_champion_nobody_decides_but_all_are_told(mode: str) -> None:
    lineup = Lineup(None, live(model("a", mode)), NUMERIC, Shelf(a=loaded("a")))
    scored = lineup.score(features([1.0]), ENTITIES[:1], KEYS[:1])
    assert (scored.deciding, scored.outcomes, scored.failed) == ([None], [0], [])
    assert scored.models == [[("a@1", mode, 1.0, 0.5, 1)]]


def test_a_segment_has_thresholds_of_its_own_for_every_model_and_others_go_by_the_model() -> None:
    """Scores are half the amount; a model alone reviews from 0.25 on."""
    shelf = Shelf(a=loaded("a"), b=loaded("b"))
    segments = Segments("country", {"AT": (0.1, 0.4), "DE": (None, 0.5)})
    amounts = [0.3, 0.9, 0.3, 0.9, 1.2, 0.3, 0.9]
    given = features(amounts)
    given.texts["country"] = ["AT", "AT", "DE", "DE", "DE", "FR", None]
    lineup = Lineup(None, live(model("a", "champion"), model("b", "shadow")), NUMERIC, shelf, segments)
    scored = lineup.score(given, ENTITIES[:7], KEYS[:7])
    expected = [1, 2, 0, 0, 2, 0, 1]
    assert scored.outcomes == expected
    assert [[one[4] for one in row] for row in scored.models] == [[place, place] for place in expected]


def test_a_number_is_a_segment_as_it_is_written() -> None:
    segments = Segments("count", {"3": (0.0, None)})
    given = features([0.1, 0.1])
    given.numbers[:, 1] = [3.0, np.nan]
    assert segments.of(given, 2) == ["3", None]
    assert Segments("gone", {}).of(given, 2) == [None, None]
