"""Where a bucket's bytes live, and how the keys of one entity's values are formed."""

from typing import Protocol


class Store(Protocol):
    """One bucket's flat key space: Flink MapState in the job, a dict in tests."""

    def get(self, key: str) -> bytes | None:
        """Return the value of a key, None where there is none."""

    def put_all(self, entries: dict[str, bytes]) -> None:
        """Write all entries."""

    def remove(self, key: str) -> None:
        """Forget a key; one that is not there is no error."""


class MemoryStore:
    """A bucket in a dict."""

    def __init__(self, data: dict[str, bytes] | None = None) -> None:
        """Keep the entries in `data`."""
        self.data: dict[str, bytes] = {} if data is None else data

    def get(self, key: str) -> bytes | None:
        """Return the value of a key, None where there is none."""
        return self.data.get(key)

    def put_all(self, entries: dict[str, bytes]) -> None:
        """Write all entries."""
        self.data.update(entries)

    def remove(self, key: str) -> None:
        """Forget a key; one that is not there is no error."""
        self.data.pop(key, None)

    def items(self) -> list[tuple[str, bytes]]:
        """Return all entries."""
        return list(self.data.items())


# A header's key is `entity NUL key`. Every other key starts with NUL, its kind, and ends with the header's key, so no
# entity key, whatever characters it holds, can name another's value.


def header_key(entity: str, key: str) -> str:
    """Return the key of an entity's header."""
    return f"{entity}\0{key}"


def segment_key(header: str, number: int) -> str:
    """Return the key of one of an entity's sealed segments."""
    return f"\0s{number:x}\0{header}"


def tiles_key(header: str) -> str:
    """Return the key of an entity's tiles, totals and sketches."""
    return f"\0t\0{header}"


def labels_key(header: str) -> str:
    """Return the key of an entity's labels, when they are too many for its header."""
    return f"\0l\0{header}"


def layout_key(fingerprint: int) -> str:
    """Return the key of a layout's description."""
    return f"\0layout\0{fingerprint}"


def conditions_key(fingerprint: int) -> str:
    """Return the key of the list of conditions that flag bits stand for."""
    return f"\0conditions\0{fingerprint}"


def day_key(day: int, chunk: int) -> str:
    """Return the key of one chunk of a day's list of entities to look at."""
    return f"\0day\0{day}\0{chunk}"


def journal_key(number: int) -> str:
    """Return the key of an entry of the bucket's journal."""
    return f"\0journal\0{number:x}"


JOURNAL_KEY = "\0journal"
DAYS_KEY = "\0days"
