"""Reads rows that were written under another layout or list of conditions as if they had been written under the plan's."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mitra.errors import MitraError
from mitra.history import codec
from mitra.history.codec import Block
from mitra.history.columns import LOW_HALF, NOTE_FLAGS, NOTE_ID, NOTE_STATE, STORED
from mitra.history.conditions import Condition, Conditions
from mitra.history.entity import Record
from mitra.history.layout import GONE_KIND, Layout
from mitra.history.memory import ID
from mitra.history.plan import Plan
from mitra.history.store import Store, conditions_key, layout_key

_Array = NDArray[np.int64]
_NAN = int(np.array(np.nan).view(np.int64))


class Reader:
    """Takes blocks apart, whatever layout they are in, and remembers the descriptions it has looked up."""

    def __init__(self, plan: Plan) -> None:
        """Read for this plan."""
        self.plan = plan
        self._layouts = {plan.layout.fingerprint: plan.layout}
        self._conditions = {plan.conditions.fingerprint: list(plan.conditions.number)}
        self._now = (plan.layout.fingerprint, plan.conditions.fingerprint)
        self._columns = plan.stored_columns

    def block(self, data: bytes, store: Store) -> Block:
        """Return a header or segment with its rows in the plan's layout."""
        prints = codec.fingerprints(data)
        if prints == self._now:
            return codec.decode_block(data, self._columns)
        layout = self.layout(prints[0], store)
        conditions = self._list(prints[1], store)
        block = codec.decode_block(data, _stored_columns(layout, conditions))
        block.stored = self._widen(block, layout, conditions)
        return block

    def layout(self, fingerprint: int, store: Store) -> Layout:
        """Return the layout of a fingerprint, as the bucket describes it."""
        layout = self._layouts.get(fingerprint)
        if layout is None:
            layout = self._layouts[fingerprint] = Layout.decode(_described(store, layout_key(fingerprint)))
        return layout

    def _list(self, fingerprint: int, store: Store) -> list[Condition]:
        conditions = self._conditions.get(fingerprint)
        if conditions is None:
            conditions = Conditions.decode(_described(store, conditions_key(fingerprint)))
            self._conditions[fingerprint] = conditions
        return conditions

    def _widen(self, block: Block, old: Layout, old_conditions: Sequence[Condition]) -> _Array:
        """Return the rows in the plan's columns: by name, missing where the old layout had none, flags evaluated where new."""
        layout, conditions = self.plan.layout, self.plan.conditions
        rows = (
            block.stored.reshape(-1, block.rows)
            if block.rows
            else np.empty((_stored_columns(old, old_conditions), 0), np.int64)
        )
        kinds = np.full(256, GONE_KIND, np.int64)
        for kind, name in enumerate(old.events):
            if name in layout.events:
                kinds[kind] = layout.events.index(name)
        kind = kinds[rows[0] & 0xFF]
        # An event that is sent again with other fields has other content and is the same event: the old content is forgotten.
        content = rows[2] if old.fingerprint == layout.fingerprint else rows[2] & LOW_HALF
        columns = [(rows[0] >> 8 << 8) | kind, rows[1], content]
        for name in layout.numeric:
            there = name in old.numeric
            columns.append(rows[3 + old.numeric.index(name)] if there else np.full(block.rows, _NAN))
        text_at = 3 + len(old.numeric)
        none = np.zeros(block.rows, np.int64)
        columns += [rows[text_at + old.text.index(name)] if name in old.text else none for name in layout.text]
        flags_at = text_at + len(old.text)
        flags, missing = conditions.carry_over(old_conditions, rows[flags_at:].T)
        if missing:
            flags |= self._evaluate(block, columns, kind, missing)
        return np.ascontiguousarray(np.vstack([*columns, *flags.T])).ravel()

    def _evaluate(self, block: Block, columns: Sequence[_Array], kind: _Array, missing: Sequence[int]) -> _Array:
        layout = self.plan.layout
        numeric = len(layout.numeric)
        numbers = np.array(columns[3 : 3 + numeric], np.int64).reshape(numeric, block.rows).T.copy().view(np.float64)
        known = {hashed: codec.decode_text(text) for hashed, text in codec.decode_texts(block.texts).items()}
        hashes = np.array(columns[3 + numeric :], np.int64).reshape(len(layout.text), block.rows).T.tolist()
        texts = [[known.get(hashed) for hashed in row] for row in hashes]
        return self.plan.conditions.evaluate(kind.astype(np.uint8), columns[0] >> 8, numbers, texts, missing)

    def notes(self, data: bytes, head: Block, record: Record, rows: int, store: Store) -> _Array:
        """Return an entity's label notes, with flags as the plan's conditions number them."""
        old = self._list(head.conditions, store)
        notes = np.frombuffer(data, np.int64).reshape(-1, NOTE_FLAGS + _words(old)).copy()
        if head.conditions == self._now[1]:
            return notes
        conditions = self.plan.conditions
        flags, _ = conditions.carry_over(old, notes[:, NOTE_FLAGS:])
        words = record.words.reshape(-1, record.cap) if record.cap else np.empty((ID + 1, 0), np.int64)
        first = 1 + self._columns - conditions.words
        for note in np.flatnonzero(notes[:, NOTE_STATE] == STORED).tolist():
            found = np.flatnonzero(words[ID, :rows] == notes[note, NOTE_ID])
            if len(found):
                flags[note] = words[first : first + conditions.words, found[0]]
        return np.hstack([notes[:, :NOTE_FLAGS], flags])


def _stored_columns(layout: Layout, conditions: Sequence[Condition]) -> int:
    return 3 + len(layout.numeric) + len(layout.text) + _words(conditions)


def _words(conditions: Sequence[Condition]) -> int:
    return -(-len(conditions) // 62)


def _described(store: Store, key: str) -> bytes:
    data = store.get(key)
    if data is None:
        raise MitraError(f"key={key!r} is not in state, though rows of its layout are: the bucket's state is not whole")
    return data
