"""What the parts of the job say of revisions, as it stands on control-acks."""

from collections.abc import Mapping

from control_stream.acks import Ack, Stage, Status


def ack_of(
    stage: Stage,
    status: Status,
    part: int,
    parts: int,
    revision: int,
    attempt: int,
    subtask: int,
    at_ms: int,
    *,
    id: str = "",
    reason: str = "",
    exact_from: Mapping[str, int] | None = None,
) -> bytes:
    """Return the ack of one lane or bucket; `attempt` is that of the request it answers, `id` the change's it is about."""
    ack = Ack(
        id=id, revision=revision, status=status, stage=stage, part=part, parts=parts, subtask=subtask, attempt=attempt,
        at=at_ms, reason=reason, exact_from=dict(exact_from or {}),
    )  # fmt: skip
    return ack.to_json()
