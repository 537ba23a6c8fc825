"""What a replay has live from the start: the rules and features of files, alone or over what is live."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from control_stream import Context, LiveSet, Mark
from control_stream.refusal import Refused
from mitra.control.changes import Planned, hold
from mitra.control.files import read_files
from mitra.control.replay import Replay
from mitra.errors import MitraError
from rules import ListDeclaration, Rule, check_expressions, compile_features

AMOUNT = "amount"
"""The field that money is counted in where nothing else is said."""

LIST = "list:"
"""What stands before the name of a list where it is told as a rule is."""

_MONEY = "backtest_amount"
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Trial:
    """Rules on trial. `tested` are the ids of those in the files; `money` is the feature that has what a payment is worth.

    `left_out` is how many lists and snoozes the files have that aren't on trial: entries lie with histories, which begin empty
    here. Those that are: `lists`, and in `marks` their entries and whom rules are snoozed for.
    """

    live: LiveSet
    tested: tuple[str, ...]
    left_out: int = 0
    money: str | None = None
    lists: tuple[ListDeclaration, ...] = ()
    marks: tuple[Mark, ...] = ()

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


def with_lists(trial: Trial, names: Sequence[str | Path], context: Context, base: Replay | None = None) -> Trial:
    """Return the trial with the lists and snoozes of files, and those that are live in `base` besides.

    Raises MitraError with what would be refused if they were pushed.
    """
    scratch = Replay(replace(context, authorize=None)) if base is None else base.fork(signed=False)
    files = read_files(names, context, scratch.live.features)
    changes = []
    for number, one in enumerate(files.wanted()):
        data = _encode({"change": one.kind, "id": f"trial/{number}", "author": "trial", **one.body})
        changes.append(Planned(one, f"trial/{number}", data))
    refused = hold(scratch, changes).refused
    if refused:
        raise MitraError("\n\n".join(f"{one.source}: {problem.render()}" for one, problem in refused))
    named = tuple(f"{LIST}{one['name']}" for _, one in files.lists)
    marks = tuple(scratch.marks.values())
    return replace(
        trial, tested=(*trial.tested, *named), left_out=0, lists=tuple(scratch.live.lists.values()), marks=marks
    )


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
    return replace(trial, live=live, money=name)


def _free_name(taken: set[str] | Mapping[str, object]) -> str:
    name = _MONEY
    while name in taken:
        name += "_"
    return name
