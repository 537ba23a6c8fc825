"""The integer keys that buckets and lanes have in Flink, chosen so that they spread evenly over subtasks.

Flink hashes a key, murmurs the hash into one of 128 key groups, and gives each subtask a range of groups; so the keys 0 and 1
may well land on the same subtask. DataStream and SQL hash the same int differently. The keys given here are the smallest ints
that land in the i-th of n equal ranges of key groups by both hashes: buckets spread evenly at every parallelism that divides
n, and a batch stays on its subtask from a SQL window to the keyed stage behind it.

The keys and MAX_PARALLELISM are part of the state's layout and can never change.
"""

from functools import lru_cache

MAX_PARALLELISM = 128
MAX_BUCKETS = 64

_MASK = 0xFFFFFFFF
_C1 = 0xCC9E2D51
_C2 = 0x1B873593
_SQL_SEED = 42
_SQL_ROW_BYTES = 16


def _mix_key(word: int) -> int:
    word = (word * _C1) & _MASK
    word = ((word << 15) | (word >> 17)) & _MASK
    return (word * _C2) & _MASK


def _mix_hash(code: int, word: int) -> int:
    code ^= _mix_key(word)
    code = ((code << 13) | (code >> 19)) & _MASK
    return (code * 5 + 0xE6546B64) & _MASK


def _finish(code: int, length: int) -> int:
    code ^= length
    code ^= code >> 16
    code = (code * 0x85EBCA6B) & _MASK
    code ^= code >> 13
    code = (code * 0xC2B2AE35) & _MASK
    return code ^ (code >> 16)


def _key_group(code: int) -> int:
    """Return the key group of a Java hash code (`KeyGroupRangeAssignment.computeKeyGroupForKeyHash`)."""
    mixed = _finish(_mix_hash(0, code & _MASK), 4)
    # Java's int: negative values are negated, and the one that can't be becomes 0.
    if mixed & 0x80000000:
        mixed = (1 << 32) - mixed
        mixed = 0 if mixed == 0x80000000 else mixed
    return mixed % MAX_PARALLELISM


def stream_key_group(key: int) -> int:
    """Return the key group of `Row.of(key)`, what a keyed stream of PyFlink is keyed by."""
    return _key_group(62 + key)


def sql_key_group(key: int) -> int:
    """Return the key group of a SQL row with one INT field (`BinaryRowData.hashCode`: 8 bytes of header, 8 of value)."""
    code = _SQL_SEED
    for word in (0, 0, key & _MASK, 0):
        code = _mix_hash(code, word)
    return _key_group(_finish(code, _SQL_ROW_BYTES))


@lru_cache
def spread_keys(count: int) -> tuple[int, ...]:
    """Return `count` distinct keys, the i-th in the i-th of `count` equal ranges of key groups.

    `count` is a power of two up to MAX_BUCKETS.
    """
    width = MAX_PARALLELISM // count
    keys: dict[int, int] = {}
    key = 0
    while len(keys) < count:
        place = stream_key_group(key) // width
        if place not in keys and sql_key_group(key) // width == place:
            keys[place] = key
        key += 1
    return tuple(keys[place] for place in range(count))


LOOKUP_KEY = -1
"""What intake's messages to the graph lookup have in the place of a bucket's key; they never reach a keyed stage."""
