"""Seeded streams of random numbers, one for each name, and the numbers that stand for things.

Every generator of the sample draws from a stream of its own, named after it. So a new scenario changes nothing of
what the others make: neither their draws nor their identifiers.
"""

import zlib

import numpy as np

from mitra.sample.columns import Floats, Ints, Words

_SEQUENCE_BITS = 40
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the random numbers of one name under one seed."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(zlib.crc32(name.encode()),))))


def mix(words: Words) -> Words:
    """Return each 64-bit number well mixed; different numbers stay different (the finaliser of SplitMix64)."""
    words = words + _GOLDEN
    words = (words ^ (words >> np.uint64(30))) * _MIX_1
    words = (words ^ (words >> np.uint64(27))) * _MIX_2
    mixed: Words = words ^ (words >> np.uint64(31))
    return mixed


def as_uniform(words: Words) -> Floats:
    """Return mixed 64-bit numbers as numbers in 0 … 1, 1 left out."""
    uniform: Floats = (words >> np.uint64(11)).astype(np.float64) / 2**53
    return uniform


class Numbers:
    """Numbers for new things (transactions, devices) of one name: never the same, never told apart by their look.

    A number is mix(24 bits of a hash of seed and name, 40 bits of a count): two names, or two seeds, don't meet
    unless those hashes do.
    """

    def __init__(self, seed: str | int, name: str) -> None:
        """Start counting at 1."""
        self._prefix = np.uint64((zlib.crc32(f"{seed} {name}".encode()) & 0xFFFFFF) << _SEQUENCE_BITS)
        self._next = 1

    def take(self, count: int) -> Words:
        """Return the next `count` numbers."""
        numbers = np.arange(self._next, self._next + count, dtype=np.uint64)
        self._next += count
        return mix(self._prefix | numbers)

    def of(self, things: Ints) -> Words:
        """Return the numbers of things that have a count of their own below 2^40: the same for the same thing."""
        return mix(self._prefix | things.astype(np.uint64))
