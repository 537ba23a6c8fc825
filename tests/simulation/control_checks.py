"""The promises about changes of rules that must hold at the end of a run."""

from collections import defaultdict
from typing import Any

import msgspec

from mitra.pipeline import Pipeline
from mitra.stages.intake import FIELD_SEPARATOR
from tests.simulation.journal import BrokenError, Journal


def check_control(journal: Journal, pipeline: Pipeline, last: list[str]) -> None:
    """Raise BrokenError with what is broken; `last` are the payments that were sent when all was settled."""
    book = journal.rules()
    acks = _acks(journal, pipeline.topics.control_acks)
    said = {(ack["id"], ack["status"], ack["revision"]) for ack in acks if ack["stage"] == "govern"}
    if said != book.said:
        msg = f"govern said {sorted(said - book.said)} too much, and {sorted(book.said - said)} never"
        raise BrokenError(msg)
    head = max(book.accepted, default=0)
    active: dict[tuple[str, int], int] = defaultdict(int)
    for ack in acks:
        if ack["status"] == "active":
            active[ack["stage"], ack["part"]] = max(active[ack["stage"], ack["part"]], ack["revision"])
    job = pipeline.job
    parts = {("intake", lane) for lane in range(job.lanes)}
    parts |= {(stage, bucket) for stage in ("history", "decide") for bucket in range(job.buckets)}
    expected = dict.fromkeys(parts, head) if head else dict.fromkeys(active, 0)
    if active != expected:
        msg = f"the parts are active at {dict(active)}, the last revision is {head}"
        raise BrokenError(msg)
    for made in journal.line.decisions:
        if made.decision.transaction_id in last and made.decision.revision != head:
            msg = (
                f"{made.decision.transaction_id} was sent last, but decided under {made.decision.revision}, not {head}"
            )
            raise BrokenError(msg)


def _acks(journal: Journal, topic: str) -> list[dict[str, Any]]:
    records = journal.world.topics.get(topic, [[]])[0]
    return [msgspec.json.decode(record.split(FIELD_SEPARATOR, 4)[4][1:].encode("latin-1")) for record in records]
