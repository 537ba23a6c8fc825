"""What is live: rules, features put at run time, declarations of lists, models. Entries of lists and snoozes lie with the histories.

A live set is never changed; a change makes another. Its bytes, and those of the difference of two, are state and messages:
a version byte, then MessagePack.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from control_stream import live_models
from control_stream.budget import require_budget
from control_stream.changes import (
    Change,
    FeaturePut,
    FeatureRetire,
    ListAdd,
    ListPut,
    ListRemove,
    RuleMode,
    RulePut,
    RuleRetire,
    Snooze,
)
from control_stream.limits import ControlLimits
from control_stream.live_models import LiveModel
from control_stream.model_changes import Artefact, ModelPut, ModelRetire, SetModelMode
from control_stream.refusal import Refused
from mitra.errors import MitraError, ProblemsError
from rules import Expression, ExpressionSchema, check_expressions
from rules.outcomes import ListDeclaration
from rules.problems import closest
from rules.rule import Rule
from rules.rule_check import check_rules, compile_rules

T = TypeVar("T")


@dataclass(frozen=True)
class Context:
    """What changes are checked against: the schema, the pipeline's own features by name, the limits, and who may make them.

    `authorize` raises Refused for a change, on what is live and at its revision, that its signatures don't allow; None asks
    for no signatures.
    """

    schema: ExpressionSchema
    features: Mapping[str, str]
    limits: ControlLimits = field(default_factory=ControlLimits)
    budget_us: int | None = None
    """Microseconds of each transaction that rules may take by estimate; None doesn't ask."""
    authorize: "Callable[[Change, LiveSet, int], None] | None" = None
    scores: frozenset[str] = frozenset()
    """The names of the pipeline's micro models, whose scores models may read like features."""


class Delta(msgspec.Struct, array_like=True, frozen=True):
    """What tells one live set from another, by name; None is gone. `versions` only ever grow."""

    rules: dict[str, Rule | None] = {}
    features: dict[str, str | None] = {}
    lists: dict[str, ListDeclaration | None] = {}
    versions: dict[str, int] = {}
    models: dict[str, LiveModel | None] = {}

    @classmethod
    def between(cls, old: "LiveSet", new: "LiveSet") -> "Delta":
        """Return what makes `new` out of `old`."""
        return cls(
            _difference(old.rules, new.rules),
            _difference(old.features, new.features),
            _difference(old.lists, new.lists),
            {name: version for name, version in new.versions.items() if old.versions.get(name) != version},
            _difference(old.models, new.models),
        )

    def encode(self) -> bytes:
        """Return its bytes."""
        return _HEAD + _encode(self)

    @classmethod
    def decode(cls, data: bytes) -> "Delta":
        """Read one back. Raises UnknownLiveSetError for a version that this release doesn't know."""
        return _delta_decoder.decode(_rest(data))


