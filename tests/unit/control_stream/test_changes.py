"""Records of the control topic: each kind is read, everything else is refused with its place."""

import json
from typing import Any

import pytest

from control_stream.changes import (
    CHANGES,
    Change,
    Entry,
    FeaturePut,
    FeatureRetire,
    ListAdd,
    ListPut,
    ListRemove,
    Refusal,
    Rollback,
    RuleMode,
    RulePut,
    RuleRetire,
    Snooze,
    read_change,
)
from control_stream.limits import ControlLimits
from control_stream.model_changes import Artefact, ModelPut, ModelRetire, SetModelMode
from rules.outcomes import ListDeclaration
from rules.rule import Rule
from rules.sequences.pattern import Pattern, Step
from tests.factories.control import RULE, change, record, rule

UNTIL = {"until": "2026-05-01T12:00:00+02:00"}
UNTIL_MS = 1_777_629_600_000

MODEL = {
    "name": "fraud", "version": "2", "uri": "s3://models/fraud-2", "sha256": "ab" * 32, "features": ["amount", "count_1h"]
}  # fmt: skip

BODIES = [
    (
        "rule.put",
        {"rule": RULE},
        RulePut(Rule(id="big_at_night", when="big and hour(at) < 6", outcome="review", reason="{amount} at night")),
    ),
    ("rule.mode", {"rule": "big", "mode": "shadow"}, RuleMode("big", "shadow")),
    (
        "rule.mode",
        {"rule": "big", "mode": "live", "percent": 12.5, "by": "customer"},
        RuleMode("big", "live", 12.5, "customer"),
    ),
    ("rule.retire", {"rule": "big"}, RuleRetire("big")),
    (
        "sequence.put",
        {
            "sequence": {
                "id": "s",
                "by": "customer",
                "within": "1h",
                "outcome": "block",
                "steps": [{"step": "a", "times": "2 to 3"}],
            }
        },
        RulePut(
            Rule(
                id="s",
                when="True",
                outcome="block",
                pattern=Pattern(by="customer", within_ms=3_600_000, steps=(Step(name="a", least=2, most=3),)),
            )
        ),
    ),
    ("sequence.mode", {"sequence": "s", "mode": "paused"}, RuleMode("s", "paused")),
    ("sequence.retire", {"sequence": "s"}, RuleRetire("s")),
    (
        "list.put",
        {"name": "mules", "kind": "block", "by": "customer", "immutable": True, "reason": "a mule"},
        ListPut(ListDeclaration(name="mules", kind="block", by="customer", immutable=True, reason="a mule")),
    ),
    (
        "list.add",
        {"name": "mules", "entries": [{"key": "c1"}, {"key": "c2", **UNTIL}]},
        ListAdd("mules", (Entry("c1"), Entry("c2", UNTIL_MS))),
    ),
    ("list.remove", {"name": "mules", "keys": ["c1", "c2"]}, ListRemove("mules", ("c1", "c2"))),
    (
        "snooze",
        {"rule": "big", "by": "customer", "key": "c1", "until": UNTIL_MS},
        Snooze("big", "customer", "c1", UNTIL_MS),
    ),
    ("feature.put", {"name": "n", "text": "amount * 2"}, FeaturePut("n", "amount * 2")),
    ("feature.retire", {"name": "n"}, FeatureRetire("n")),
    (
        "model.put",
        MODEL,
        ModelPut(Artefact("fraud", "2", "s3://models/fraud-2", "ab" * 32, ("amount", "count_1h"))),
    ),
    (
        "model.mode",
        {"model": "fraud@2", "mode": "challenger", "percent": 10, "by": "customer"},
        SetModelMode("fraud@2", "challenger", 10, "customer"),
    ),
    ("model.retire", {"model": "fraud@2"}, ModelRetire("fraud@2")),
    ("rollback", {"to": 3}, Rollback(3)),
]


