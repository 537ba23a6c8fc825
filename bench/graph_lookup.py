"""Lookups on a graph of a million links, as a job makes them: `python -m bench.graph_lookup [--rate 500] [--seconds 30]`.

The service runs in a process of its own, the asking side in this one; a batch every 4 ms, each payment's nodes asked for all that
can be asked. Prints how long batches took, what came out of the cache, and what had no answer within the deadline.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.usage import Watch
from mitra.graph.client import GraphClient
from mitra.graph.columns import Columns
from mitra.graph.community import Communities, find_communities
from mitra.graph.embedded import link_table
from mitra.graph.questions import Question
from mitra.graph.records import Edges, Link
from mitra.graph.settings import GraphNode, GraphSettings, Transport
from mitra.graph.snapshot import Saved, pack, write
from mitra.local.ports import free_ports

NODES = tuple(GraphNode(name, f"{name}_id", name) for name in ("customer", "device", "address"))
BATCH_S = 0.004


def payer(numbers: np.random.Generator, customers: int) -> tuple[str, str, str]:
    """Draw a customer with one of their devices and their household's address."""
    customer = int(customers * numbers.random() ** 2)  # a few pay often
    return f"C{customer}", f"D{customer // 2 * 2 + int(numbers.integers(3))}", f"A{customer // 3}"


def make(links: int, customers: int, folder: Path, start_ms: int = 0) -> dict[str, float]:
    """Write a snapshot of a graph with so many links, a payment a second; return how long its parts took, in s."""
    numbers = np.random.default_rng(1)
    graph = Columns()
    started = time.perf_counter()
    for start in range(0, links // 2, 10_000):
        records = []
        for number in range(start, min(start + 10_000, links // 2)):
            customer, device, address = payer(numbers, customers)
            made = [Link("customer", customer, "device", device), Link("customer", customer, "address", address)]
            records.append(Edges(f"e{number}", start_ms + 1_000 * number, made))
        graph.add(records)
    taken = time.perf_counter()
    snapshot = find_communities(link_table(graph, graph.newest_ms), graph.newest_ms)
    found = time.perf_counter()
    data = pack(Saved(graph, Communities([snapshot])))
    write(data, folder)
    return {
        "links": graph.links,
        "nodes": len(graph.nodes),
        "load_s": round(taken - started, 1),
        "communities_s": round(found - taken, 1),
        "snapshot_mb": round(len(data) / 1e6, 1),
        "save_s": round(time.perf_counter() - found, 1),
    }


async def drive(settings: GraphSettings, rate: int, seconds: float, customers: int, from_ms: int) -> dict[str, object]:
    """Ask as a job would, and return the figures of the batches."""
    client = GraphClient(settings)
    numbers = np.random.default_rng(2)
    while (await client.ask([Question("customer", "C0", from_ms)]))[0] is None:  # noqa: ASYNC110 - until the service is up
        await asyncio.sleep(0.1)
    client.figures.take()
    took: list[float] = []
    tasks: set[asyncio.Task[None]] = set()

    async def batch(questions: list[Question]) -> None:
        started = time.perf_counter()
        await client.ask(questions)
        took.append((time.perf_counter() - started) * 1000)

    started, cpu_s = time.perf_counter(), time.process_time()
    paid = 0
    while (elapsed := time.perf_counter() - started) < seconds:
        questions = []
        while paid < elapsed * rate:
            paid += 1
            names = payer(numbers, customers)
            questions += [
                Question(node.type, name, from_ms + paid * 1000 // rate)
                for node, name in zip(NODES, names, strict=True)
            ]
        if questions:
            task = asyncio.create_task(batch(questions))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.sleep(BATCH_S)
    await asyncio.gather(*tasks)
    cpu_s = time.process_time() - cpu_s
    ordered = sorted(took)
    figures = client.lookups()
    await client.close()
    return {
        "payments": paid,
        "features_a_payment": settings.width,
        "p50_ms": round(ordered[len(ordered) // 2], 2),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)], 2),
        "slowest_ms": round(ordered[-1], 2),
        "hit_share": figures["hit_share"],
        "asking_us_a_payment": round(cpu_s / paid * 1e6),
        "nodes_without_answer": figures["degraded"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--links", type=int, default=1_000_000)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=30.0)
    args = parser.parse_args()
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(make(args.links, args.customers, Path(folder))), flush=True)
        address = f"127.0.0.1:{port}"
        command = [sys.executable, "-m", "mitra.cli", "graph", "serve", "--address", address, "--data", folder]
        service = subprocess.Popen(command)
        try:
            settings = GraphSettings(Transport(address), NODES, (), (86_400_000, 7 * 86_400_000))
            with Watch({"service": service.pid}) as watch:
                figures = asyncio.run(drive(settings, args.rate, args.seconds, args.customers, 1_000 * args.links))
            spent_s = watch.result()["service"]["cpu_s"]
            # With the start, which reads the snapshot and compiles or loads what was compiled.
            print(json.dumps({**figures, "service_cpu_s": round(spent_s, 2)}))
        finally:
            service.terminate()
            service.wait(60)


if __name__ == "__main__":
    main()
