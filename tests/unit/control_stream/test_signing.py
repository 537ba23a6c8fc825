"""Whose changes count, with signatures that are easily made; and with real ones where the package is there."""

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from control_stream import ed25519
from control_stream.changes import Change, read_change
from control_stream.limits import ControlLimits
from control_stream.live_set import LiveSet
from control_stream.refusal import Refused
from control_stream.signing import Policy, canonical, read_policy, signed
from mitra.errors import ProblemsError
from tests.factories.control import CONTEXT, NOW_MS, RULE, Job, rule

TOPIC = "shop.control"
PUBLIC = {name: base64.b64encode(name.encode().ljust(32)).decode() for name in ("ann", "bob", "eve")}
TEXT = f"""\
keys:
  ann-1: {{author: ann, public: {PUBLIC["ann"]}}}
  ann-2: {{author: ann, public: {PUBLIC["ann"]}}}
  bob-1: {{author: bob, public: {PUBLIC["bob"]}}}
  eve-1: {{author: eve, public: {PUBLIC["eve"]}}}
may:
  ann: ["*"]
  bob: [rule.*, list.*]
  eve: list.add
second_signature: [live_block, list.*]
"""


def mac(public: bytes, message: bytes) -> bytes:
    return hashlib.sha256(public + message).digest()


@pytest.fixture
def policy() -> Policy:
    return read_policy(TEXT, "policy.yaml", TOPIC, lambda public, message, signature: mac(public, message) == signature)


def made(*keys: str, author: str = "ann", change: str = "rule.put", **rest: Any) -> dict[str, Any]:
    value = {"change": change, "id": "c1", "author": author, **({"rule": RULE} if change == "rule.put" else {}), **rest}
    signatures = [
        {"key": key, "signature": base64.b64encode(mac(key[:3].encode().ljust(32), canonical(value, TOPIC))).decode()}
        for key in keys
    ]
    return {**value, "signatures": signatures} if keys else value


def read(value: dict[str, Any]) -> Change:
    # Sent with other spaces and another order of keys than were signed.
    found = read_change(json.dumps(dict(reversed(value.items())), indent=1).encode(), ControlLimits())
    assert isinstance(found, Change), found
    return found


BLOCK = {"rule": rule(outcome="block")}
LIST = {"change": "list.add", "name": "m", "entries": [{"key": "größe", "until": 5}]}


@pytest.mark.parametrize(
    "value",
    [
        made("ann-1"),
        made("bob-1", author="bob"),
        made("ann-1", "bob-1", **BLOCK),
        made("ann-1", rule=rule(outcome="block", mode="shadow")),
        made("eve-1", "ann-2", author="eve", **LIST),
        made("ann-1", change="rollback", to=3),
    ],
)
def test_what_is_signed_as_the_policy_says_passes(policy: Policy, value: dict[str, Any]) -> None:
    policy.authorize(read(value), LiveSet(), 1)


@pytest.mark.parametrize(
    ("value", "place", "reason"),
    [
        (made(), "signatures", "isn't signed"),
        (made("ann-9"), "signatures[0].key", "no key of the policy"),
        ({**made("ann-1"), "reason": "another"}, "signatures[0].signature", "is not by the key"),
        ({**made(), "signatures": [{"key": "ann-1", "signature": "?"}]}, "signatures[0].signature", "is not by"),
        (made("bob-1"), "signatures", '"ann" is the author'),
        (made("eve-1", author="eve"), "author", '"eve" may not rule.put'),
        (made("ann-1", "eve-1"), "author", '"eve" may not rule.put'),
        (made("ann-1", **BLOCK), "signatures", "second person"),
        (made("ann-1", "ann-2", **BLOCK), "signatures", "second person"),
        (made("ann-1", **LIST), "signatures", "second person"),
    ],
)
def test_what_is_not_is_refused(policy: Policy, value: dict[str, Any], place: str, reason: str) -> None:
    with pytest.raises(Refused) as found:
        policy.authorize(read(value), LiveSet(), 1)
    assert (found.value.place, reason in found.value.reason) == (place, True)


