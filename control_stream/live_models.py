"""The models that are live, by name@version: pure functions from what is live and a change to what is live then.

At most one is champion. Where none is, the model that the pipeline file names decides.
"""

from collections.abc import Container, Iterable, Mapping
from typing import Any

import msgspec

from control_stream.model_changes import Artefact, ModelMode, SetModelMode
from control_stream.refusal import Refused
from rules import Expression
from rules.problems import closest


class LiveModel(msgspec.Struct, array_like=True, frozen=True):
    """A model and what it is used for. A challenger with `percent` decides for that share of the entities `by`."""

    artefact: Artefact
    mode: ModelMode = "shadow"
    percent: float | None = None
    by: str | None = None


Models = Mapping[str, LiveModel]


def put(models: Models, artefact: Artefact, most: int) -> Models:
    """Return the models with one more, a shadow. The same bytes again change no more than where they lie."""
    reference = artefact.reference
    old = models.get(reference)
    if old is None:
        if len(models) >= most:
            raise Refused("name", f"{len(models)} models are live; allowed: at most {most}", "retire some")
        return {**models, reference: LiveModel(artefact)}
    if old.artefact.sha256 != artefact.sha256:
        reason = f"{reference} is live with other bytes: sha256={old.artefact.sha256}"
        raise Refused("version", reason, "give the new model another version")
    return {**models, reference: msgspec.structs.replace(old, artefact=artefact)}


def set_mode(models: Models, change: SetModelMode, first_entity: str) -> Models:
    """Return the models with one in another mode. The champion that it takes the place of becomes a challenger."""
    old = known(models, change.model)
    by = None if change.percent is None else change.by or old.by or first_entity
    after = {**models, change.model: LiveModel(old.artefact, change.mode, change.percent, by)}
    if change.mode == "champion":
        for reference, one in models.items():
            if one.mode == "champion" and reference != change.model:
                after[reference] = LiveModel(one.artefact, "challenger")
    return after


def retire(models: Models, reference: str) -> Models:
    """Return the models without one."""
    known(models, reference)
    return {name: one for name, one in models.items() if name != reference}


def known(models: Models, reference: str) -> LiveModel:
    """Return a live model. Raises Refused where there is none of that reference."""
    found = models.get(reference)
    if found is None:
        have = f"the models are {', '.join(models)}" if models else "there are no models: put one first"
        raise Refused("model", f'there is no model "{reference}"', closest(reference, models) or have)
    return found


def check_inputs(
    artefacts: Iterable[Artefact], expressions: Mapping[str, Expression], place: str, scores: Container[str] = ()
) -> None:
    """Raise Refused where a model reads a feature that isn't there, or a text; all such features are named.

    `scores` are micro models, whose scores it may read too.
    """
    for artefact in artefacts:
        names = [name for name in artefact.features if name not in scores]
        faults = [fault for name in names if (fault := _fault(name, expressions))]
        if faults:
            reason = f"model {artefact.reference} can't have {len(faults)} of its features:\n  " + "\n  ".join(faults)
            hint = "train it on features of this pipeline, or add these with feature.put"
            raise Refused(place, reason, hint)


def _fault(name: str, expressions: Mapping[str, Expression]) -> str:
    if name not in expressions:
        return f"{name}: not defined; {closest(name, expressions)}".removesuffix("; ")
    return f"{name}: is a text; a model reads numbers and booleans" if expressions[name].type == "string" else ""


def readers(models: Models, feature: str) -> list[str]:
    """Return the models that read a feature, as `model REFERENCE`."""
    return [f"model {reference}" for reference, one in models.items() if feature in one.artefact.features]


def new_artefacts(before: Models, after: Models) -> list[Artefact]:
    """Return the artefacts that `before` doesn't have: what workers must load before they can be live."""
    had: set[Any] = {one.artefact.sha256 for one in before.values()}
    return [one.artefact for one in after.values() if one.artefact.sha256 not in had]
