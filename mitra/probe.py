"""The proof that a job works: a marked event goes in, and every bucket must hand it out again.

Flink says RUNNING while Python fails in a loop; so nothing is believed until a probe has passed intake, history and decide of
every bucket. It touches no history, decision or business topic: it has topics of its own. They may be those of another job
too, one that is being replaced or was forgotten: so a probe names the job that is to answer, by Flink's id of it, and no
other one does.
"""

import time
import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from mitra.errors import MitraError
from mitra.pipeline import Pipeline

ADDRESSED = "job:"
"""What a probe begins with that is for one job alone: its id and another colon follow."""

_RESEND_S = 5.0


class ProbeError(MitraError):
    """The probe did not come back from every bucket."""


def probe_for(job: str) -> str:
    """Return the text of a new probe that a job is to answer."""
    return f"{ADDRESSED}{job}:{uuid.uuid4().hex}"


def is_for(text: str, job: str) -> bool:
    """Tell whether a job is to answer a probe: one that names no job is for all."""
    return not text.startswith(ADDRESSED) or text.startswith(f"{ADDRESSED}{job}:")


def wait_until_scoring(
    pipeline: Pipeline,
    job: Callable[[], str | None],
    timeout_s: float,
    check: Callable[[], None] = lambda: None,
    stopped: Callable[[], bool] = lambda: False,
) -> float | None:
    """Send probes until one has passed every bucket; return the milliseconds it took, None if `stopped` came first.

    `job` returns the id of the job that is to answer, None while it has none. `check` is called between polls and may raise, for instance when the job's process has ended.
    Raises ProbeError after `timeout_s`.
    """
    from mitra.kafka_clients import producer, tail  # noqa: PLC0415 - the client is loaded where it is needed

    buckets = pipeline.job.buckets
    deadline = time.monotonic() + timeout_s
    with tail(pipeline, pipeline.topics.probe_results) as results, producer(pipeline) as sender:
        seen: dict[str, dict[int, list[str]]] = {}
        sent: dict[str, float] = {}
        next_send = 0.0
        while time.monotonic() < deadline:
            check()
            if stopped():
                return None
            asked = job()
            if asked is not None and time.monotonic() >= next_send:
                name = probe_for(asked)
                sent[name] = time.monotonic()
                sender.send(pipeline.topics.probes, value=name.encode())
                sender.flush()
                next_send = time.monotonic() + _RESEND_S
            for name, bucket, trail in _results(results):
                if name in sent:
                    seen.setdefault(name, {})[bucket] = trail
                    if len(seen[name]) == buckets:
                        return (time.monotonic() - sent[name]) * 1000.0
    best = max((len(trails) for trails in seen.values()), default=0)
    msg = f"no probe passed all stages within {timeout_s:.0f} s: {best} of {buckets} buckets answered; the job runs but does not score"
    raise ProbeError(msg)


def _results(results: Any) -> list[tuple[str, int, list[str]]]:
    found = []
    for messages in results.poll(timeout_ms=200).values():
        for message in messages:
            name, bucket, _, trail = msgspec.json.decode(message.value)
            found.append((name, bucket, trail))
    return found
