"""The service over gRPC: lookups, ingest, health, token and TLS; its communities; its snapshot on disk."""

import asyncio
import multiprocessing
import random
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from mitra.errors import MitraError
from mitra.graph import graph_pb2 as pb
from mitra.graph import snapshot
from mitra.graph.client import GraphClient
from mitra.graph.columns import node_key
from mitra.graph.community import Communities, find_communities
from mitra.graph.contract import LOOKUP
from mitra.graph.embedded import EmbeddedStore
from mitra.graph.features import Column, all_columns
from mitra.graph.loading import load, read_records
from mitra.graph.questions import Question
from mitra.graph.records import Edges, Judged, Link, Record, encode_record
from mitra.graph.server import GraphServer, Guard
from mitra.graph.service import GraphService
from mitra.graph.settings import Transport
from mitra.hashing import text_hash
from tests.factories.graph import settings

RING: list[Record] = [
    *(Edges(f"p{place}", 100 + place, [Link("customer", f"C{place}", "device", "D1")]) for place in range(5)),
    *(Edges(f"q{place}", 200 + place, [Link("customer", f"H{place}", "device", "D2")]) for place in range(3)),
    Judged("p0", fraud=True, known_at=150, version=1),
]


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


async def served(guard: Guard | None = None, *records: Record) -> tuple[GraphServer, GraphService, int]:
    service = GraphService(EmbeddedStore())
    await service.ingest(records or RING)
    server = GraphServer(service, guard)
    return server, service, await server.start("127.0.0.1:0")


def value(client: GraphClient, answer: Any, name: str, kind: str = "") -> float:
    return float(np.frombuffer(answer.values)[client._columns.index(Column(name, kind))])


def test_a_lookup_over_the_wire() -> None:
    async def work() -> None:
        server, service, port = await served()
        await service.find()
        client = GraphClient(settings(f"127.0.0.1:{port}", timeout_ms=20_000, cache_ms=0))
        ring, new, early = await client.ask(
            [Question("device", "D1", 1_000), Question("customer", "new", 1_000), Question("device", "D1", 120)]
        )
        assert value(client, ring, "degree", "customer") == 5
        assert value(client, ring, "frauds_1_hop") == 1
        assert value(client, ring, "community_size") == 6
        assert value(client, ring, "community_fraud_share") == pytest.approx(2 / 6)
        assert value(client, ring, "community_age") == pytest.approx((1_000 - 202) / 1000)
        assert value(client, new, "degree") == 0
        assert np.isnan(value(client, new, "community_size"))
        assert value(client, early, "frauds_1_hop") == 0
        # The snapshot is younger than what is asked.
        assert np.isnan(value(client, early, "community_size"))
        assert client.figures.newest_ms == 202
        await client.close()
        await server.stop(0)

    run(work())


def test_health_says_whether_the_topic_has_been_read() -> None:
    async def work() -> None:
        server, _, port = await served()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            check = HealthStub(channel).Check
            asked = health_pb2.HealthCheckRequest(service="mitra.graph.v1.Graph")
            assert (await check(asked)).status == health_pb2.HealthCheckResponse.NOT_SERVING
            await server.ready()
            assert (await check(asked)).status == health_pb2.HealthCheckResponse.SERVING
        await server.stop(0)

    run(work())


