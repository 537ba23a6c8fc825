"""Acks as they stand on the topic, and whatever else may stand there."""

import json

import jsonschema
import pytest

from control_stream.acks import Ack, ack_schema, read_ack

PLAIN = Ack(id="", revision=7, status="ready", stage="history", part=3, parts=8, subtask=1, attempt=5, at=1_700)
FULL = Ack(
    id="c1", revision=7, status="refused", stage="govern", part=0, parts=1, subtask=0, attempt=5, at=1_700,
    reason="wrong", place="rules.a.when:1:1", hint="right", exact_from={'count(by=customer, over="1h")': 5},
)  # fmt: skip


def test_what_is_not_there_is_left_out() -> None:
    assert json.loads(PLAIN.to_json()) == {
        "id": "", "revision": 7, "status": "ready", "stage": "history", "part": 3, "parts": 8, "subtask": 1,
        "attempt": 5, "at": 1_700,
    }  # fmt: skip


@pytest.mark.parametrize("ack", [PLAIN, FULL])
def test_an_ack_reads_back_and_keeps_to_its_schema(ack: Ack) -> None:
    assert read_ack(ack.to_json()) == ack
    jsonschema.validate(json.loads(ack.to_json()), ack_schema())


@pytest.mark.parametrize("data", [None, b"", b"{}", b"[" * 100_000, b"\xff", b'{"id": 7}', FULL.to_json()[:-5]])
def test_what_is_no_ack_is_none(data: bytes | None) -> None:
    assert read_ack(data) is None


def test_the_schema_names_every_field() -> None:
    assert list(ack_schema()["properties"]) == list(Ack.__struct_fields__)
