"""Stable 64-bit hashes of keys and texts: the same on every machine, in every release.

They lie in state and messages, so the function (XXH3, seed 0) can never change.
"""

import xxhash

_xxh3 = xxhash.xxh3_64_intdigest
_SIGN = 1 << 63
_WRAP = 1 << 64


def bytes_hash(data: bytes) -> int:
    """Return the signed 64-bit hash of some bytes; never 0, which stands for something missing."""
    value = _xxh3(data)
    return (value - _WRAP if value >= _SIGN else value) or 1


def text_hash(text: str) -> int:
    """Return the signed 64-bit hash of a text's UTF-8 bytes; never 0, which stands for a missing text."""
    value = _xxh3(text.encode())
    return (value - _WRAP if value >= _SIGN else value) or 1


def bucket_of(key: str, buckets: int) -> int:
    """Return the bucket, 0 … buckets-1, that the state of a key lives in."""
    return text_hash(key) % buckets
