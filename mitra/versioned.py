"""State whose first byte is its version."""

from mitra.errors import MitraError


def rest_of(data: bytes, version: int, what: str, error: type[MitraError]) -> memoryview:
    """Return what stands behind the version byte. Raises `error`, which names `what` ("a page of marks has"), for another version."""
    if not data or data[0] != version:
        found = f"version={data[0]}" if data else "0 bytes"
        raise error(f"{what} {found}, this release reads {version}; run the release that wrote the state")
    return memoryview(data)[1:]
