"""How a client reaches the service: its address, TLS, the token, and how soon it tries again to connect."""

from pathlib import Path
from typing import Any

import grpc

from mitra.errors import MitraError
from mitra.graph.settings import Transport

RECONNECT_MS = 500
"""Longest wait between tries to connect: a service that is back is used again within a second."""

_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", RECONNECT_MS),
    # A machine that is gone without a word closes no connection: pings find out.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 2_000),
]


def channel_arguments(transport: Transport) -> tuple[str, Any, list[tuple[str, int]]]:
    """Return target, credentials (None without TLS) and options of a channel. Raises MitraError for a missing file."""
    credentials = None if transport.ca_file is None else grpc.ssl_channel_credentials(read_file(transport.ca_file))
    return transport.address, credentials, _OPTIONS


def token_of(transport: Transport) -> str | None:
    """Return the token, None without one. Raises MitraError for a missing file."""
    return None if transport.token_file is None else read_file(transport.token_file).decode().strip()


def read_file(path: str | Path) -> bytes:
    """Return a file's bytes. Raises MitraError if it can't be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise MitraError(f"{path} can't be read: {error.strerror}") from error
