"""Govern in the job upholds the policy that travels with the pipeline."""

import json
import pickle
from pathlib import Path
from typing import Any

from control_stream import ed25519, read_ack
from control_stream.signing import signed
from mitra.blueprint import Blueprint
from mitra.control.signing import policy_line
from mitra.history import MemoryStore
from mitra.messages import Control, decode
from mitra.pipeline import load_pipeline
from mitra.stages.govern import GovernStage
from mitra.stages.intake import FIELD_SEPARATOR

PIPELINE = """
name: shop
events: {payment: {id: id, time: at, fields: {id: string, at: time, customer: string}}}
entities: {customer: customer}
control: {policy: policy.yaml}
"""
CHANGE = {"change": "list.put", "id": "1", "author": "ann", "name": "mules", "kind": "watch", "by": "customer"}


def test_the_policy_travels_with_the_pipeline(tmp_path: Path) -> None:
    private = ed25519.private_of_pem(ed25519.new_private_pem()) or b""
    policy, file = tmp_path / "policy.yaml", tmp_path / "pipeline.yaml"
    line = policy_line("ann-1", "ann", ed25519.public_of(private))
    policy.write_text(f"keys: {{{line}}}\nmay: {{ann: 'list.*'}}\n")
    file.write_text(PIPELINE)
    blueprint = pickle.loads(pickle.dumps(Blueprint.of(load_pipeline(file))))
    policy.unlink()
    stage = GovernStage(blueprint, MemoryStore())

    def answer(offset: int, change: dict[str, Any]) -> tuple[str, str]:
        record = FIELD_SEPARATOR.join(["shop.control", "0", str(offset), "0", f"V{json.dumps(change)}"])
        messages = [decode(blob) for _, _, blob in stage.process([record])]
        (ack,) = [read_ack(one) for message in messages if isinstance(message, Control) for one in message.acks]
        assert ack is not None
        return ack.status, ack.reason

    assert answer(0, CHANGE) == ("refused", "the change isn't signed")
    assert answer(1, signed(CHANGE, "shop.control", "ann-1", private)) == ("prepared", "")
    assert answer(2, signed(CHANGE, "test.control", "ann-1", private))[0] == "refused"
