"""Rules against a naive judge: one rule after the other, each expression walked by the oracle; and input that is no rule."""

import json
import math
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mitra.document import read_document
from mitra.errors import ProblemsError
from rules import (
    OUTCOMES,
    ExpressionProblem,
    Judgement,
    ListDeclaration,
    Rule,
    RuleSet,
    Signal,
    check_expressions,
    check_rules,
    read_rule,
    read_rule_file,
    rule_mapping,
)
from rules.lacking import Lacking
from rules.rollout import slot_of
from tests.oracles.expressions import Tree, World, text, value
from tests.property.test_expressions import KEYS, SCHEMAS, distances_agree, feature_sets, trees, walk, worlds

SCHEMA = SCHEMAS["UTC"]
IDS = ("a", "b", "big-night", "C_1", "x" * 64)
LISTS = (
    ListDeclaration(name="stolen", kind="block", by="customer", reason="stolen"),
    ListDeclaration(name="sanctions", kind="block", by="customer", immutable=True),
    ListDeclaration(name="friends", kind="allow", by="terminal"),
    ListDeclaration(name="odd", kind="watch", by="customer"),
)
MARKS = (*(one.mark for one in LISTS), *(f"snooze:{id}" for id in IDS), "list:gone", "snooze:gone")
times = st.none() | st.integers(0, 10**13)
agreeing = trees("boolean", 3, {}).filter(distances_agree)


@st.composite
def rules(draw: st.DrawFn, id: str, conditions: dict[str, Tree], features: tuple[str, ...]) -> Rule:
    """Draw a rule, and note its condition's tree under its id."""
    kinds = dict.fromkeys(features, "boolean")
    some = trees("boolean", draw(st.integers(0, 3)), kinds).filter(distances_agree)
    conditions[id] = draw(some | st.just(Tree("literal", "boolean", (), detail=True)))
    percent = draw(st.none() | st.integers(1, 10_000))
    reasons = ("", "text", "{amount} {{}} {country}", "{amount / items}", *(f"{{{name}}}!" for name in features))
    return Rule(
        id=id,
        version=draw(st.integers(1, 9)),
        when=text(conditions[id]),
        outcome=draw(st.sampled_from(OUTCOMES)),
        reason=draw(st.sampled_from(reasons)),
        mode=draw(st.sampled_from(["live", "live", "shadow", "paused"])),
        percent=None if percent is None else percent / 100,
        by=draw(st.sampled_from([None, "customer", "terminal"])) if percent is not None else None,
        from_ms=draw(times),
        until_ms=draw(times),
    )


def applies(rule: Rule, time_ms: int, keys: dict[str, str], marks: frozenset[str]) -> bool:
    if rule.mode == "paused" or f"snooze:{rule.id}" in marks:
        return False
    if rule.from_ms is not None and time_ms < rule.from_ms:
        return False
    if rule.until_ms is not None and time_ms >= rule.until_ms:
        return False
    if rule.percent is None:
        return True
    key = keys.get(rule.by or "customer")
    return key is not None and slot_of(rule.id, key) < rule.percent * 100 - 0.5


def check(judged: Judgement, drawn: list[Rule], trees_: dict[str, Tree], world: World, keys: Any, marks: Any) -> None:
    """Compare a judgement with what each rule says by itself."""
    said = {rule.id: value(trees_[rule.id], world) for rule in drawn if applies(rule, world.time_ms, keys, marks)}
    by_id = {rule.id: rule for rule in drawn}
    true = sorted(id for id, one in said.items() if one is True)
    on = sorted(one.mark for one in LISTS if one.mark in marks)
    live = [id for id in true if by_id[id].mode == "live"]
    assert [one["id"] for one in judged.fired] == on + live
    assert [one["id"] for one in judged.shadow] == [id for id in true if by_id[id].mode == "shadow"]
    for one in judged.fired[len(on) :] + judged.shadow:
        rule = by_id[one["id"]]
        assert (one["version"], one["outcome"]) == (rule.version, rule.outcome)
        assert bool(one["reason"]) == bool(rule.reason)
    assert sorted(judged.not_evaluated) == sorted(id for id, one in said.items() if one is None)
    assert all(judged.not_evaluated.values())
    assert judged.outcome == max((OUTCOMES.index(by_id[id].outcome) for id in live), default=None)
    assert [one.mark for one in judged.lists] == on


