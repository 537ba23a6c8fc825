"""The control topic read from its beginning by the same code as the job's govern: what is live, and what became of each change.

It says what a job of this pipeline makes of the log; what the job's parts have come to know of it is said by acks alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from control_stream import Ack, Context, Govern, LiveSet, Mark, Output
from control_stream.acks import Stage
from mitra.control.topics import Record
from mitra.pipeline import Pipeline

Became = Literal["accepted", "refused", "scheduled", "loading", "duplicate"]

Place = tuple[str, str, str]

_ATTEMPT = 1
_SUBJECTS = ("rule", "sequence", "name", "model", "to", "of")
_SHOWN = 200
_decode = msgspec.json.Decoder().decode


def context_of(pipeline: Pipeline) -> Context:
    """Return what changes of a pipeline are checked against."""
    return pipeline.control_context()


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of the log, and what became of it.

    Who asks for what is as the record says, which may be anything where it is refused. `changed`: whether it made a
    difference to what is live. `version`: of the rule that it put.
    """

    revision: int
    at_ms: int
    id: str
    kind: str
    about: str
    author: str
    why: str
    became: Became
    changed: bool
    answer: Ack
    version: int | None = None


class Replay:
    """Govern over a log, with one part of each stage that is always ready."""

    def __init__(self, context: Context, pieces: dict[str, bytes] | None = None) -> None:
        """Begin at the start of a log, or where the pieces of another replay are."""
        self.context = context
        self.marks: dict[Place, Mark] = {}
        self._pieces = _Pieces(pieces or {})
        self._govern = Govern(self._pieces, context, lanes=1, buckets=1, attempt=_ATTEMPT)

    @property
    def live(self) -> LiveSet:
        """What is live."""
        return self._govern.live

    @property
    def head(self) -> int:
        """The last accepted revision."""
        return self._govern.head

    @property
    def read(self) -> int:
        """The next offset of the log."""
        return self._govern.read

    def fork(self, *, signed: bool = True) -> "Replay":
        """Return another that goes on from here, to see what changes would do; if not `signed`, without signatures too."""
        context = self.context if signed else replace(self.context, authorize=None)
        other = Replay(context, dict(self._pieces.values))
        other.marks = dict(self.marks)
        return other

    def take_all(self, records: Iterable[Record]) -> Iterator[Entry]:
        """Take records as they come."""
        return (self.take(record) for record in records)

    def take(self, record: Record) -> Entry:
        """Take the next record of the log."""
        before = self.live
        output = self._govern.control(record.offset, record.data, record.at_ms)
        answer = output.acks[0]
        marked = self._note(output)
        for stage in ("history", "decide"):
            marked |= self._note(self._govern.ack(self._ready(stage), record.at_ms))
        return _entry(record, answer, before, self.live, marked=marked)

    def entries_of(self, name: str) -> list[Mark]:
        """Return who is marked: `list:NAME` gives a list's entries, `snooze:RULE` whom a rule is snoozed for."""
        return [mark for mark in self.marks.values() if mark.name == name]

    def _ready(self, stage: Stage) -> Ack:
        return Ack(
            id="", revision=self.head, status="ready", stage=stage, part=0, parts=1, subtask=0, attempt=_ATTEMPT, at=0
        )

    def _note(self, output: Output) -> bool:
        for mark in (mark for prepare in output.prepare for mark in prepare.marks):
            if mark.to_revision is None:
                self.marks[mark.place] = mark
            else:
                self.marks.pop(mark.place, None)
        return any(prepare.marks for prepare in output.prepare)


class _Pieces:
    """Govern's state, in memory."""

    def __init__(self, values: dict[str, bytes]) -> None:
        self.values = values

    def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    def put_all(self, entries: dict[str, bytes]) -> None:
        self.values |= entries

    def remove(self, key: str) -> None:
        self.values.pop(key, None)


def _entry(record: Record, answer: Ack, before: LiveSet, after: LiveSet, *, marked: bool) -> Entry:
    said = said_by(record.data)
    revision = record.offset + 1
    became: Became = "accepted"
    if answer.status in ("refused", "scheduled", "loading"):
        became = answer.status
    if answer.revision != revision:
        became = "duplicate"
    about = about_of(said)
    version = (
        after.versions.get(about)
        if said.get("change") in {"rule.put", "sequence.put"} and became == "accepted"
        else None
    )
    return Entry(
        revision, record.at_ms, _text(said.get("id")), _text(said.get("change")), about, _text(said.get("author")),
        _text(said.get("reason")), became, marked or after != before, answer, version,
    )  # fmt: skip


def about_of(said: Mapping[str, object]) -> str:
    """Return the name of what a change is about, whatever it says."""
    inner = said.get("rule") or said.get("sequence")
    subject = inner.get("id") if isinstance(inner, dict) else None
    if said.get("change") == "model.put":
        return _text(f"{_text(said.get('name'))}@{_text(said.get('version'))}")
    for key in _SUBJECTS:
        subject = said.get(key) if subject is None else subject
    return _text(subject)


def said_by(data: bytes | None) -> dict[str, object]:
    """Return what a record says, refused ones too: nothing if it can't be read."""
    try:
        value = _decode(data or b"")
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    """Return what a person reads: whatever the record, it moves no cursor and fills no screen."""
    if value is None or isinstance(value, dict | list):
        return ""
    text = str(value)[:_SHOWN]
    return text if text.isprintable() else "".join(one if one.isprintable() else "·" for one in text)
