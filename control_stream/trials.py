"""Changes that wait until every decide bucket has loaded the models that they bring, or one can't.

What comes of a trial is written to the control topic, `take_effect` or `turn_down`: so the log alone says what is live, and
when, whoever reads it later and whatever the models' store is like then.
"""

from collections.abc import Sequence

import msgspec

from control_stream.acks import Ack
from control_stream.model_changes import Artefact

_REASON_CHARACTERS = 1_800
"""A turn_down's `reason` takes 2,000."""


class Load(msgspec.Struct, array_like=True):
    """To every decide bucket: fetch, verify, try and warm these, then ack `loaded` or `failed` with `id` and `attempt`."""

    attempt: int
    id: str
    artefacts: list[Artefact]


class Trial(msgspec.Struct, array_like=True):
    """One change that waits. `loaded` has 1 for each decide bucket that has its models; `failed` says why one can't."""

    id: str
    artefacts: list[Artefact]
    loaded: list[int]
    failed: str = ""
    asked_ms: int = 0
    published_ms: int = 0

    def take(self, ack: Ack) -> None:
        """Note what a bucket says."""
        if ack.status == "failed":
            self.failed = self.failed or ack.reason or "a worker can't load it"
        elif 0 <= ack.part < len(self.loaded):
            self.loaded[ack.part] = 1

    @property
    def decided(self) -> bool:
        """Tell whether it is known what comes of it."""
        return bool(self.failed) or all(self.loaded)

    def record(self) -> bytes:
        """Return the record for the control topic that says what came of it."""
        kind, why = (
            ("turn_down", self.failed[:_REASON_CHARACTERS]) if self.failed else ("take_effect", "every worker has it")
        )
        record = {"change": kind, "of": self.id, "id": f"{kind}:{self.id}"[:128], "author": "govern", "reason": why}
        return _encode(record)


def find(trials: Sequence[Trial], change_id: str) -> Trial | None:
    """Return the trial of a change."""
    return next((one for one in trials if one.id == change_id), None)


_encode = msgspec.json.Encoder().encode
