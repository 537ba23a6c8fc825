"""One record of the control topic, read: who asks for what. Whether it can be applied is for the live set to say."""

from collections.abc import Callable, Mapping
from typing import cast

import msgspec

from control_stream.limits import ControlLimits
from control_stream.model_changes import ModelPut, ModelRetire, SetModelMode, model_mode, model_put, model_retire
from control_stream.reading import Fields
from control_stream.refusal import Refusal, Refused
from mitra.errors import Problem
from rules.outcomes import ListDeclaration, ListKind
from rules.problems import closest
from rules.rule import MODES, Mode, Rule, Wrong, found, read_percent, read_rule
from rules.sequences.reading import read_sequence

ID_CHARACTERS = 128
_AUTHOR_CHARACTERS = 200
_NAME_CHARACTERS = 64
_REASON_CHARACTERS = 2_000
_REVISIONS = 1 << 53  # what JSON's readers keep exact


class Entry(msgspec.Struct, frozen=True):
    """An entity's key on a list, and when it ends."""

    key: str
    until_ms: int | None = None


class RulePut(msgspec.Struct, frozen=True):
    """A rule or sequence comes, or replaces the one with its id."""

    rule: Rule


class RuleMode(msgspec.Struct, frozen=True):
    """A rule or sequence goes live, into shadow or to rest; for all entities, or a part of them."""

    rule: str
    mode: Mode
    percent: float | None = None
    by: str | None = None


class RuleRetire(msgspec.Struct, frozen=True):
    """A rule or sequence goes."""

    rule: str


class ListPut(msgspec.Struct, frozen=True):
    """A list comes, or is declared anew; its entries stay."""

    declaration: ListDeclaration


class ListAdd(msgspec.Struct, frozen=True):
    """Entries come onto a list; one that is there gets the new end."""

    name: str
    entries: tuple[Entry, ...]


class ListRemove(msgspec.Struct, frozen=True):
    """Entries leave a list."""

    name: str
    keys: tuple[str, ...]


class Snooze(msgspec.Struct, frozen=True):
    """A rule isn't evaluated for one entity until a time; one that has passed ends the snooze."""

    rule: str
    by: str
    key: str
    until_ms: int


class FeaturePut(msgspec.Struct, frozen=True):
    """A feature comes, or replaces the one of its name."""

    name: str
    text: str


class FeatureRetire(msgspec.Struct, frozen=True):
    """A feature goes."""

    name: str


class Rollback(msgspec.Struct, frozen=True):
    """All that was live as of a revision comes back, as a new revision."""

    to: int


class TakeEffect(msgspec.Struct, frozen=True):
    """The time of a scheduled change has come: govern writes it, so that the log says when, and under which revision."""

    of: str


class TurnDown(msgspec.Struct, frozen=True):
    """A worker can't load what a change brings, and the record's `reason` says why: govern writes it."""

    of: str


Body = (
    RulePut | RuleMode | RuleRetire | ListPut | ListAdd | ListRemove | Snooze
    | FeaturePut | FeatureRetire | ModelPut | SetModelMode | ModelRetire | Rollback | TakeEffect | TurnDown
)  # fmt: skip


class Change(msgspec.Struct, frozen=True):
    """A change that reads well. `signed` is the record as it was parsed, without its `signatures`."""

    kind: str
    id: str
    author: str
    reason: str
    body: Body
    effective_at_ms: int | None = None
    signatures: tuple[tuple[str, str], ...] = ()
    signed: Mapping[str, object] = msgspec.field(default_factory=dict)


