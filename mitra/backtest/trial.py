"""What a replay has live from the start: the rules and features of files, alone or over what is live."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from control_stream import Context, LiveSet
from control_stream.refusal import Refused
from mitra.control.files import read_files
from mitra.errors import MitraError
from rules import Rule, check_expressions, compile_features

AMOUNT = "amount"
"""The field that money is counted in where nothing else is said."""

_MONEY = "backtest_amount"


@dataclass(frozen=True, slots=True)
class Trial:
    """Rules on trial. `tested` are the ids of those in the files; `money` is the feature that has what a payment is worth.

    `left_out` is how many lists and snoozes the files have: their entries lie with histories, which begin empty here.
    """

    live: LiveSet
    tested: tuple[str, ...]
    left_out: int = 0
    money: str | None = None

    @property
    def left_out_text(self) -> str:
        """What to tell of what is left out."""
        return f"{self.left_out} list{'s' * (self.left_out != 1)} or snoozes in the files are left out: only rules are tried"


def read_trial(names: Sequence[str | Path], context: Context, base: LiveSet | None = None) -> Trial:
    """Read files, and run their examples. `base` is what is live; what the files say stands in its place.

    Raises MitraError with all that is wrong with the files, or with what is live beside them.
    """
    before = base or LiveSet()
    files = read_files(names, context, before.features)
    rules: dict[str, Rule] = dict(before.rules)
    for _, one in files.rules:
        version = before.versions.get(one.rule.id, 0) + 1
        rules[one.rule.id] = msgspec.structs.replace(one.rule, version=version)
    features = {**before.features, **{name: text for name, (_, text) in files.features.items()}}
    live = LiveSet(rules=rules, features=features)
    try:
        live.check(context)
    except Refused as refused:
        raise MitraError(f"what is live doesn't go with these files: {refused.reason}; {refused.hint}") from None
    tested = tuple(one.rule.id for _, one in files.rules)
    return Trial(live, tested, len(files.lists) + len(files.snoozes))


def with_money(trial: Trial, context: Context, text: str | None) -> Trial:
    """Return the trial with a feature that has what a payment is worth: a field, or an expression over fields and features.

    `text` None: the field `amount`, if the decided event has it and it is a number. Raises MitraError for a text that
    stands for no number.
    """
    decided = context.schema.decided
    if text is None:
        field = decided.by_name.get(AMOUNT)
        if field is None or field.type not in {"number", "integer"}:
            return trial
        text = AMOUNT
    features = trial.live.all_features(context)
    known = compile_features(features, context.schema).types
    name = _free_name({*features, *decided.by_name})
    found = check_expressions({name: text}, context.schema, "--amount", known=known)[name]
    if found.type not in {"number", "integer"}:
        others = {decided.id, decided.time}
        numbers = [one.name for one in decided.fields if one.type in {"number", "integer"} and one.name not in others]
        kind = "text" if found.type == "string" else found.type
        known_as = f", such as {', '.join(numbers)}" if numbers else ""
        raise MitraError(f"--amount={text} is a {kind}; allowed: a number{known_as}")
    live = msgspec.structs.replace(trial.live, features={**trial.live.features, name: text})
    return Trial(live, trial.tested, trial.left_out, name)


def _free_name(taken: set[str] | Mapping[str, object]) -> str:
    name = _MONEY
    while name in taken:
        name += "_"
    return name