def test_who_has_no_token_gets_no_answer_and_loads_nothing(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    lines = tmp_path / "edges.jsonl"
    lines.write_bytes(b"\n".join(encode_record(record) for record in RING))

    async def work() -> None:
        server, _, port = await served(Guard.read(token, None, None), RING[0])
        address = f"127.0.0.1:{port}"
        stranger = GraphClient(settings(address, timeout_ms=5_000))
        assert await stranger.ask([Question("device", "D1", 1_000)]) == [None]
        friend = GraphClient(settings(transport=Transport(address, token_file=str(token)), timeout_ms=20_000))
        assert (await friend.ask([Question("device", "D1", 1_000)]))[0] is not None
        loop = asyncio.get_running_loop()
        with pytest.raises(MitraError, match="UNAUTHENTICATED"):
            await loop.run_in_executor(None, load, Transport(address), read_records(lines))
        taken = await loop.run_in_executor(None, load, Transport(address, token_file=str(token)), read_records(lines))
        assert taken == (len(RING) - 1, 1)
        for client in (stranger, friend):
            await client.close()
        await server.stop(0)

    run(work())


def test_a_guard_that_is_half_there_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    with pytest.raises(MitraError, match="TLS needs both"):
        Guard.read(None, empty, None)
    with pytest.raises(MitraError, match="is empty"):
        Guard.read(empty, None, None)
    with pytest.raises(MitraError, match=r"nowhere can't be read: No such file"):
        Guard.read(tmp_path / "nowhere", None, None)


def test_over_tls(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    self_signed(certificate, key)

    async def work() -> None:
        server, _, port = await served(Guard.read(None, certificate, key))
        transport = Transport(f"localhost:{port}", ca_file=str(certificate))
        client = GraphClient(settings(transport=transport, timeout_ms=20_000))
        assert (await client.ask([Question("device", "D1", 1_000)]))[0] is not None
        plain = GraphClient(settings(f"localhost:{port}", timeout_ms=500))
        assert await plain.ask([Question("device", "D1", 1_000)]) == [None]
        for one in (client, plain):
            await one.close()
        await server.stop(0)

    run(work())


def self_signed(certificate: Path, key: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def test_wrong_questions_are_told_so() -> None:
    async def work() -> None:
        server, _, port = await served()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            lookup = channel.unary_unary(LOOKUP, pb.LookupRequest.SerializeToString, pb.LookupReply.FromString)
            for feature in (pb.Feature(name="fame"), pb.Feature(name="fan_in"), pb.Feature(name="degree", over_ms=1)):
                with pytest.raises(grpc.aio.AioRpcError, match="feature="):
                    await lookup(pb.LookupRequest(groups=[pb.Group(type="device", features=[feature])]))
        await server.stop(0)

    run(work())


def test_the_same_links_in_any_order_give_the_same_communities() -> None:
    async def work() -> None:
        numbers = random.Random(5)
        records: list[Record] = [
            Edges(f"p{place}", place, [Link("customer", f"C{place // 4}", "device", f"D{numbers.randrange(30)}")])
            for place in range(120)
        ]
        found = []
        for _ in range(2):
            store = EmbeddedStore()
            await store.ingest(records)
            found.append(find_communities(await store.links(1_000), 1_000))
            numbers.shuffle(records)
        for one, other in zip(*found, strict=True):
            np.testing.assert_array_equal(one, other)

    run(work())


def test_a_snapshot_brings_everything_back(tmp_path: Path) -> None:
    async def work() -> None:
        service = GraphService(EmbeddedStore())
        await service.ingest(RING[:6])
        await service.find()
        store = service.store
        assert isinstance(store, EmbeddedStore)
        saved = snapshot.Saved(store.columns, service.communities, "edges", {0: 7})
        snapshot.write(snapshot.pack(saved), tmp_path)
        back = snapshot.read(tmp_path)
        assert back is not None
        assert (back.topic, back.offsets) == ("edges", {0: 7})
        restored = GraphService(EmbeddedStore(back.columns), back.communities)
        columns = all_columns(("customer", "device"), (1_000,))
        asked = [
            Question(kind, name, moment)
            for kind in ("customer", "device")
            for name in ("C0", "D1", "D2")
            for moment in (120, 160, 999)
        ]
        for rest in (RING[6:], RING):
            assert await service.ingest(rest) == await restored.ingest(rest)
            one, other = await service.answer(asked, columns), await restored.answer(asked, columns)
            np.testing.assert_array_equal(one.values, other.values)

    run(work())


def test_no_snapshot_is_a_start_and_a_broken_one_an_error(tmp_path: Path) -> None:
    assert snapshot.read(tmp_path) is None
    (tmp_path / snapshot.FILE).write_bytes(b"no snapshot")
    with pytest.raises(snapshot.SnapshotError, match="move it away"):
        snapshot.read(tmp_path)


def test_communities_answer_only_what_is_asked_later() -> None:
    async def work() -> None:
        store = EmbeddedStore()
        await store.ingest(RING)
        snapshots = [find_communities(await store.links(moment), moment) for moment in (110, 300)]
        communities = Communities(reversed(snapshots))
        values = np.full((4, 1), np.nan)
        node = text_hash(node_key("device", "D2"))
        communities.fill(values, {"community_size": 0}, [node] * 4, [100, 300, 301, 999])
        np.testing.assert_array_equal(values[:, 0], [np.nan, np.nan, 4, 4])
        communities.add(find_communities(await EmbeddedStore().links(500), 500))  # of no links at all
        values = np.full((3, 1), np.nan)
        communities.fill(values, {"community_size": 0}, [node, 1, node], [501, 301, 301])
        np.testing.assert_array_equal(values[:, 0], [np.nan, np.nan, 4])

    run(work())


def test_communities_are_found_on_after_what_finds_them_was_killed() -> None:
    async def work() -> None:
        service = GraphService(EmbeddedStore())
        await service.ingest(RING)

        async def until(time_ms: int) -> None:
            async with asyncio.timeout(120):
                while not (found := service.communities.snapshots) or found[-1].time_ms < time_ms:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

        before = set(multiprocessing.active_children())
        finding = asyncio.create_task(service.keep_finding(0.05))
        await until(1)
        for process in set(multiprocessing.active_children()) - before:
            process.kill()
            process.join()
        await service.ingest([Edges("later", 5_000, [Link("customer", "C", "device", "D")])])
        await until(5_000)
        finding.cancel()
        await asyncio.gather(finding, return_exceptions=True)

    run(work())