@pytest.mark.parametrize(("kind", "body", "read"), BODIES, ids=[str(one[2])[:40] for one in BODIES])
def test_each_kind_is_read(kind: str, body: dict[str, Any], read: object) -> None:
    assert change(kind, **body).body == read


def test_every_kind_is_tried() -> None:
    assert {kind for kind, _, _ in BODIES} == set(CHANGES)


def test_who_why_and_when_are_read() -> None:
    found = change("rule.retire", rule="big", id="c", author="Ann", reason="noisy", effective_at=UNTIL["until"])
    assert (found.id, found.author, found.reason, found.effective_at_ms) == ("c", "Ann", "noisy", UNTIL_MS)


def refused(data: bytes | None, limits: ControlLimits | None = None) -> Refusal:
    found = read_change(data, limits or ControlLimits())
    assert isinstance(found, Refusal), found
    return found


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "null value"),
        (b"", "cannot be read as JSON"),
        (b"\xff\xfe", "cannot be read as JSON"),
        (b'{"change": "\xff"}', "cannot be read as JSON"),
        (b'"\\ud800 alone"', "cannot be read as JSON"),
        (b"[1, 2]", "found a list of 2"),
        (b"1" * 5_000, "cannot be read as JSON"),
        (b"1" * 400, "found a whole number of over 18 digits"),
        (b"[" * 100_000, "nested too deep"),
        (b"{" + b'"a":{' * 100_000, "nested too deep"),
        (b" " * 1_000_001, "found 1000001 bytes; allowed: at most 1000000"),
        (b"import os", "cannot be read as JSON"),
    ],
    ids=range(12),
)
def test_what_is_no_change_at_all_is_refused(data: bytes | None, said: str) -> None:
    assert said in refused(data).reason


WRONG: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("rule.putt", {}, "change", 'found "rule.putt"', "did you mean rule.put?"),
    ("model.put", {**MODEL, "name": "a b"}, "name", "1 to 64 letters", ""),
    ("model.put", {**MODEL, "sha256": "AB" * 32}, "sha256", "64 hex digits", ""),
    ("model.put", {**MODEL, "features": []}, "features", "a list of 1 to", ""),
    ("model.put", {**MODEL, "features": ["a", "b c"]}, "features[1]", "the name of a feature", ""),
    ("model.put", {**MODEL, "effective_at": UNTIL_MS}, "effective_at", "every worker", "put it now"),
    ("model.mode", {"model": "fraud", "mode": "shadow"}, "model", "name@version", ""),
    ("model.mode", {"model": "fraud@2", "mode": "live"}, "mode", "champion, challenger, shadow", ""),
    (
        "model.mode",
        {"model": "fraud@2", "mode": "champion", "percent": 10},
        "percent",
        "nothing of a champion",
        "share",
    ),
    (
        "model.mode",
        {"model": "fraud@2", "mode": "challenger", "by": "customer"},
        "by",
        "nothing without",
        "add percent",
    ),
    ("model.retire", {}, "model", "is missing", ""),
    ("sequence.put", {"sequence": {"id": "a", "steps": []}}, "sequence.by", "is missing", ""),
    ("rule.retire", {"rule": "a b"}, "rule", "1 to 64 letters", ""),
    ("rule.retire", {}, "rule", "is missing", ""),
    ("rule.retire", {"rule": "a", "id": ""}, "id", "a text of at most 128", ""),
    ("rule.retire", {"rule": "a", "id": 7}, "id", "found 7", ""),
    ("rule.retire", {"rule": "a", "author": None}, "author", "found nothing", ""),
    ("rule.retire", {"rule": "a", "reson": "x"}, "reson", "is not known here", "did you mean reason?"),
    ("rule.retire", {"rule": "a", "effective_at": "2026-05-01T12:00:00"}, "effective_at", "with its zone", ""),
    ("rule.retire", {"rule": "a", "effective_at": 1e12}, "effective_at", "epoch milliseconds", ""),
    ("rule.mode", {"rule": "a", "mode": "lve"}, "mode", "live, shadow, paused", "did you mean live?"),
    ("rule.mode", {"rule": "a", "mode": "live", "percent": 0}, "percent", "over 0", "paused"),
    ("rule.mode", {"rule": "a", "mode": "live", "by": "customer"}, "by", "nothing without percent", "add percent"),
    ("rule.put", {}, "rule", "found nothing", ""),
    ("rule.put", {"rule": rule(outcome="blok")}, "rule.outcome", "allow, review, block", "did you mean block?"),
    ("list.put", {"name": "m", "kind": "allow", "by": "c", "immutable": True}, "immutable", "block list", "leave it"),
    ("list.add", {"name": "m", "entries": []}, "entries", "a list of 1 to 20000 entries", ""),
    ("list.add", {"name": "m", "entries": [{"key": "a"}, "b"]}, "entries[1]", "allowed: an object", ""),
    ("list.add", {"name": "m", "entries": [{"ky": "a"}]}, "entries[0].key", "is missing", ""),
    ("list.add", {"name": "m", "entries": [{"key": "a" * 1_025}]}, "entries[0].key", "at most 1024", ""),
    ("list.add", {"name": "m", "entries": [{"key": "a"}] * 20_001}, "entries", "found a list of 20001", "further"),
    ("list.remove", {"name": "m", "keys": ["a", 3]}, "keys[1]", "found 3", ""),
    ("snooze", {"rule": "a", "by": "customer", "key": "k"}, "until", "is missing", ""),
    ("snooze", {"rule": "a", "by": "customer", "key": "k", "until": -1}, "until", "found -1", ""),
    ("feature.put", {"name": "9a", "text": "1"}, "name", "a letter or _", ""),
    ("feature.put", {"name": "a"}, "text", "is missing", ""),
    ("rollback", {"to": -1}, "to", "a revision", ""),
    ("rollback", {"to": True}, "to", "found true", ""),
    ("rollback", {"to": 10**30}, "to", "a revision", ""),
    ("rule.retire", {"rule": "a", "signatures": [{"key": "ann"}]}, "signatures[0].signature", "is missing", ""),
]


