"""Alerts of sequences: matches that no decision carries, as they lie on the alerts topic.

An alert's id is the same whoever finds the match, and however often: it stands for the sequence, the entity, and the first and
the last event taken.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import xxhash

from rules.outcomes import Outcome
from rules.rollout import applies
from rules.rule import Mode, Rule
from rules.rule_set import SNOOZE
from rules.sequences.asked import SequenceAsked, Taken, event_of


class Alert(msgspec.Struct, kw_only=True):
    """A match of a sequence. `time` is when it was complete: that of its last event, or when the time for what is absent was up.

    `late`: the event that completes it had been answered before one of the others came. `unasked` is the condition that the
    sequence asks of decisions besides, which nobody could ask here.
    """

    id: str
    kind: Literal["sequence"] = "sequence"
    rule: str
    version: int
    mode: Mode
    outcome: Outcome
    entity: str
    key: str
    time: int
    events: list[dict[str, Any]]
    late: bool
    revision: int
    reason: str = ""
    unasked: str | None = None


_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom an alert is about: an entity, its key, and the names of the lists and snoozes that hold it."""

    entity: str
    key: str
    marks: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Watch:
    """A live sequence with what histories are asked of it."""

    rule: Rule
    asked: SequenceAsked
    reason: str


def alert(
    watch: Watch, subject: Subject, taken: Sequence[Taken], time_ms: int, revision: int, *, late: bool
) -> tuple[str, bytes] | None:
    """Return an alert's id and JSON, or None where the sequence doesn't apply to the entity at that time."""
    rule = watch.rule
    outside = (rule.from_ms is not None and time_ms < rule.from_ms) or (
        rule.until_ms is not None and time_ms >= rule.until_ms
    )
    share = rule.percent is None or applies(rule.id, subject.key, rule.percent)
    if outside or not share or f"{SNOOZE}{rule.id}" in subject.marks:
        return None
    first, last = taken[0], taken[-1]
    identity = f"{rule.id}\0{subject.entity}\0{subject.key}\0{first.time_ms}\0{first.id_hash}\0{last.id_hash}"
    made = Alert(
        id=xxhash.xxh3_128_hexdigest(identity.encode(errors="surrogatepass")),
        rule=rule.id,
        version=rule.version,
        mode=rule.mode,
        outcome=rule.outcome,
        entity=subject.entity,
        key=subject.key,
        time=time_ms,
        events=[event_of(one) for one in taken],
        late=late,
        revision=revision,
        reason=watch.reason,
        unasked=None if rule.when == "True" else rule.when,
    )
    return made.id, _encode(made)
