"""Whatever bytes stand on the control topic, they are a change or a refusal that can be acked."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from control_stream.acks import Ack, read_ack
from control_stream.changes import CHANGES, Change, Refusal, read_change
from control_stream.limits import ControlLimits
from tests.factories.control import NOW_MS, RULE, Job, record

KEYS = (
    "change id author reason effective_at signatures rule mode percent by name kind immutable entries keys key until text "
    "to of when outcome from tags key signature"
).split()
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=8)
    | st.sampled_from([*CHANGES, "customer", "amount > 1", "a", "2026-05-01T00:00:00Z", "\0", "{amount}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip
changes = st.builds(
    lambda kind, rest: {"id": "c", "author": "ann", **rest, "change": kind},
    st.sampled_from([*CHANGES, "take_effect"]),
    st.dictionaries(st.sampled_from(KEYS), values, max_size=6),
)
records = st.binary(max_size=64) | (values | changes).map(lambda value: json.dumps(value).encode())


@settings(max_examples=400, deadline=None)
@given(records)
def test_reading_never_raises(data: bytes) -> None:
    found = read_change(data, ControlLimits())
    assert isinstance(found, Change) or (isinstance(found, Refusal) and found.reason)


@settings(max_examples=150, deadline=None)
@given(st.lists(records, max_size=6), st.data())
def test_every_record_gets_one_answer_that_reads_back_and_harms_nothing(log: list[bytes], data: Any) -> None:
    job = Job()
    job.send(record("list.put", name="a", kind="block", by="customer"))
    for one in log:
        cut = data.draw(st.integers(0, len(one)))
        for sent in (one, one[:cut], record("rule.put", rule=RULE)[:cut] + one[cut:]):
            ack = job.send(sent)
            assert isinstance(read_ack(ack.to_json()), Ack)
    assert job.push("rule.put", rule=RULE, id=f"last {NOW_MS}").status == "prepared"
    job.answer()
    assert job.govern.settled