def read_change(data: bytes | None, limits: ControlLimits) -> Change | Refusal:
    """Return the change that a record holds, or why there is none; never raises, whatever the bytes."""
    if data is None:
        return Refusal("", "", "found a null value; allowed: a change as a JSON object")
    if len(data) > limits.change_bytes:
        return Refusal("", "", f"found {len(data)} bytes; allowed: at most {limits.change_bytes}", "split the change")
    try:
        value = _decode(data)
    except RecursionError:
        return Refusal("", "", "cannot be read as JSON: nested too deep")
    except (msgspec.DecodeError, ValueError) as error:  # ValueError: integers of thousands of digits, broken UTF-8
        return Refusal("", "", f"cannot be read as JSON: {error}")
    if not isinstance(value, dict):
        return Refusal("", "", f"found {found(value)}; allowed: a change as a JSON object")
    problems: list[Problem] = []
    change = _read(Fields(value, "", problems), value, limits)
    if change is None or problems:
        refused = Refused.of(problems)
        given = value.get("id")
        id_ = given if isinstance(given, str) and len(given) <= ID_CHARACTERS else ""
        return Refusal(id_, refused.place, refused.reason, refused.hint)
    return change


def _read(fields: Fields, value: Mapping[str, object], limits: ControlLimits) -> Change | None:
    kind = fields.raw("change")
    id_ = fields.text("id", most=ID_CHARACTERS)
    author = fields.text("author", most=_AUTHOR_CHARACTERS)
    if not isinstance(kind, str) or kind not in _BODIES:
        fields.wrong("change", ", ".join(CHANGES), closest(kind, CHANGES) if isinstance(kind, str) else "")
        return None
    # A list's reason is what a hit on it says; every other change says by `reason` why it is made.
    reason = fields.text("reason", most=_REASON_CHARACTERS, default="")
    effective_at_ms = fields.time("effective_at")
    signatures = _signatures(fields)
    body = _BODIES[kind](fields, limits)
    fields.close()
    if body is None:
        return None
    signed = {key: item for key, item in value.items() if key != "signatures"}
    return Change(kind, id_, author, reason, body, effective_at_ms, signatures, signed)


def _signatures(fields: Fields) -> tuple[tuple[str, str], ...]:
    if not fields.has("signatures"):
        return ()
    signatures = []
    for place, item in enumerate(fields.items("signatures", most=8, what="signatures")):
        path = f"{fields.at('signatures')}[{place}]"
        inner = _fields(item, path, fields.problems)
        if inner is not None:
            signatures.append((inner.text("key", most=64), inner.text("signature", most=256)))
            inner.close()
    return tuple(signatures)


def _fields(value: object, path: str, problems: list[Problem]) -> Fields | None:
    if isinstance(value, dict):
        return Fields(value, path, problems)
    problems.append(Problem(path, f"found {found(value)}; allowed: an object"))
    return None


def _rule_put(fields: Fields, limits: ControlLimits) -> Body | None:
    del limits
    rule, problems = read_rule(fields.raw("rule"), "rule")
    fields.problems += problems
    return None if rule is None else RulePut(rule)


def _sequence_put(fields: Fields, limits: ControlLimits) -> Body | None:
    del limits
    rule, problems = read_sequence(fields.raw("sequence"), "sequence")
    fields.problems += problems
    return None if rule is None else RulePut(rule)


def _rule_mode(fields: Fields, limits: ControlLimits) -> Body:
    return _mode(fields, "rule", limits)


def _sequence_mode(fields: Fields, limits: ControlLimits) -> Body:
    return _mode(fields, "sequence", limits)


def _mode(fields: Fields, what: str, limits: ControlLimits) -> Body:
    del limits
    rule, mode = fields.name(what), cast(Mode, fields.choice("mode", MODES))
    percent, by = None, fields.name("by") if fields.has("by") else None
    if fields.has("percent"):
        try:
            percent = read_percent(fields.raw("percent"))
        except Wrong as wrong:
            fields.wrong("percent", wrong.allowed, wrong.hint)
    elif by is not None:
        fields.problems.append(Problem("by", "says nothing without percent", "add percent, or leave by out"))
    return RuleMode(rule, mode, percent, by)


def _rule_retire(fields: Fields, limits: ControlLimits) -> Body:
    del limits
    return RuleRetire(fields.name("rule"))


def _sequence_retire(fields: Fields, limits: ControlLimits) -> Body:
    del limits
    return RuleRetire(fields.name("sequence"))


