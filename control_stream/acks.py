"""What becomes of a change, said on control-acks: by govern for each change, by every part of the job for each revision."""

from typing import Any, Literal, get_args

import msgspec

Status = Literal["refused", "scheduled", "loading", "prepared", "loaded", "failed", "ready", "active", "running"]
Stage = Literal["govern", "intake", "history", "decide"]


class Ack(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answer. Those of govern are about the change `id`; those of the other stages about a revision, their id is empty.

    `loaded` and `failed` alone are a decide bucket's, and about the models that the change `id` brings.
    `part` of `parts` is the number of the lane or bucket. `attempt` is the number of the Prepare or Activate that is
    answered, so that govern takes no answer for its own that was given to an earlier run of it.
    """

    id: str
    revision: int
    status: Status
    stage: Stage
    part: int
    parts: int
    subtask: int
    attempt: int
    at: int
    reason: str = ""
    place: str = ""
    hint: str = ""
    exact_from: dict[str, int] = {}

    def to_json(self) -> bytes:
        """Return it as it stands on the topic."""
        return _encode(self)


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Ack)


def read_ack(data: bytes | None) -> Ack | None:
    """Return the ack that a record holds, None if it holds none; never raises, whatever the bytes."""
    try:
        return None if data is None else _decoder.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def ack_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of an ack."""
    texts = {
        "reason": "what is wrong, or worth knowing, with the text's line and carets where there are some",
        "place": "where in the change: a path, behind it line and column of an expression",
        "hint": "the way out",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ack",
        "description": "what became of a change, on control-acks",
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "the change's id; empty if a revision is spoken of"},
            "revision": {"type": "integer", "minimum": 0},
            "status": {"enum": list(get_args(Status))},
            "stage": {"enum": list(get_args(Stage))},
            "part": {"type": "integer", "minimum": 0, "description": "lane or bucket; 0 for govern"},
            "parts": {"type": "integer", "minimum": 1, "description": "how many of these there are"},
            "subtask": {"type": "integer", "minimum": 0},
            "attempt": {"type": "integer", "description": "the number of the request that is answered"},
            "at": {"type": "integer", "description": "wall clock: epoch milliseconds, UTC"},
            **{name: {"type": "string", "description": text} for name, text in texts.items()},
            "exact_from": {
                "type": "object",
                "additionalProperties": {"type": "integer"},
                "description": "aggregate → event time from which it is exact, in epoch milliseconds",
            },
        },
        "required": ["id", "revision", "status", "stage", "part", "parts", "subtask", "attempt", "at"],
        "additionalProperties": False,
    }
