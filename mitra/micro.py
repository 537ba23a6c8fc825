"""Micro models: models of the pipeline file whose scores other models read, as if they were features.

Each is scored on the whole batch, after those whose scores it reads itself. Where one fails, its score is missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mitra.errors import MitraError
from mitra.feature_plan import Features
from rules import CompiledFeatures

if TYPE_CHECKING:
    from models.model import Model
    from rules.plan import ValueType


def with_scores(compiled: CompiledFeatures, micro: Sequence[str]) -> CompiledFeatures:
    """Return compiled features with a column, a number, for each micro model behind them; nothing fills it but `Micro.fill`."""
    if not micro:
        return compiled
    types: dict[str, ValueType] = {**compiled.types, **dict.fromkeys(micro, "number")}
    return replace(compiled, names=(*compiled.names, *micro), types=types)


def order_of(reads: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the names of micro models, each behind those it reads; `reads` are the inputs of each.

    Raises MitraError naming a circle.
    """
    done: list[str] = []
    way: list[str] = []

    def visit(name: str) -> None:
        if name in done:
            return
        if name in way:
            circle = " reads ".join([*way[way.index(name) :], name])
            raise MitraError(f"micro models read each other in a circle: {circle}; train one without the other's score")
        way.append(name)
        for other in reads[name]:
            if other in reads:
                visit(other)
        way.pop()
        done.append(name)

    for name in reads:
        visit(name)
    return done


class Micro:
    """The micro models of a pipeline, in the order in which they are scored."""

    def __init__(self, models: Mapping[str, "Model"]) -> None:
        """Put them in order. Raises MitraError for a circle."""
        order = order_of({name: model.features for name, model in models.items()})
        self._models = [(name, models[name]) for name in order]

    def fill(self, features: Features) -> None:
        """Score a batch: each model's calibrated score becomes the feature of its name."""
        numeric = features.numeric
        for name, model in self._models:
            columns = np.array([numeric[one] for one in model.features])
            try:
                scores = model.calibrate(model.raw_scores(features.matrix(columns)))
            except Exception:  # noqa: BLE001, S112 - whatever a model raises, a payment gets its decision
                continue
            features.numbers[:, numeric[name]] = scores
