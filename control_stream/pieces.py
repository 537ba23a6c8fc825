"""Govern's state: many small values under keys of their own, so that a change costs what it changes.

    header                 where govern is in the log, what is in preparation, what a rollback can reach
    parts                  which revision every lane and bucket has, and runs
    rules, features, lists the names of what is live and, for rules, of what ever was
    r NUL id, f…, l…       one rule with its last version (no rule if it was retired), feature text, declaration
    d NUL revision         what one accepted change made of the live set, both ways
    m NUL revision NUL n   its marks, a page of them
    e NUL name NUL entity NUL key   the mark that is open there
    i NUL id               what was answered to a change
    o NUL reference        a model that is live
    s NUL id               a change that waits for its time, or for its models
    models, trials         the references of live models; what waits for models, where there are any
    h NUL page             the hashes of 256 records of the log, 8 bytes each, 0 for none

Every value but the hashes is a version byte and MessagePack.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import msgspec

from control_stream.acks import Ack
from control_stream.live_models import LiveModel
from control_stream.live_set import Delta, LiveSet
from control_stream.marks import Mark, Place
from control_stream.trials import Trial
from mitra.errors import MitraError
from rules.outcomes import ListDeclaration
from rules.rule import Rule

STATE_VERSION = 1
_HEAD = bytes((STATE_VERSION,))
_MARKS_PAGE = 1_000
_HASHES_PAGE = 256
_HASH_BYTES = 8


class Store(Protocol):
    """A flat key space: Flink MapState in the job, a dict in tests."""

    def get(self, key: str) -> bytes | None:
        """Return the value of a key, None where there is none."""

    def put_all(self, entries: dict[str, bytes]) -> None:
        """Write all entries."""

    def remove(self, key: str) -> None:
        """Forget a key; one that is not there is no error."""


class UnknownPieceError(MitraError):
    """A piece of govern's state has a version that this release doesn't read."""


class Header(msgspec.Struct, array_like=True):
    """Where govern is. `read` is the next offset of the control topic, `head` the last accepted revision.

    `preparing` is the group in preparation and `waiting` what comes after it, both as accepted revisions. `kept` can be
    undone by a rollback, and reaches back to the live set as of revision `trimmed`. `told` is the last (revision, read to)
    of the lanes. `scheduled` are the (wall clock, id) of changes whose time has not come.
    """

    read: int = 0
    head: int = 0
    activated: int = 0
    preparing: list[int] = []
    waiting: list[int] = []
    kept: list[int] = []
    trimmed: int = 0
    told: tuple[int, int] = (0, 0)
    scheduled: list[tuple[int, str]] = []


class Parts(msgspec.Struct, array_like=True):
    """The last revision that each history and decide bucket has ready, and that each lane and bucket runs."""

    ready: dict[str, list[int]] = {}
    active: dict[str, list[int]] = {}


class Accepted(msgspec.Struct, array_like=True):
    """What one accepted change made of the live set, what undoes that, and how many marks it has."""

    forward: Delta
    backward: Delta
    marks: int


class _LiveRule(msgspec.Struct, array_like=True):
    version: int
    rule: Rule | None


def _codec(kind: Any) -> tuple[Callable[[object], bytes], Callable[[bytes | None], Any]]:
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(kind)

    def encode(value: object) -> bytes:
        return _HEAD + encoder.encode(value)

    def decode(data: bytes | None) -> Any:
        if data is None:
            return None
        if data[:1] != _HEAD:
            found = f"version={data[0]}" if data else "0 bytes"
            msg = f"govern's state has {found}, this release reads {STATE_VERSION}; run the release that wrote it"
            raise UnknownPieceError(msg)
        return decoder.decode(memoryview(data)[1:])

    return encode, decode


_encode_header, _decode_header = _codec(Header)
_encode_parts, _decode_parts = _codec(Parts)
_encode_names, _decode_names = _codec(list[str])
_encode_rule, _decode_rule = _codec(_LiveRule)
_encode_text, _decode_text = _codec(str)
_encode_list, _decode_list = _codec(ListDeclaration)
_encode_model, _decode_model = _codec(LiveModel)
_encode_trials, _decode_trials = _codec(list[Trial])
_encode_accepted, _decode_accepted = _codec(Accepted)
_encode_marks, _decode_marks = _codec(list[Mark])
_encode_mark, _decode_mark = _codec(Mark)
_encode_ack, _decode_ack = _codec(Ack)
_encode_change, _decode_change = _codec(bytes)


class Pieces:
    """Govern's state in a store. `header`, `parts`, `trials` and `live` are held in memory; `save` writes what changed of them."""

    def __init__(self, store: Store) -> None:
        """Load what is held in memory."""
        self._store = store
        self.header: Header = _decode_header(store.get("header")) or Header()
        self.parts: Parts = _decode_parts(store.get("parts")) or Parts()
        self.trials: list[Trial] = _decode_trials(store.get("trials")) or []
        self._names: dict[str, list[str]] = {
            kind: _decode_names(store.get(kind)) or [] for kind in ("rules", "features", "lists", "models")
        }
        self._saved = self._held()
        self.live = self._load()

    def _held(self) -> dict[str, bytes]:
        return {
            "header": _encode_header(self.header),
            "parts": _encode_parts(self.parts),
            "trials": _encode_trials(self.trials),
        }

    def _load(self) -> LiveSet:
        get = self._store.get
        rules: dict[str, _LiveRule] = {name: _decode_rule(get(f"r\0{name}")) for name in self._names["rules"]}
        return LiveSet(
            {name: one.rule for name, one in rules.items() if one.rule is not None},
            {name: _decode_text(get(f"f\0{name}")) for name in self._names["features"]},
            {name: _decode_list(get(f"l\0{name}")) for name in self._names["lists"]},
            {name: one.version for name, one in rules.items()},
            {name: _decode_model(get(f"o\0{name}")) for name in self._names["models"]},
        )

    def save(self) -> None:
        """Write what is held in memory where it changed."""
        now = self._held()
        changed = {key: data for key, data in now.items() if data != self._saved[key]}
        if changed:
            self._store.put_all(changed)
            self._saved = now

    def accept(self, revision: int, after: LiveSet, marks: list[Mark]) -> None:
        """Keep an accepted change: the live set behind it, and its marks."""
        forward, backward = Delta.between(self.live, after), Delta.between(after, self.live)
        backward = msgspec.structs.replace(backward, versions={})
        entries = {f"d\0{revision}": _encode_accepted(Accepted(forward, backward, len(marks)))}
        for page in range(0, len(marks), _MARKS_PAGE):
            entries[f"m\0{revision}\0{page // _MARKS_PAGE}"] = _encode_marks(marks[page : page + _MARKS_PAGE])
        entries |= self._live_pieces(forward, after)
        opened = {mark.place: mark for mark in marks if mark.to_revision is None}
        entries |= {_mark_key(place): _encode_mark(mark) for place, mark in opened.items()}
        self._store.put_all(entries)
        for mark in marks:
            if mark.place not in opened:
                self._store.remove(_mark_key(mark.place))
        self.live = after
        self.header.head = revision
        self.header.waiting.append(revision)
        self.header.kept.append(revision)

    def _live_pieces(self, delta: Delta, after: LiveSet) -> dict[str, bytes]:
        entries: dict[str, bytes] = {}
        for name in {**delta.rules, **delta.versions}:
            entries[f"r\0{name}"] = _encode_rule(_LiveRule(after.versions[name], after.rules.get(name)))
        entries |= {f"f\0{name}": _encode_text(text) for name, text in delta.features.items() if text is not None}
        entries |= {f"l\0{name}": _encode_list(one) for name, one in delta.lists.items() if one is not None}
        entries |= {f"o\0{name}": _encode_model(one) for name, one in delta.models.items() if one is not None}
        for kind, prefix, names in (
            ("rules", "r", after.versions),
            ("features", "f", after.features),
            ("lists", "l", after.lists),
            ("models", "o", after.models),
        ):
            if list(names) != self._names[kind]:
                for gone in set(self._names[kind]).difference(names):
                    self._store.remove(f"{prefix}\0{gone}")
                self._names[kind] = list(names)
                entries[kind] = _encode_names(self._names[kind])
        return entries

    def accepted(self, revision: int) -> Accepted:
        """Return what an accepted change made, one that is kept."""
        found: Accepted = _decode_accepted(self._store.get(f"d\0{revision}"))
        return found

    def marks(self, revision: int) -> Iterator[Mark]:
        """Go over the marks of an accepted change that is kept."""
        for page in range(-(-self.accepted(revision).marks // _MARKS_PAGE)):
            yield from _decode_marks(self._store.get(f"m\0{revision}\0{page}"))

    def trim(self, revisions: Iterable[int]) -> None:
        """Forget the oldest accepted changes, those given: no rollback will reach back over them."""
        for revision in revisions:
            for page in range(-(-self.accepted(revision).marks // _MARKS_PAGE)):
                self._store.remove(f"m\0{revision}\0{page}")
            self._store.remove(f"d\0{revision}")
            self.header.kept.remove(revision)
            self.header.trimmed = revision

    def open_mark(self, place: Place) -> Mark | None:
        """Return the mark that is open at a place."""
        found: Mark | None = _decode_mark(self._store.get(_mark_key(place)))
        return found

    def answer(self, change_id: str) -> Ack | None:
        """Return what was answered to a change."""
        found: Ack | None = _decode_ack(self._store.get(f"i\0{change_id}"))
        return found

    def remember(self, ack: Ack) -> None:
        """Keep an answer for the next change with that id."""
        self._store.put_all({f"i\0{ack.id}": _encode_ack(ack)})

    def schedule(self, at_ms: int, change_id: str, data: bytes) -> None:
        """Keep a change until its time."""
        self._store.put_all({f"s\0{change_id}": _encode_change(data)})
        self.header.scheduled.append((at_ms, change_id))

    def try_out(self, trial: Trial, data: bytes) -> None:
        """Keep a change until its models are loaded."""
        self._store.put_all({f"s\0{trial.id}": _encode_change(data)})
        self.trials.append(trial)

    def take_waiting(self, change_id: str) -> bytes | None:
        """Return a change that waited for its time or its models, and waits no more."""
        data: bytes | None = _decode_change(self._store.get(f"s\0{change_id}"))
        self._store.remove(f"s\0{change_id}")
        self.header.scheduled = [one for one in self.header.scheduled if one[1] != change_id]
        self.trials = [one for one in self.trials if one.id != change_id]
        return data

    def hash_at(self, offset: int) -> int:
        """Return the hash of the record that was read at an offset, 0 if none was."""
        page = self._store.get(f"h\0{offset // _HASHES_PAGE}") or b""
        start = offset % _HASHES_PAGE * _HASH_BYTES
        return int.from_bytes(page[start : start + _HASH_BYTES], "little", signed=True)

    def note_hash(self, offset: int, content: int) -> None:
        """Keep the hash of the record at an offset."""
        key = f"h\0{offset // _HASHES_PAGE}"
        page = self._store.get(key) or b""
        start = offset % _HASHES_PAGE * _HASH_BYTES
        cell = content.to_bytes(_HASH_BYTES, "little", signed=True)
        self._store.put_all({key: page.ljust(start, b"\0")[:start] + cell})


def _mark_key(place: Place) -> str:
    return "e\0" + "\0".join(place)
