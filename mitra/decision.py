"""The decision as it is published, and the compact record that decide remembers of it.

The record answers duplicates with the first decision and joins labels that come weeks later. Its bytes are state
(`mitra.remembered`).
"""

from typing import Any, Literal

import msgspec

from mitra.hashing import bytes_hash, text_hash

Outcome = Literal["allow", "review", "block"]
OUTCOMES: tuple[Outcome, ...] = ("allow", "review", "block")


class Decision(msgspec.Struct, omit_defaults=False, gc=False):
    """One decision, as it lies on the decisions topic under its transaction id.

    `latency_ms` runs from decode to the end of decide, on the wall clock; `timing_ms` splits it by stage. `score` is
    calibrated; both scores are None without a model. They are those of `model`, which decided; `models` has those of all
    models by name@version, and is empty where one model alone is live and decides. `reasons` are filled for flagged decisions only.
    `approximate` names the features that used the edge of a tile, `degraded` the entities whose history gave no answer.
    """

    transaction_id: str | int | float | bool
    event_time: int
    decided_at: int
    latency_ms: float
    timing_ms: dict[str, float]
    outcome: Outcome
    score: float | None
    raw_score: float | None
    model: str | None
    models: dict[str, dict[str, Any]]
    rules: list[dict[str, Any]]
    not_evaluated: dict[str, list[str]]
    shadow: list[dict[str, Any]]
    reasons: list[dict[str, Any]]
    revision: int
    degraded: list[str]
    approximate: list[str]
    late: bool
    duplicate: bool
    features: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


DECISION_COLUMNS = frozenset(Decision.__struct_fields__)
"""What every decision has: a feature of such a name would stand beside it in a replay's table, and hide one of the two."""

_SCHEMA_BITS = 0xFFFF


def fields_hash(fields: list[str]) -> int:
    """Return 16 bits that stand for the names and types of the fields in a payload."""
    return text_hash(",".join(fields)) & _SCHEMA_BITS


def content_hash(payload: bytes, fields: int) -> int:
    """Return the hash of an event's content: 48 bits of its payload's, then those of `fields_hash`."""
    return bytes_hash(payload) & ~_SCHEMA_BITS | fields


def same_content(one: int, other: int) -> bool:
    """Tell whether two hashes are of the same content; they count as such where the events' fields were others.

    A payment that is sent again behind an upgrade with one more field is a duplicate, not a conflict.
    """
    return one == other or (one ^ other) & _SCHEMA_BITS != 0


ModelScore = tuple[str, str, float | None, float | None, int | None]
"""What one of several models said: its name@version and mode, raw and calibrated score, the place of its outcome in OUTCOMES.

None: it isn't loaded, or failed on this transaction."""


def models_of(scores: list[ModelScore]) -> dict[str, dict[str, Any]]:
    """Return what all models said, as a decision has it."""
    return {
        reference: {
            "mode": mode, "score": score, "raw_score": raw, "outcome": None if outcome is None else OUTCOMES[outcome]
        }
        for reference, mode, raw, score, outcome in scores
    }  # fmt: skip


class Record(msgspec.Struct, array_like=True, gc=False):
    """What decide remembers of a decision: enough to give it again and to join a label to it.

    Where the pipeline is monitored, `amount` is what the payment is worth, and `label` the newest label that was joined: whether it says
    fraud, since when that is known, its version.
    """

    content_hash: int
    event_time: int
    decided_at: int
    outcome: int
    score: float | None
    raw_score: float | None
    model: str | None
    revision: int
    late: bool
    approximate: list[str]
    reasons: list[dict[str, Any]]
    degraded: list[str]
    entities: list[str]
    keys: list[str]
    rules: list[dict[str, Any]]
    not_evaluated: dict[str, list[str]]
    shadow: list[dict[str, Any]]
    models: list[ModelScore] = []
    amount: float | None = None
    label: tuple[bool, int, int] | None = None


encode_json = msgspec.json.Encoder().encode
