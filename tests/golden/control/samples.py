"""Govern's whole state after a few changes of every kind, a live set, a difference. Never changed for a released version."""

from control_stream.live_set import Delta, LiveSet
from tests.factories.control import NOW_MS, Job

RULE = {
    "when": "amount > 1", "outcome": "block", "reason": "{amount} in Łódź", "mode": "shadow",
    "percent": 12.5, "by": "terminal", "from": NOW_MS, "until": NOW_MS + 1, "tags": ["night", "größe"],
}  # fmt: skip
MODEL = {
    "name": "fraud", "version": "2", "uri": "s3://models/größe", "sha256": "ab" * 32, "features": ["amount", "big"]
}  # fmt: skip


def job() -> Job:
    """Return a job in the midst of its changes: one group active, one in preparation, changes waiting for their time and for a model."""
    found = Job(lanes=2, buckets=2)
    found.push("rule.put", id="1", rule={**RULE, "id": "big"}, reason="why")
    found.push("feature.put", id="2", name="double", text="amount * 2")
    found.push("list.put", id="3", name="mules", kind="block", by="customer", immutable=True, reason="a mule")
    found.answer()
    found.push("list.add", id="4", name="mules", entries=[{"key": "c1"}, {"key": "Łódź", "until": NOW_MS}])
    found.push("rule.put", id="5", rule={**RULE, "id": "gone"})
    found.push("rule.retire", id="6", rule="gone")
    found.push("list.remove", id="7", name="mules", keys=["c1"])
    found.push("snooze", id="8", rule="big", by="terminal", key="t1", until=NOW_MS)
    found.push("rule.retire", id="9", rule="nothing")
    found.push("model.put", id="11", **MODEL)
    found.load()
    found.push("model.mode", id="12", model="fraud@2", mode="challenger", percent=10, by="terminal")
    found.push("model.put", id="13", **{**MODEL, "version": "3", "sha256": "cd" * 32})
    found.push("rule.retire", id="10", rule="big", effective_at=NOW_MS + 1_000)
    return found


def state() -> dict[str, bytes]:
    """Return all of the bytes by name."""
    found = job()
    live = found.govern.live
    delta = Delta.between(live, LiveSet())
    return {"live set": live.encode(), "delta": delta.encode(), **dict(sorted(found.store.data.items()))}
