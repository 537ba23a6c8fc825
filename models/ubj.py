"""Universal Binary JSON, the format of `model.ubj`, read with every length checked.

XGBoost's own reader trusts its bytes: an empty or cut file ends the process instead of raising. So the bytes are read here
first. Source of the format: https://ubjson.org/type-reference; numbers are big-endian.
"""

import struct
from typing import Any

import numpy as np

from models.errors import ModelError

# XGBoost nests a model five deep.
_MAX_DEPTH = 32

_NUMBERS = {
    b"i": struct.Struct(">b"),
    b"U": struct.Struct(">B"),
    b"I": struct.Struct(">h"),
    b"l": struct.Struct(">i"),
    b"L": struct.Struct(">q"),
    b"d": struct.Struct(">f"),
    b"D": struct.Struct(">d"),
}
_ARRAYS = {b"i": ">i1", b"U": ">u1", b"I": ">i2", b"l": ">i4", b"L": ">i8", b"d": ">f4", b"D": ">f8"}
_CONSTANTS = {b"Z": None, b"T": True, b"F": False}


def read_ubj(content: bytes) -> Any:
    """Return the one value in `content`: typed arrays as NumPy arrays, the rest as JSON's types.

    Raises `ModelError` with the place of the first byte that can't be read.
    """
    reader = _Reader(content)
    value = reader.value(reader.take(1), 0)
    if reader.place != len(content):
        raise reader.fault(f"{len(content) - reader.place} bytes after the end")
    return value


class _Reader:
    """A place in the bytes that only moves forward."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.place = 0

    def fault(self, what: str) -> ModelError:
        return ModelError(f"at byte {self.place} of {len(self._content)}: {what}")

    def take(self, size: int) -> bytes:
        if not 0 <= size <= len(self._content) - self.place:
            raise self.fault(f"{size} bytes are announced, {len(self._content) - self.place} are left")
        self.place += size
        return self._content[self.place - size : self.place]

    def value(self, marker: bytes, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise self.fault(f"nested deeper than {_MAX_DEPTH}")
        if marker == b"{":
            return self._mapping(depth)
        if marker == b"[":
            return self._array(depth)
        if marker == b"S":
            return self._text()
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        return self._number(marker)

    def _number(self, marker: bytes) -> Any:
        shape = _NUMBERS.get(marker)
        if shape is None:
            raise self.fault(f"{marker!r} begins no value")
        return shape.unpack(self.take(shape.size))[0]

    def _size(self) -> int:
        size = self._number(self.take(1))
        if not isinstance(size, int) or size < 0:
            raise self.fault(f"{size} is not a size")
        return size

    def _text(self) -> str:
        try:
            return self.take(self._size()).decode()
        except UnicodeDecodeError as error:
            raise self.fault("a text is not UTF-8") from error

    def _peek(self, marker: bytes) -> bool:
        """Tell whether `marker` is next, and move past it if so."""
        found = self._content[self.place : self.place + 1] == marker
        self.place += found
        return found

    def _mapping(self, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        count = self._size() if self._peek(b"#") else None
        while len(values) != count if count is not None else not self._peek(b"}"):
            name = self._text()
            if name in values:
                raise self.fault(f"{name!r} is there twice")
            values[name] = self.value(self.take(1), depth + 1)
        return values

    def _array(self, depth: int) -> Any:
        if self._peek(b"$"):
            marker = self.take(1)
            kind = _ARRAYS.get(marker)
            if kind is None or not self._peek(b"#"):
                raise self.fault(f"{marker!r} begins no typed array")
            size = self._size()
            return np.frombuffer(self.take(size * np.dtype(kind).itemsize), dtype=kind)
        values: list[Any] = []
        count = self._size() if self._peek(b"#") else None
        while len(values) != count if count is not None else not self._peek(b"]"):
            values.append(self.value(self.take(1), depth + 1))
        return values
