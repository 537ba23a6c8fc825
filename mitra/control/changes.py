"""What is to be changed, held against what is live before anything is sent: what would be refused, what is so already."""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from control_stream import Ack
from mitra.control.replay import Replay
from mitra.control.signing import SigningKey
from mitra.control.topics import Record
from mitra.errors import Problem

ENTRIES = 10_000
"""Entries of a list that one change takes: with long keys they stay below its size."""

_ENTRIES_BYTES = 800_000
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Wanted:
    """One change. `source` is the file that says it, empty on the command line; `body` has its keys but id and author."""

    kind: str
    about: str
    body: Mapping[str, object]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """Who makes changes and why; `id` is that of a single change, and stands before the name in those of several.

    `key` signs them.
    """

    author: str
    reason: str = ""
    id: str | None = None
    effective_at: str | None = None
    key: SigningKey | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A change as it will be sent."""

    wanted: Wanted
    id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """Changes to be sent, those that would change nothing, and those that would be refused, with why."""

    send: tuple[Planned, ...]
    unchanged: tuple[Wanted, ...]
    refused: tuple[tuple[Wanted, Problem], ...]


def plan(replay: Replay, wanted: Sequence[Wanted], by: Signature, *, to_file: bool = False) -> Plan:
    """Hold changes against what is live. In a file they may wait for signatures that they lack."""
    planned = [_planned(one, number, len(wanted), by) for number, one in enumerate(wanted)]
    return hold(replay.fork(signed=not to_file), planned)


def hold(scratch: Replay, changes: Sequence[Planned]) -> Plan:
    """Try changes one after the other on a fork of what is live; each is held against those before it."""
    send, unchanged, refused = [], [], []
    for planned in changes:
        one = planned.wanted
        entry = scratch.take(Record(scratch.read, time.time_ns() // 1_000_000, planned.data))
        if entry.answer.status == "refused":
            refused.append((one, _problem(entry.answer, again=entry.became == "duplicate")))
        elif entry.became in {"scheduled", "loading"} or entry.changed:
            send.append(planned)
        else:
            unchanged.append(one)
    return Plan(tuple(send), tuple(unchanged), tuple(refused))


def additions(name: str, entries: Sequence[Mapping[str, object]], source: str = "") -> list[Wanted]:
    """Return the changes that put entries on a list, each of a size that is taken."""
    return [Wanted("list.add", name, {"name": name, "entries": page}, source) for page in _pages(entries)]


def removals(name: str, keys: Sequence[str]) -> list[Wanted]:
    """Return the changes that take keys off a list."""
    return [Wanted("list.remove", name, {"name": name, "keys": page}) for page in _pages(keys)]


def _pages(items: Sequence[object]) -> list[list[object]]:
    pages: list[list[object]] = [[]]
    size = 0
    for item in items:
        cost = len(_encode(item)) + 1
        if pages[-1] and (len(pages[-1]) >= ENTRIES or size + cost > _ENTRIES_BYTES):
            pages.append([])
            size = 0
        pages[-1].append(item)
        size += cost
    return pages


def _planned(wanted: Wanted, number: int, count: int, by: Signature) -> Planned:
    change_id = uuid.uuid4().hex
    if by.id is not None:
        change_id = by.id if count == 1 else f"{by.id}/{number}/{wanted.about}"
    record: dict[str, object] = {"change": wanted.kind, "id": change_id, "author": by.author, "reason": by.reason}
    if by.effective_at is not None:
        record["effective_at"] = by.effective_at
    record |= wanted.body
    if not record["reason"]:
        del record["reason"]
    data = _encode(record)
    return Planned(wanted, change_id, data if by.key is None else by.key.sign(data))


def _problem(answer: Ack, *, again: bool) -> Problem:
    hint = answer.hint
    if again:
        hint = f"so it was answered as revision {answer.revision}: the same --id is never made twice; give another"
    if answer.reason.startswith(f"{answer.place.rsplit(':', 2)[0]}:") or "\n  |" in answer.reason:
        return Problem("", answer.reason, "" if not again else hint)
    return Problem(answer.place, answer.reason, hint)