class LiveSet(msgspec.Struct, array_like=True, frozen=True):
    """Rules and sequences by id, features and lists by name, models by name@version.

    `versions` has the last version of every rule there ever was.
    """

    rules: dict[str, Rule] = {}
    features: dict[str, str] = {}
    lists: dict[str, ListDeclaration] = {}
    versions: dict[str, int] = {}
    models: dict[str, LiveModel] = {}

    def apply(self, change: Change, context: Context) -> "LiveSet":
        """Return the set with a change made. Raises Refused where it can't be.

        Of changes of entries it only says whether they can be made. A rollback and the time of a scheduled change need
        the log: they are for govern.
        """
        after = self._applied(change, context)
        require_budget(_COSTLY.get(change.kind, ""), self, after, context)
        return after

    def _applied(self, change: Change, context: Context) -> "LiveSet":
        self._require_kind(change)
        match change.body:
            case RulePut(rule):
                return self._with_rule(rule, context)
            case RuleMode(name, mode, percent, by):
                old = self._rule(name, change.kind)
                entity = by or (old.by if percent is not None else None)
                if old.pattern is not None:
                    _own_entity(by, old.pattern.by)
                    entity = None
                rule = msgspec.structs.replace(old, mode=mode, percent=percent, by=entity)
                check({name: rule}, self.all_features(context), context)
                return self._replaced(rules={**self.rules, name: rule})
            case RuleRetire(name):
                self._rule(name, change.kind)
                return self._replaced(rules=_without(self.rules, name))
            case ListPut(declaration):
                return self._with_list(declaration, context)
            case ListAdd(name) | ListRemove(name):
                if name not in self.lists:
                    raise Refused("name", f'there is no list "{name}"', _declare(name, self.lists))
                return self
            case Snooze(name, by):
                self._rule(name, change.kind)
                _entity("by", by, context)
                return self
            case FeaturePut(name, text):
                return self._with_feature(name, text, context)
            case FeatureRetire(name):
                return self._without_feature(name, context)
            case ModelPut(artefact):
                return self._with_model(artefact, context)
            case SetModelMode() as body:
                if body.by is not None:
                    _entity("by", body.by, context)
                return self._replaced(models=live_models.set_mode(self.models, body, _first_entity(context)))
            case ModelRetire(reference):
                return self._replaced(models=live_models.retire(self.models, reference))
            case _:
                msg = f"{change.kind} is applied by govern, which has the log"
                raise TypeError(msg)

    def check(self, context: Context) -> None:
        """Check everything that is live against a pipeline. Raises Refused where it doesn't fit."""
        for name in self.features:
            _free(name, context)
        for declaration in self.lists.values():
            _entity(f"lists.{declaration.name}.by", declaration.by, context)
        check(self.rules, self.all_features(context), context)
        if self.models:
            expressions = _check_features(self.all_features(context), context)
            live_models.check_inputs(
                (one.artefact for one in self.models.values()), expressions, "models", context.scores
            )

    def all_features(self, context: Context) -> dict[str, str]:
        """Return the texts of the pipeline's features and of those put at run time."""
        return {**context.features, **self.features}

    def patched(self, delta: Delta) -> "LiveSet":
        """Return the set that a difference makes of this one."""
        return LiveSet(
            _patch(self.rules, delta.rules),
            _patch(self.features, delta.features),
            _patch(self.lists, delta.lists),
            {**self.versions, **delta.versions},
            _patch(self.models, delta.models),
        )

    def encode(self) -> bytes:
        """Return its bytes."""
        return _HEAD + _encode(self)

    @classmethod
    def decode(cls, data: bytes) -> "LiveSet":
        """Read one back. Raises UnknownLiveSetError for a version that this release doesn't know."""
        return _live_set_decoder.decode(_rest(data))

    def _replaced(self, **parts: Any) -> "LiveSet":
        return msgspec.structs.replace(self, **parts)

    def _rule(self, name: str, kind: str) -> Rule:
        found = self.rules.get(name)
        if found is None:
            what = "sequence" if kind.startswith(_SEQUENCE) else "rule"
            known = [one.id for one in self.rules.values() if what == "rule" or one.pattern is not None]
            raise Refused(what, f'there is no {what} "{name}"', closest(name, known) or _have(f"{what}s", known))
        return found

    def _require_kind(self, change: Change) -> None:
        """Raise Refused where a change of rules speaks of a sequence, or the other way round: they share their ids."""
        match change.body:
            case RulePut(rule):
                found, wanted = self.rules.get(rule.id), rule.pattern is not None
            case RuleMode(name) | RuleRetire(name):
                found, wanted = self.rules.get(name), change.kind.startswith(_SEQUENCE)
            case _:
                return
        if found is not None and (found.pattern is not None) != wanted:
            here, other = ("sequence", "rule") if wanted else ("rule", "sequence")
            place = f"{here}.id" if isinstance(change.body, RulePut) else here
            hint = f"{other}.{change.kind.partition('.')[2]} changes it"
            if isinstance(change.body, RulePut):
                hint = f"give the {here} another id, or retire the {other} first"
            raise Refused(place, f'"{found.id}" is a {other}', hint)

    def _with_rule(self, rule: Rule, context: Context) -> "LiveSet":
        old = self.rules.get(rule.id)
        if old is None:
            _room("rule.id" if rule.pattern is None else "sequence.id", "rules", self.rules, context.limits.rules)
        check({rule.id: rule}, self.all_features(context), context)
        # The same rule again is the same version: what was exported can be pushed back.
        if old is not None and msgspec.structs.replace(rule, version=old.version) == old:
            return self
        version = self.versions.get(rule.id, 0) + 1
        rules = {**self.rules, rule.id: msgspec.structs.replace(rule, version=version)}
        return self._replaced(rules=rules, versions={**self.versions, rule.id: version})

    def _with_list(self, declaration: ListDeclaration, context: Context) -> "LiveSet":
        old = self.lists.get(declaration.name)
        if old is None:
            _room("name", "lists", self.lists, context.limits.lists)
        elif old.by != declaration.by:
            hint = f'leave by: "{old.by}", or give the list another name'
            raise Refused("by", f'the list "{old.name}" is of {old.by}: its entries are keys of that', hint)
        _entity("by", declaration.by, context)
        return self._replaced(lists={**self.lists, declaration.name: declaration})

    def _with_model(self, artefact: Artefact, context: Context) -> "LiveSet":
        live_models.check_inputs(
            [artefact], _check_features(self.all_features(context), context), "features", context.scores
        )
        return self._replaced(models=live_models.put(self.models, artefact, context.limits.models))

    def _with_feature(self, name: str, text: str, context: Context) -> "LiveSet":
        _free(name, context)
        if name not in self.features:
            _room("name", "features", self.features, context.limits.features)
        after = {**self.all_features(context), name: text}
        expressions = _check_features(after, context)
        check(self.rules, after, context)  # its type may be another than before
        live_models.check_inputs((one.artefact for one in self.models.values()), expressions, "text", context.scores)
        return self._replaced(features={**self.features, name: text})

    def _without_feature(self, name: str, context: Context) -> "LiveSet":
        if name in context.features:
            raise Refused(
                "name", f'"{name}" is a feature of the pipeline', "it goes with a change of the pipeline file"
            )
        if name not in self.features:
            hint = closest(name, self.features) or _have("features put at run time", self.features)
            raise Refused("name", f'there is no feature "{name}"', hint)
        features = self.all_features(context)
        users = [
            f"feature {one}" for one, found in _check_features(features, context).items() if name in found.features
        ]
        for rule, code in compile_rules(self.rules.values(), features, context.schema):
            if any(name in one.features for one in code.expressions):
                users.append(f"rule {rule.id}")
        users += live_models.readers(self.models, name)
        if users:
            reason = f'"{name}" is still read by {", ".join(users[:20])}{", …" if len(users) > 20 else ""}'
            raise Refused("name", reason, "retire or replace these first")
        return self._replaced(features=_without(self.features, name))