def known_values(world: World, features: dict[str, Tree]) -> dict[Signal, Any]:
    known: dict[Signal, Any] = {Signal("field", name): one for name, one in world.names.items()}
    known |= {Signal("aggregate", key): world.aggregates[one] for one, key in KEYS.items()}
    return known | {Signal("feature", name): value(tree, world) for name, tree in features.items()}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_rule_set_judges_as_each_rule_by_itself(data: st.DataObject):
    features = {f"f{number}": data.draw(agreeing) for number in range(data.draw(st.integers(0, 2)))}
    feature_texts = {name: text(tree) for name, tree in features.items()}
    conditions: dict[str, Tree] = {}
    ids = data.draw(st.lists(st.sampled_from(IDS), unique=True))
    drawn = [data.draw(rules(id, conditions, tuple(features))) for id in ids]
    made = RuleSet.compile(drawn, feature_texts, SCHEMA, LISTS)
    shuffled = RuleSet.compile(data.draw(st.permutations(drawn)), feature_texts, SCHEMA, LISTS[::-1])
    for _ in range(4):
        plain = data.draw(worlds("UTC"))
        world = World(plain.names, plain.aggregates, plain.time_ms, "UTC", features)
        keys = data.draw(st.dictionaries(st.sampled_from(["customer", "terminal"]), st.sampled_from(["k1", "k2", ""])))
        marks = data.draw(st.frozensets(st.sampled_from(MARKS), max_size=4))
        known = known_values(world, features)
        judged = made.judge([known[signal] for signal in made.signals], world.time_ms, keys, marks)
        check(judged, drawn, conditions, world, keys, marks)
        as_numbers = [float(one) if isinstance(one, bool) else one for one in map(known.get, shuffled.signals)]
        assert shuffled.judge(as_numbers, world.time_ms, keys, marks) == judged


@settings(max_examples=150, deadline=None)
@given(st.data(), feature_sets())
def test_what_a_rule_lacks_is_what_its_expression_says_it_lacks(data: st.DataObject, drawn: dict[str, Tree]):
    tree = data.draw(trees("boolean", 4, {name: one.type for name, one in drawn.items()}))
    if any(part.kind == "feature" and part.detail not in drawn for one in drawn.values() for part in walk(one)):
        return
    texts = {name: text(one) for name, one in drawn.items()}
    types = {name: one.type for name, one in check_expressions(texts, SCHEMA, "features").items()}
    expression = check_expressions({"rule_": text(tree)}, SCHEMA, "rules", types)["rule_"]
    lacking = Lacking(expression)
    for _ in range(8):
        plain = data.draw(worlds("UTC"))
        world = World(plain.names, plain.aggregates, plain.time_ms, "UTC", drawn)
        known = known_values(world, drawn)
        expected = expression.missing(known, world.time_ms)
        if expected:
            read = [known[signal] for signal in expression.signals]
            assert tuple(lacking.names(read, known, world.time_ms)) == expected


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_rule_written_is_read_back(data: st.DataObject):
    begin = data.draw(st.none() | st.integers(0, 7_000_000_000_000))
    percent = data.draw(st.none() | st.integers(1, 10_000))
    plain = st.text(min_size=1, max_size=20).filter(str.strip)
    rule = Rule(
        id=data.draw(st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)),
        when=data.draw(plain),
        outcome=data.draw(st.sampled_from(OUTCOMES)),
        reason=data.draw(st.just("") | plain),
        mode=data.draw(st.sampled_from(["live", "shadow", "paused"])),
        percent=None if percent is None else percent / 100,
        by=None if percent is None else data.draw(st.none() | plain),
        from_ms=begin,
        until_ms=data.draw(st.none() | st.integers((begin or 0) + 1, 7_258_118_400_000)),
        tags=tuple(data.draw(st.lists(plain, max_size=3))),
    )
    through_json = json.loads(json.dumps(rule_mapping(rule)))
    assert read_rule(through_json, "rule") == (rule, [])


JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["live", "allow", "5%", "amount > 1", 10**400, math.nan, b"x", "\ud800", "2026-01-01T00:00:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3),
    max_leaves=6,
)
KEYS_OF_RULES = st.sampled_from("id when outcome reason mode percent by from until tags version examples fires".split())


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(KEYS_OF_RULES | st.text(max_size=5), JUNK) | JUNK)
def test_whatever_is_read_as_a_rule_is_one_or_is_refused(junk: Any):
    rule, problems = read_rule(junk, "rule")
    assert (rule is None) == bool(problems)
    assert all(problem.render().encode() for problem in problems)
    if rule is not None:
        assert read_rule(rule_mapping(rule), "") == (rule, [])


@settings(max_examples=500, deadline=None)
@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["{", "}", "{{", "'", '"', "amount", " ", "\n", "Ω", "\\", "1", ":"])).map("".join)
)
@example("{'\\")
@example("{amount\r\n}")
def test_any_reason_is_a_template_or_is_refused_at_a_place_in_it(reason: str):
    rule = Rule(id="r", when="True", outcome="review", reason=reason)
    try:
        made = RuleSet.compile([rule], {}, SCHEMA)
    except ProblemsError as error:
        lines = reason.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for problem in error.problems:
            assert isinstance(problem, ExpressionProblem)
            assert problem.render()
            assert 1 <= problem.span.line <= len(lines)
            assert 1 <= problem.span.column <= len(lines[problem.span.line - 1]) + 1
    else:
        (fired,) = made.judge([None] * len(made.signals), 0, {}).fired
        assert "{" in reason or fired["reason"] == reason.replace("}}", "}").replace("\r\n", "\n").replace("\r", "\n")


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=60)
    | JUNK.map(lambda junk: json.dumps(junk, default=str))
    | st.lists(st.dictionaries(KEYS_OF_RULES, JUNK), max_size=3).map(lambda junk: json.dumps(junk, default=str))
)
def test_any_file_holds_rules_or_is_refused(content: str):
    said = ""
    try:
        found = read_rule_file(read_document(content), "file")
        check_rules({one.rule.id: one.rule for one in found}, {}, SCHEMA)
    except ProblemsError as error:
        said = str(error)
    assert bool(said) or found
    assert said.encode() is not None


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_was_compiled_before_changes_nothing(data: st.DataObject):
    """A name changes its type, appears and goes; a set is judged as if it were the first."""
    rule = Rule(id="r", when=data.draw(st.sampled_from(["f0", "f0 == 1", 'f0 == "DE"', "not f0"])), outcome="block")
    texts = {"number": "items", "boolean": "online", "string": "country"}
    for kind in data.draw(st.lists(st.sampled_from([*texts, "none"]), max_size=6)):
        features = {"f0": texts[kind]} if kind != "none" else {}
        fits = {"f0": "boolean", "not f0": "boolean", "f0 == 1": "number"}.get(rule.when, "string") == kind
        try:
            RuleSet.compile([rule], features, SCHEMA)
        except ProblemsError:
            assert not fits
        else:
            assert fits


JUNK_VALUES = st.sampled_from(
    [None, True, 1.0, 10**400, -(10**18), math.nan, math.inf, -math.inf, "", "a lot", "\ud800", 5]
)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_values_of_the_wrong_type_stop_nothing(data: st.DataObject):
    conditions: dict[str, Tree] = {}
    drawn = [data.draw(rules(id, conditions, ())) for id in IDS]
    made = RuleSet.compile([*drawn, Rule(id="good", when="True", outcome="allow")], {}, SCHEMA)
    values = [data.draw(JUNK_VALUES) for _ in made.signals]
    judged = made.judge(values, data.draw(st.integers(0, 10**13)), {"customer": "c"})
    assert "good" in [one["id"] for one in judged.fired]