def _list_put(fields: Fields, limits: ControlLimits) -> Body:
    del limits
    name, by = fields.name("name"), fields.name("by")
    kind = cast(ListKind, fields.choice("kind", ("block", "allow", "watch")))
    immutable = fields.boolean("immutable")
    if immutable and kind != "block":
        fields.wrong("immutable", "false, but on a block list", "leave it out, or make it a block list")
    reason = fields.text("reason", most=_REASON_CHARACTERS, default="")
    return ListPut(ListDeclaration(name=name, kind=kind, by=by, immutable=immutable, reason=reason))


def _list_add(fields: Fields, limits: ControlLimits) -> Body:
    entries = []
    for place, item in enumerate(fields.items("entries", most=limits.entries, what="entries")):
        inner = _fields(item, f"entries[{place}]", fields.problems)
        if inner is not None:
            entries.append(Entry(inner.text("key", most=limits.key_characters), inner.time("until")))
            inner.close()
    return ListAdd(fields.name("name"), tuple(entries))


def _list_remove(fields: Fields, limits: ControlLimits) -> Body:
    keys = []
    for place, key in enumerate(fields.items("keys", most=limits.entries, what="keys")):
        if isinstance(key, str) and key.strip() and len(key) <= limits.key_characters:
            keys.append(key)
        else:
            allowed = f"a text of at most {limits.key_characters} characters"
            fields.problems.append(Problem(f"keys[{place}]", f"found {found(key)}; allowed: {allowed}"))
    return ListRemove(fields.name("name"), tuple(keys))


def _snooze(fields: Fields, limits: ControlLimits) -> Body:
    rule, by = fields.name("rule"), fields.name("by")
    key, until_ms = fields.text("key", most=limits.key_characters), fields.time("until", required=True)
    return Snooze(rule, by, key, until_ms or 0)


def _feature_put(fields: Fields, limits: ControlLimits) -> Body:
    return FeaturePut(_feature(fields), fields.text("text", most=limits.change_bytes))


def _feature_retire(fields: Fields, limits: ControlLimits) -> Body:
    del limits
    return FeatureRetire(_feature(fields))


def _feature(fields: Fields) -> str:
    value = fields.raw("name")
    if isinstance(value, str) and value.isidentifier() and len(value) <= _NAME_CHARACTERS:
        return value
    fields.wrong("name", f"a letter or _, then letters, digits and _, at most {_NAME_CHARACTERS}")
    return ""


def _rollback(fields: Fields, limits: ControlLimits) -> Body:
    del limits
    to = fields.raw("to")
    if isinstance(to, int) and not isinstance(to, bool) and 0 <= to < _REVISIONS:
        return Rollback(to)
    fields.wrong("to", "a revision: 0, 1, 2, …")
    return Rollback(0)


def _take_effect(fields: Fields, limits: ControlLimits) -> Body:
    del limits
    return TakeEffect(fields.text("of", most=ID_CHARACTERS))


def _turn_down(fields: Fields, limits: ControlLimits) -> Body:
    del limits
    return TurnDown(fields.text("of", most=ID_CHARACTERS))


_BODIES: Mapping[str, Callable[[Fields, ControlLimits], Body | None]] = {
    "rule.put": _rule_put,
    "rule.mode": _rule_mode,
    "rule.retire": _rule_retire,
    "sequence.put": _sequence_put,
    "sequence.mode": _sequence_mode,
    "sequence.retire": _sequence_retire,
    "list.put": _list_put,
    "list.add": _list_add,
    "list.remove": _list_remove,
    "snooze": _snooze,
    "feature.put": _feature_put,
    "feature.retire": _feature_retire,
    "model.put": model_put,
    "model.mode": model_mode,
    "model.retire": model_retire,
    "rollback": _rollback,
    "take_effect": _take_effect,
    "turn_down": _turn_down,
}
CHANGES = tuple(kind for kind in _BODIES if kind not in {"take_effect", "turn_down"})
"""The kinds of changes that people make."""

_decode = msgspec.json.Decoder().decode
