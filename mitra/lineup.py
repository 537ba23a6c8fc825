"""The models of one revision: which of them score, and whose score decides about whom.

The champion decides, or the pipeline's own model where none is champion; a challenger with a percent decides for its share of
an entity's keys, always the same ones. All of them score every transaction, each a whole batch at once.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from control_stream import Artefact, LiveModel
from mitra.decision import ModelScore
from mitra.feature_plan import Features
from mitra.model_registry import Loaded, Registry
from mitra.segments import Segments
from rules.rollout import applies

Array = np.ndarray[Any, Any]

RETRY_S = 30.0
"""How long after a failure a live model is tried again."""

_ORDER = ("champion", "challenger", "shadow")


class Scorer(Protocol):
    """What is asked of a model. Scores are probabilities; `x` is float32[n, k] in the order of `features`."""

    @property
    def reference(self) -> str:
        """The model's name@version."""

    @property
    def features(self) -> tuple[str, ...]:
        """The features it reads, in order."""

    def raw_scores(self, x: Array) -> Array:
        """Return float64[n], before calibration."""

    def calibrate(self, raw: Array) -> Array:
        """Return float64[n], calibrated."""

    def outcomes(self, scores: Array) -> Array:
        """Return int[n]: places in OUTCOMES by the model's thresholds."""

    def explain(self, x: Array) -> Sequence[list[Any]]:
        """Return the top contributions of each row, in words with the values."""


@dataclass(slots=True)
class Scored:
    """What the models made of n transactions: what the deciding one said, `failed` rows, and what each said, of several.

    `deciding` are the references of those that decided, None where none could.
    """

    raw: list[float | None]
    scores: list[float | None]
    outcomes: list[int]
    deciding: list[str | None]
    models: list[list[ModelScore]]
    reasons: dict[int, list[Any]] = field(default_factory=dict)
    failed: list[int] = field(default_factory=list)

    def spread(self, rows: Sequence[int], count: int) -> "Scored":
        """Return the same of `count` transactions, of which these were the `rows`; no model was asked of the others."""
        wide = Scored([None] * count, [None] * count, [0] * count, [None] * count, [[] for _ in range(count)])
        for place, row in enumerate(rows):
            wide.raw[row], wide.scores[row] = self.raw[place], self.scores[place]
            wide.outcomes[row], wide.deciding[row] = self.outcomes[place], self.deciding[place]
            wide.models[row] = self.models[place]
        wide.reasons = {rows[place]: reasons for place, reasons in self.reasons.items()}
        wide.failed = [rows[place] for place in self.failed]
        return wide


@dataclass(slots=True)
class Contender:
    """One model of the lineup. `artefact` is None for the pipeline's own; `columns` are None where its features are gone.

    `batches`, `rows`, `failed` and `spent_us` are its figures since they were last taken.
    """

    reference: str
    mode: str
    scorer: Scorer | None
    columns: Array | None
    artefact: Artefact | None = None
    percent: float | None = None
    by: str = ""
    batches: int = 0
    rows: int = 0
    failed: int = 0
    spent_us: float = 0.0


@dataclass(slots=True)
class _Said:
    """What one model said of n transactions."""

    raw: list[float | None]
    scores: list[float | None]
    outcomes: list[int | None]