_SEQUENCE = "sequence."
_COSTLY = {
    "rule.put": "rule", "rule.mode": "mode", "sequence.put": "sequence", "sequence.mode": "mode", "feature.put": "text"
}  # fmt: skip
"""Where in a change stands what costs."""

LIVE_SET_VERSION = 1
_HEAD = bytes((LIVE_SET_VERSION,))
_encode = msgspec.msgpack.Encoder().encode
_live_set_decoder = msgspec.msgpack.Decoder(LiveSet)
_delta_decoder = msgspec.msgpack.Decoder(Delta)


class UnknownLiveSetError(MitraError):
    """A live set, or the difference of two, has a version that this release doesn't read."""


def _rest(data: bytes) -> memoryview:
    if data[:1] != _HEAD:
        found = f"version={data[0]}" if data else "0 bytes"
        msg = f"a live set has {found}, this release reads {LIVE_SET_VERSION}; run the release that wrote it"
        raise UnknownLiveSetError(msg)
    return memoryview(data)[1:]


def check(rules: Mapping[str, Rule], features: Mapping[str, str], context: Context) -> None:
    """Check rules that may read these features. Raises Refused with all that is wrong."""
    try:
        check_rules(rules, features, context.schema)
    except ProblemsError as error:
        raise Refused.from_error(error) from None


def _check_features(features: Mapping[str, str], context: Context) -> dict[str, Expression]:
    try:
        return check_expressions(features, context.schema, "features")
    except ProblemsError as error:
        raise Refused.from_error(error) from None


def _free(name: str, context: Context) -> None:
    if name in context.features:
        hint = "give it another name; the pipeline's features change with its file"
        raise Refused("name", f'"{name}" is a feature of the pipeline', hint)
    if name in context.scores:
        raise Refused("name", f'"{name}" is a micro model of the pipeline', "give it another name")


def _usable_entities(context: Context) -> list[str]:
    decided = context.schema.decided
    return [one.name for one in context.schema.entities if set(one.fields) <= decided.by_name.keys()]


def _first_entity(context: Context) -> str:
    return next(iter(_usable_entities(context)), "")


def _entity(place: str, name: str, context: Context) -> None:
    decided, usable = context.schema.decided, _usable_entities(context)
    if name not in usable:
        what = (
            f"{decided.name} events have no entity" if name in context.schema.entity_by_name else "there is no entity"
        )
        raise Refused(place, f'{what} "{name}"', closest(name, usable) or _have("entities", usable))


def _own_entity(by: str | None, own: str) -> None:
    if by not in {None, own}:
        raise Refused(
            "by", f'a sequence of a {own} is looked for in its history, and "{by}" is another', "leave by out"
        )


def _room(place: str, what: str, live: Mapping[str, object], most: int) -> None:
    if len(live) >= most:
        raise Refused(place, f"{len(live)} {what} are live; allowed: at most {most}", "retire some that do nothing")


def _declare(name: str, lists: Mapping[str, object]) -> str:
    return closest(name, lists) or f'declare it first: {{"change": "list.put", "name": "{name}", …}}'


def _have(what: str, names: Mapping[str, object] | list[str]) -> str:
    listed = list(names)
    return (
        f"the {what} are {', '.join(listed[:10])}{', …' if len(listed) > 10 else ''}"
        if listed
        else f"there are no {what}"
    )


def _difference(old: Mapping[str, T], new: Mapping[str, T]) -> dict[str, T | None]:
    # What a change leaves alone is the same object: of thousands of rules hardly any need be compared.
    changed: dict[str, T | None] = {
        name: value for name, value in new.items() if (before := old.get(name)) is not value and before != value
    }
    changed.update(dict.fromkeys(name for name in old if name not in new))
    return changed


def _patch(old: Mapping[str, T], changed: Mapping[str, T | None]) -> dict[str, T]:
    patched = {name: value for name, value in old.items() if name not in changed or changed[name] is not None}
    patched.update((name, value) for name, value in changed.items() if value is not None)
    return patched


def _without(values: Mapping[str, T], name: str) -> dict[str, T]:
    return {key: value for key, value in values.items() if key != name}
