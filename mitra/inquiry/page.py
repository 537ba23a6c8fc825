"""The page on one decision: all that is known of it, put together for people and for programs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mitra.control.replay import Entry
from mitra.inquiry.decided_by import LIST, decided_by
from mitra.inquiry.found import Found, keys_of
from mitra.inquiry.known import Known, known_values
from mitra.inquiry.made import Made
from mitra.inquiry.scoring import Scoring
from mitra.inquiry.usual import Usual, usual
from mitra.inquiry.verdicts import Payment, Verdict, verdict
from mitra.pipeline import Pipeline
from mitra.revision import Revision
from rules import Signal
from rules.plan import Value, ValueType
from rules.rule_check import compile_rules, entity_of

if TYPE_CHECKING:
    from rules import CompiledFeatures


@dataclass(frozen=True, slots=True)
class Seen:
    """A field or feature of the payment. `known`: whether its value is; `usual`: what its entity's earlier payments had."""

    name: str
    type: ValueType
    known: bool
    value: Value
    usual: Usual | None


@dataclass(frozen=True, slots=True)
class ListHit:
    """A list that holds one of the payment's entities; `entries` are those entities, as far as they are known."""

    name: str
    outcome: str
    reason: str
    entries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleSaid:
    """A rule's verdict, and the change that made the rule what it was."""

    verdict: Verdict
    maker: Entry | None


@dataclass(frozen=True, slots=True)
class Page:
    """All that is told of one decision. `made` is None where nothing is known of the rules that were live."""

    found: Found
    decided_by: tuple[str, ...]
    scoring: Scoring
    made: Made | None
    lists: tuple[ListHit, ...]
    rules: tuple[RuleSaid, ...]
    fields: tuple[Seen, ...]
    features: tuple[Seen, ...]
    notes: tuple[str, ...]

    def with_note(self, note: str) -> "Page":
        """Return the page with one more note, itself where there is none."""
        return replace(self, notes=(*self.notes, note)) if note else self


def compiled_under(pipeline: Pipeline, made: Made | None) -> tuple[Revision, "CompiledFeatures"]:
    """Return a revision over the pipeline as it is now, and its features."""
    from mitra.blueprint import Blueprint  # noqa: PLC0415 - the compiler is loaded when needed

    revision = Revision(Blueprint(pipeline), 0, None if made is None else made.live)
    return revision, revision.compiled


def make_page(pipeline: Pipeline, found: Found, made: Made | None, scoring: Scoring) -> Page:
    """Put a decision together with what was live, what the model makes of it, and what is usual."""
    decision, event = found.decision, found.event
    revision, compiled = compiled_under(pipeline, made)
    time_ms = decision["event_time"]
    keys = None if event is None else keys_of(pipeline, event)
    known = known_of(pipeline, compiled, found)
    notes = [*found.notes, *scoring.notes]
    rules: tuple[RuleSaid, ...] = ()
    marks = _marks(made, keys, time_ms)
    if made is not None:
        rules = _rules(revision, made, decision, Payment(time_ms, keys, {one[0] for one in marks}, known))
        notes += [made.note] * bool(made.note) + [f"{one} no longer fits the pipeline file" for one in revision.unfit]
    hits = [one for one in decision["rules"] if one["id"].startswith(LIST)]
    lists = tuple(
        ListHit(
            hit["id"].removeprefix(LIST),
            hit.get("outcome", ""),
            hit.get("reason", ""),
            tuple(f"{entity} {key}" for mark, entity, key in marks if mark == hit["id"]),
        )
        for hit in hits
    )
    by = _decided_by(decision, made, scoring.outcome)
    fields = _fields(pipeline, found, known)
    return Page(found, by, scoring, made, lists, rules, fields, _features(compiled, found, known), tuple(notes))


def known_of(pipeline: Pipeline, compiled: "CompiledFeatures", found: Found) -> Known:
    """Return the values that a decision and its payment show."""
    values = None if found.event is None else found.event.values
    features = found.decision.get("features")
    return known_values(compiled, pipeline.decided, values, features, found.decision["event_time"])


def _rules(revision: Revision, made: Made, decision: Mapping[str, Any], payment: Payment) -> tuple[RuleSaid, ...]:
    schema = revision.blueprint.schema
    _ = revision.rules  # it tells which rules don't fit
    fitting = [one for name, one in made.live.rules.items() if f"rule {name}" not in revision.unfit]
    codes = compile_rules(fitting, revision.compiled.texts, schema)
    return tuple(
        RuleSaid(verdict(rule, code, entity_of(rule, schema) or "", decision, payment), made.maker_of(rule.id))
        for rule, code in codes
    )


def _marks(made: Made | None, keys: Mapping[str, str] | None, time_ms: int) -> list[tuple[str, str, str]]:
    """Return who of the payment's entities is on a list or snoozed: name of the mark, entity, key."""
    if made is None or keys is None:
        return []
    return [one.place for one in made.marks if keys.get(one.entity) == one.key and one.holds(made.revision, time_ms)]


def _decided_by(decision: Mapping[str, Any], made: Made | None, model: int | None) -> tuple[str, ...]:
    """Return who can have decided; a replay's table has its rules' ids alone, and what isn't known of one says nothing."""
    live = {} if made is None else made.live.rules
    rules = []
    for one in decision["rules"]:
        if "outcome" not in one and one["id"] not in live:
            return ()
        rules.append(one if "outcome" in one else {**one, "outcome": live[one["id"]].outcome})
    return tuple(decided_by({**decision, "rules": rules}, {} if made is None else made.live.lists, model))


def _fields(pipeline: Pipeline, found: Found, known: Known) -> tuple[Seen, ...]:
    event = pipeline.decided
    elsewhere: frozenset[str] = frozenset()
    if found.event is not None:
        elsewhere = frozenset(event.by_name) - pipeline.type_of(found.event.values).own_names
    earlier = () if found.others is None else found.others.payments
    seen = []
    for place, field in enumerate(event.fields):
        signal = Signal("field", field.name)
        if field.name in {event.id, event.time} or signal not in known or field.name in elsewhere:
            continue
        before = usual([one.event.values[place] for one in earlier])
        seen.append(Seen(field.name, field.type, known=True, value=known[signal], usual=before))
    return tuple(seen)


def _features(compiled: "CompiledFeatures", found: Found, known: Known) -> tuple[Seen, ...]:
    earlier = () if found.others is None else found.others.payments
    seen = []
    for name in compiled.names:
        signal = Signal("feature", name)
        before = usual([one.features[name] for one in earlier if one.features is not None and name in one.features])
        seen.append(Seen(name, compiled.types[name], signal in known, known.get(signal), before))
    return tuple(seen)
