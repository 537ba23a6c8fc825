"""A graph service that misbehaves: `python -m bench.graph_double HOST:PORT slow|failing|garbage|hung`, until it is ended."""

import asyncio
import sys

from tests.factories.graph import Double, failing, garbage, hung, slow

BEHAVIOURS = {"hung": hung, "slow": slow, "failing": failing, "garbage": garbage}


async def misbehave(address: str, name: str) -> None:
    """Serve until cancelled."""
    server = Double(BEHAVIOURS[name])
    server.port = int(address.rpartition(":")[2])
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(misbehave(*sys.argv[1:]))
