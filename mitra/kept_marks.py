"""Who is on a list or has a rule snoozed: the marks of one history bucket's entities, in pages of its state.

    NUL marks           there for a bucket that has any
    NUL marks NUL page  a version byte, then entity NUL key → [[name, from revision, to revision, until ms], …]

An entry costs the page it lies in, whatever the number of entries; a payment costs nothing where a bucket has no marks.
Pages stay decoded in memory, some 200 bytes an entry.
"""

from collections.abc import Sequence

import msgspec

from control_stream.marks import Mark
from mitra.errors import MitraError
from mitra.hashing import text_hash
from mitra.history import Store
from mitra.versioned import rest_of

STATE_VERSION = 1
PAGES = 256

_ANY_KEY = "\0marks"
_HEAD = bytes((STATE_VERSION,))
_Kept = tuple[str, int, int | None, int | None]
_Page = dict[str, list[_Kept]]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Page).decode


class UnknownMarksError(MitraError):
    """A page of marks has a version that this release doesn't read."""


class KeptMarks:
    """The marks of one bucket."""

    def __init__(self, store: Store) -> None:
        """Look whether there are any."""
        self.any = store.get(_ANY_KEY) is not None
        self._pages: dict[int, _Page] = {}

    def take(self, marks: Sequence[Mark], oldest: int, store: Store) -> None:
        """Keep marks; one with the name and `from_revision` of another takes its place.

        Marks that were closed before revision `oldest`, the first that messages may still be stamped with, go.
        """
        changed: set[int] = set()
        for mark in marks:
            entity = f"{mark.entity}\0{mark.key}"
            number = text_hash(entity) % PAGES
            page = self._page(number, store)
            kept = [
                one
                for one in page.get(entity, [])
                if (one[0], one[1]) != (mark.name, mark.from_revision) and (one[2] is None or one[2] > oldest)
            ]
            if mark.to_revision is None or mark.to_revision > oldest:
                kept.append((mark.name, mark.from_revision, mark.to_revision, mark.until_ms))
            if kept:
                page[entity] = kept
            else:
                page.pop(entity, None)
            changed.add(number)
        if changed:
            entries = {_page_key(number): _HEAD + _encode(self._pages[number]) for number in changed}
            store.put_all({**entries, _ANY_KEY: _HEAD})
            self.any = True

    def names(self, entity: str, key: str, revision: int, time_ms: int, store: Store) -> list[str]:
        """Return the names of the marks that an entity has under a revision at an event's time."""
        marked = f"{entity}\0{key}"
        kept = self._page(text_hash(marked) % PAGES, store).get(marked)
        if kept is None:
            return []
        return [
            name
            for name, first, stop, until_ms in kept
            if first <= revision and (stop is None or revision < stop) and (until_ms is None or time_ms < until_ms)
        ]

    def _page(self, number: int, store: Store) -> _Page:
        page = self._pages.get(number)
        if page is None:
            data = store.get(_page_key(number))
            page = self._pages[number] = (
                {} if data is None else _decode(rest_of(data, STATE_VERSION, "a page of marks has", UnknownMarksError))
            )
        return page


def _page_key(number: int) -> str:
    return f"\0marks\0{number:x}"
