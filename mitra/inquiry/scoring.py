"""What the model said of one payment: its score beside the thresholds, and which features moved it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mitra.errors import MitraError
from mitra.inquiry.known import Known
from rules import Signal

if TYPE_CHECKING:
    from mitra.pipeline import Pipeline
    from models.model import Model

_MOST = 8
_CLOSE = 1e-6


@dataclass(frozen=True, slots=True)
class Scoring:
    """Thresholds None: the model that decided isn't at hand. `outcome` is the place in OUTCOMES of what it said.

    `contributions` are in log-odds, in words with the values, the strongest first.
    """

    review: float | None = None
    block: float | None = None
    at_hand: bool = False
    outcome: int | None = None
    contributions: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = field(default=())


def scoring(pipeline: "Pipeline", decision: Mapping[str, Any], known: Known, path: Path | None = None) -> Scoring:
    """Return what the model said, asked again where it is the one that decided and its features are known."""
    said = tuple(decision["reasons"])
    if decision["model"] is None:
        return Scoring(contributions=said)
    model, why_not = _model(pipeline, decision["model"], path)
    if model is None:
        return Scoring(contributions=said, notes=(why_not,))
    score = decision["score"]
    outcome = None if score is None else int(model.outcomes(np.array([score]))[0])
    limits = model.thresholds
    lacking = [name for name in model.features if Signal("feature", name) not in known]
    notes: tuple[str, ...] = ()
    if lacking:
        shown = f"{', '.join(lacking[:5])}{', …' if len(lacking) > 5 else ''}"
        if not said:
            notes = (f"what moved the score isn't told: {len(lacking)} of the model's features aren't known ({shown})",)
        return Scoring(limits.review, limits.block, at_hand=True, outcome=outcome, contributions=said, notes=notes)
    row = np.array([[_number(known[Signal("feature", name)]) for name in model.features]], dtype=np.float32)
    raw = float(model.raw_scores(row)[0])
    if decision["raw_score"] is not None and abs(raw - decision["raw_score"]) > _CLOSE:
        notes = (f"asked again, the model says raw_score={raw:.6g}, and the decision {decision['raw_score']:.6g}",)
    found = tuple(dict(one) for one in model.explain(row, _MOST)[0])
    return Scoring(limits.review, limits.block, at_hand=True, outcome=outcome, contributions=found, notes=notes)


def _model(pipeline: "Pipeline", reference: str, path: Path | None) -> "tuple[Model | None, str]":
    """Return the model that decided, or None and why not."""
    from mitra.blueprint import Blueprint  # noqa: PLC0415 - xgboost is loaded when needed

    try:
        model = Blueprint.of(pipeline, path).load_model()
    except MitraError as error:
        return None, f"the model {reference} can't be asked again: {str(error).splitlines()[0]}"
    if model is None:
        return None, f"{reference} scored, and the pipeline names no model: --model=DIR names one"
    if model.reference != reference:
        return (
            None,
            f"{reference} scored, and the pipeline's model is {model.reference} by now: --model=DIR names another",
        )
    return model, ""


def _number(value: object) -> float:
    return float("nan") if value is None else float(value)  # type: ignore[arg-type]
