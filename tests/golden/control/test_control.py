"""Govern's state and live sets lie in savepoints: their bytes are kept in files, a version each.

A change of bytes needs a new version beside the old one, a reader for the old one, and a line in the changelog.
"""

import json
from pathlib import Path

import msgspec
import pytest

from control_stream.govern import Govern
from control_stream.live_set import Delta, LiveSet
from mitra.history import MemoryStore
from tests.factories.control import CONTEXT, NOW_MS
from tests.golden.control.samples import job, state

GOLDEN: dict[str, bytes] = {
    name: bytes.fromhex(data)
    for name, data in json.loads(Path(__file__).with_name("version-1.json").read_text(encoding="utf-8")).items()
}


def test_nothing_is_left_out() -> None:
    assert list(GOLDEN) == list(state())
    assert {name.partition("\0")[0] for name in GOLDEN} == {
        "live set", "delta", "header", "parts", "rules", "features", "lists", "models", "trials", *"rflodmeish",
    }  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_todays_bytes_are_the_golden_ones(name: str) -> None:
    assert state()[name].hex() == GOLDEN[name].hex()


def test_golden_live_sets_are_read() -> None:
    live = job().govern.live
    assert LiveSet.decode(GOLDEN["live set"]) == live
    assert live.patched(Delta.decode(GOLDEN["delta"])).rules == {}
    assert live.models["fraud@2"].artefact.uri == "s3://models/größe"


def test_a_live_set_from_before_there_were_models_is_read() -> None:
    rules, features, lists, versions, _ = msgspec.msgpack.decode(GOLDEN["live set"][1:])
    old = GOLDEN["live set"][:1] + msgspec.msgpack.encode([rules, features, lists, versions])
    assert LiveSet.decode(old) == msgspec.structs.replace(LiveSet.decode(GOLDEN["live set"]), models={})


def test_govern_goes_on_from_golden_state() -> None:
    kept = {name: data for name, data in GOLDEN.items() if name not in {"live set", "delta"}}
    offset = job().offset
    govern = Govern(MemoryStore(kept), CONTEXT, lanes=2, buckets=2, attempt=2)
    assert govern.live == job().govern.live
    (prepare,) = govern.tick(NOW_MS + 1_000).prepare
    assert (prepare.base, prepare.revision) == (3, 4)
    assert [mark.key for mark in prepare.marks] == ["c1", "Łódź"]
    assert (
        govern.control(offset, b'{"change": "rollback", "id": "11", "author": "ann", "to": 3}', NOW_MS).acks[0].status
        == "prepared"
    )
    # The id is known: whatever comes under it gets the first answer again.
    assert (
        govern.control(offset + 1, b'{"change": "rule.put", "id": "5", "author": "ann"}', NOW_MS).acks[0].status
        == "prepared"
    )
