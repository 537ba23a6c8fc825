"""Free ports on the loopback address."""

import random
import socket

from mitra.errors import MitraError

LOOPBACK = "127.0.0.1"
_LOWEST, _HIGHEST = 20_000, 32_000
"""Below the range (32768 and up) from which systems take the local end of outgoing connections: nobody grabs one by chance."""


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Return that many different free ports, chosen at random so that two processes seldom choose alike."""
    candidates = random.SystemRandom().sample(range(_LOWEST, _HIGHEST), 200 + count)
    found: list[int] = []
    for port in candidates:
        if is_free(port):
            found.append(port)
            if len(found) == count:
                return found
    raise MitraError(f"too few free ports; wanted={count}, between={_LOWEST} and {_HIGHEST}; end what listens there")