@pytest.mark.parametrize(("kind", "body", "place", "reason", "hint"), WRONG)
def test_what_is_wrong_is_refused_with_its_place(
    kind: str, body: dict[str, Any], place: str, reason: str, hint: str
) -> None:
    found = refused(record(kind, **body))
    assert found.place == place
    assert reason in found.reason
    assert hint in f"{found.hint} {found.reason}"


def test_all_that_is_wrong_is_said_at_once() -> None:
    found = refused(record("list.add", name="a b", entries=[{"key": ""}, {"key": "k", "until": "soon"}], x=1))
    assert found.place == "entries[0].key"
    assert [line.partition(":")[0] for line in found.reason.splitlines()] == [
        "entries[0].key", "entries[1].until", "name", "x",
    ]  # fmt: skip


def test_a_refusal_names_the_change_where_its_id_can_be_read() -> None:
    assert refused(b'{"id": "c7", "change": "nonsense"}').id == "c7"
    assert not refused(b'{"id": ["c7"], "change": "nonsense"}').id
    assert not refused(json.dumps({"id": "x" * 129, "change": "nonsense"}).encode()).id


def test_a_reason_stays_readable_however_long_what_is_refused() -> None:
    found = refused(record("rule.put", rule=rule(when="amount > 1 " * 80_000, outcome="x" * 10_000, zzz="y" * 10_000)))
    assert len(found.reason) < 5_000


def test_limits_are_what_they_are_set_to() -> None:
    small = ControlLimits(entries=1)
    entries = [{"key": "a"}, {"key": "b"}]
    assert refused(record("list.add", name="m", entries=entries), small).place == "entries"
    assert isinstance(read_change(record("list.add", name="m", entries=entries[:1]), small), Change)