class Lineup:
    """The models of one revision over its features."""

    def __init__(
        self,
        own: Scorer | None,
        live: Mapping[str, LiveModel],
        numeric: Mapping[str, int],
        registry: Registry,
        segments: Segments | None = None,
    ) -> None:
        """Line up the pipeline's `own` model and those that are `live`; `numeric` are the columns of features by name.

        Where a payment belongs to one of `segments`, that one's thresholds decide in place of the models'.
        """
        self._segments = segments
        self._registry = registry
        self.contenders: list[Contender] = []
        if own is not None and not any(one.mode == "champion" for one in live.values()):
            self.contenders.append(Contender(own.reference, "champion", own, _columns(own.features, numeric)))
        for reference, one in sorted(live.items(), key=lambda item: (_ORDER.index(item[1].mode), item[0])):
            columns = _columns(one.artefact.features, numeric)
            self.contenders.append(
                Contender(reference, one.mode, None, columns, one.artefact, one.percent, one.by or "")
            )
        self._sharing = [place for place, one in enumerate(self.contenders) if one.percent is not None]
        self._champion = 0 if self.contenders and self.contenders[0].mode == "champion" else None

    def score(self, features: Features, entities: Sequence[Sequence[str]], keys: Sequence[Sequence[str]]) -> Scored:
        """Score a batch; `entities` and `keys` are those that each transaction touched."""
        count = len(entities)
        if not self.contenders:
            none: list[Any] = [None] * count
            return Scored(none, none, [0] * count, none, [[]] * count)
        matrices: dict[bytes, Array] = {}
        said = [self._said(one, features, count, matrices) for one in self.contenders]
        if self._segments is not None:
            segments = self._segments.of(features, count)
            for its in said:
                its.outcomes = self._segments.outcomes(segments, its.scores, its.outcomes)
        scored = Scored([], [], [], [], [])
        deciders: dict[int, list[int]] = {}
        several = len(self.contenders) > 1 or self._champion is None
        for row in range(count):
            wanted = self._wanted(entities[row], keys[row])
            place = wanted
            if place is not None and said[place].outcomes[row] is None:
                scored.failed.append(row)
                place = self._champion if place != self._champion else None
                if place is not None and said[place].outcomes[row] is None:
                    place = None
            one = None if place is None else said[place]
            outcome = None if one is None else one.outcomes[row]
            scored.raw.append(None if one is None else one.raw[row])
            scored.scores.append(None if one is None else one.scores[row])
            scored.outcomes.append(outcome or 0)
            # One that should have scored and couldn't is still who was asked.
            named = place if place is not None else wanted
            scored.deciding.append(None if named is None else self.contenders[named].reference)
            scored.models.append(self._all(said, row) if several else [])
            if outcome and place is not None:
                deciders.setdefault(place, []).append(row)
        for place, rows in deciders.items():
            self._explain(self.contenders[place], features, rows, scored)
        return scored

    def _wanted(self, entities: Sequence[str], keys: Sequence[str]) -> int | None:
        """Return who decides about a transaction that touches these."""
        for place in self._sharing:
            one = self.contenders[place]
            key = keys[entities.index(one.by)] if one.by in entities else None
            if applies(one.reference, key, one.percent or 0.0):
                return place
        return self._champion

    def _all(self, said: Sequence[_Said], row: int) -> list[ModelScore]:
        return [
            (one.reference, one.mode, its.raw[row], its.scores[row], its.outcomes[row])
            for one, its in zip(self.contenders, said, strict=True)
        ]

    def _said(self, one: Contender, features: Features, count: int, matrices: dict[bytes, Array]) -> _Said:
        """Return what a model says of the whole batch; where that raises, row by row, so that one bad row costs only itself."""
        scorer = self._scorer(one)
        said = _Said([None] * count, [None] * count, [None] * count)
        if scorer is None or one.columns is None:
            return said
        started = time.perf_counter()
        key = one.columns.tobytes()
        x = matrices.get(key)
        if x is None:
            x = matrices[key] = features.matrix(one.columns)
        try:
            said = _score(scorer, x)
        except Exception:  # noqa: BLE001 - whatever a model raises, a payment gets its decision
            for row in range(count):
                try:
                    alone = _score(scorer, x[row : row + 1])
                except Exception:  # noqa: BLE001 - see above
                    one.failed += 1
                    continue
                said.raw[row], said.scores[row], said.outcomes[row] = alone.raw[0], alone.scores[0], alone.outcomes[0]
        one.batches += 1
        one.rows += count
        one.spent_us += (time.perf_counter() - started) * 1e6
        return said

    def _scorer(self, one: Contender) -> Scorer | None:
        """Return a contender's model, as soon as it is loaded."""
        if one.scorer is None and one.artefact is not None and one.columns is not None:
            found = self._registry.found(one.artefact)
            if isinstance(found, Loaded):
                one.scorer = found.model
            else:
                self._registry.want(one.artefact, RETRY_S)
        return one.scorer

    @staticmethod
    def _explain(one: Contender, features: Features, rows: list[int], scored: Scored) -> None:
        assert one.scorer is not None
        assert one.columns is not None
        try:
            found = one.scorer.explain(features.matrix(one.columns)[rows])
        except Exception:  # noqa: BLE001 - the score stands, its reasons are missing
            return
        scored.reasons.update((row, reasons) for row, reasons in zip(rows, found, strict=True) if reasons)


def _columns(features: Sequence[str], numeric: Mapping[str, int]) -> Array | None:
    return np.array([numeric[name] for name in features]) if all(name in numeric for name in features) else None


def _score(scorer: Scorer, x: Array) -> _Said:
    raw = scorer.raw_scores(x)
    scores = scorer.calibrate(raw)
    return _Said(raw.tolist(), scores.tolist(), scorer.outcomes(scores).tolist())