def test_a_mode_that_brings_a_block_to_life_needs_two(policy: Policy) -> None:
    job = Job(context=replace(CONTEXT, authorize=policy.authorize))
    assert job.send(json.dumps(made("ann-1", rule=rule(outcome="block", mode="shadow"))).encode()).status == "prepared"
    mode = {"change": "rule.mode", "rule": "big_at_night", "mode": "live"}
    assert job.send(json.dumps(made("ann-1", id="c2", **mode)).encode()).place == "signatures"
    assert job.send(json.dumps(made("ann-1", "bob-1", id="c2", **mode)).encode()).status == "prepared"


def test_all_that_is_wrong_with_a_policy_is_said_with_its_line() -> None:
    text = "keys:\n  a: {author: ann, public: c2hvcnQ=}\nmay:\n  an: [rule.putt]\nsecond: []\n"
    with pytest.raises(ProblemsError) as found:
        read_policy(text, "policy.yaml", verify=lambda *_: True)
    assert [(one.path, one.line) for one in found.value.problems] == [
        ("keys.a.public", 2), ("may.an", 4), ("may.an", 4), ("second", 5),
    ]  # fmt: skip
    with pytest.raises(ProblemsError, match="2 problems"):
        read_policy("", "policy.yaml", verify=lambda *_: True)


def test_real_signatures() -> None:
    private = ed25519.private_of_pem(ed25519.new_private_pem())
    assert private is not None
    public = base64.b64encode(ed25519.public_of(private)).decode()
    text = f"keys: {{k: {{author: ann, public: {public}}}}}\nmay: {{ann: ['*']}}\n"
    policy = read_policy(text, "policy.yaml", TOPIC)
    value = signed(made(), TOPIC, "k", private)
    policy.authorize(read(value), LiveSet(), 1)
    with pytest.raises(Refused, match="is not by the key"):
        policy.authorize(read({**value, "id": "c2"}), LiveSet(), 1)
    with pytest.raises(Refused, match="is not by the key"):
        read_policy(text, "policy.yaml", "test.control").authorize(read(value), LiveSet(), 1)


def test_what_no_key_is_is_told_from_a_key() -> None:
    assert ed25519.private_of_pem(b"no key") is None
    assert not ed25519.verify(b"short", b"", b"")


def test_what_stood_in_the_log_before_the_policy_needs_no_signature() -> None:
    policy = read_policy(f"{TEXT}from_revision: 4\n", "policy.yaml", TOPIC, lambda *_: True)
    policy.authorize(read(made()), LiveSet(), 3)
    with pytest.raises(Refused, match="isn't signed"):
        policy.authorize(read(made()), LiveSet(), 4)


def test_a_key_out_of_use_counts_for_what_it_signed_before() -> None:
    text = TEXT.replace("ann-1: {author: ann,", "ann-1: {author: ann, to_revision: 4,")
    policy = read_policy(text, "policy.yaml", TOPIC, lambda *_: True)
    policy.authorize(read(made("ann-1")), LiveSet(), 4)
    with pytest.raises(Refused, match="counts up to revision 4, and this is 5"):
        policy.authorize(read(made("ann-1")), LiveSet(), 5)
    assert policy.named(PUBLIC["ann"].encode()) is None
    assert policy.named(base64.b64decode(PUBLIC["ann"])) == "ann-2"


def test_a_scheduled_change_is_held_against_the_policy_once_more_at_its_time(policy: Policy) -> None:
    job = Job(context=replace(CONTEXT, authorize=policy.authorize))
    job.send(json.dumps(made("ann-1", rule=rule(mode="shadow"))).encode())
    mode = {"change": "rule.mode", "id": "later", "rule": "big_at_night", "mode": "live"}
    assert job.send(json.dumps(made("ann-1", effective_at=NOW_MS + 10, **mode)).encode()).status == "scheduled"
    job.send(json.dumps(made("ann-1", id="c3", rule=rule(mode="shadow", outcome="block"))).encode())
    job.tick(1)
    ack = job.send(job.published[0])
    assert (ack.id, ack.status, ack.place) == ("later", "refused", "signatures")
    assert job.govern.live.rules["big_at_night"].mode == "shadow"
