"""What decided an outcome: lists, rules or the model, by the one table of precedence."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from rules import OUTCOMES, ListDeclaration, combine

LIST = "list:"


def decided_by(decision: Mapping[str, Any], lists: Mapping[str, ListDeclaration], model: int | None) -> list[str]:
    """Return who can have decided: `model`, `rules` or a list's mark. More than one where what is known fits several.

    `lists` are the declarations by name, as far as they are known; `model` is the place in OUTCOMES of what the model said,
    None where that isn't known. Empty if nothing that is known fits the outcome.
    """
    fired = [one for one in decision["rules"] if not one["id"].startswith(LIST)]
    held = [one for one in decision["rules"] if one["id"].startswith(LIST)]
    rules = max((OUTCOMES.index(one["outcome"]) for one in fired), default=None)
    wanted = OUTCOMES.index(decision["outcome"])
    models = range(len(OUTCOMES)) if model is None and decision["model"] is not None else [model or 0]
    found = {
        by: None
        for declared in product(*(_declarations(one, lists) for one in held))
        for place in models
        for outcome, by in [combine(rules, declared, place)]
        if outcome == wanted
    }
    return list(found)


def _declarations(hit: Mapping[str, Any], lists: Mapping[str, ListDeclaration]) -> Sequence[ListDeclaration]:
    """Return what the list may be that a decision names: what it is declared as, else what its outcome leaves open."""
    name = hit["id"].removeprefix(LIST)
    declared = lists.get(name)
    if declared is not None:
        return [declared]
    match hit["outcome"]:
        case "allow":
            return [ListDeclaration(name=name, kind="allow", by="")]
        case "review":
            return [ListDeclaration(name=name, kind="watch", by="")]
    return [ListDeclaration(name=name, kind="block", by="", immutable=one) for one in (True, False)]
