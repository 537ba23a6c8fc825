"""`mitra graph serve|load`: the graph service, and links and labels for it."""

import argparse
import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mitra.cli.console import print_json
from mitra.errors import MitraError
from mitra.graph.settings import Transport
from mitra.pipeline import load_pipeline

if TYPE_CHECKING:
    from mitra.graph.neo4j_store import Neo4jStore


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    serve = actions.add_parser("serve", help="answer who is connected to whom, until Ctrl-C", allow_abbrev=False)
    serve.add_argument("pipeline", metavar="PIPELINE", nargs="?", help="follow the edges topic of this pipeline")
    serve.add_argument("--bootstrap", metavar="HOST:PORT", help="another Kafka than the pipeline's")
    serve.add_argument(
        "--address", default="127.0.0.1:7070", metavar="HOST:PORT", help="where to listen (default: 127.0.0.1:7070)"
    )
    serve.add_argument("--data", type=Path, metavar="DIR", help="save the graph here and start from it again")
    serve.add_argument(
        "--store", choices=("embedded", "neo4j"), default="embedded", help="where the graph lies (default: embedded, in memory)"
    )  # fmt: skip
    serve.add_argument(
        "--neo4j-uri", metavar="URI", help="the database of --store neo4j (default: bolt://localhost:7687)"
    )
    serve.add_argument("--neo4j-user", metavar="NAME", help="its user (default: neo4j)")
    serve.add_argument("--neo4j-password-file", type=Path, metavar="FILE", help="a file with the user's password")
    serve.add_argument("--token-file", type=Path, metavar="FILE", help="answer only to who shows this token")
    serve.add_argument(
        "--tls-certificate", type=Path, metavar="FILE", help="serve over TLS, with this certificate (PEM)"
    )
    serve.add_argument("--tls-key", type=Path, metavar="FILE", help="the certificate's key (PEM)")
    serve.add_argument(
        "--communities-every", type=float, default=60.0, metavar="S", help="seconds between snapshots of the communities (default: 60; 0: none)"
    )  # fmt: skip
    serve.add_argument(
        "--save-every", type=float, default=300.0, metavar="S", help="seconds between saves (default: 300)"
    )
    serve.add_argument("--seconds", type=float, metavar="N", help="end after this time (default: at Ctrl-C)")
    load = actions.add_parser("load", help="bring links and labels from files to a running service", allow_abbrev=False)
    load.add_argument(
        "files", metavar="FILE", nargs="+", type=Path, help="records of the edges topic, one JSON object a line"
    )
    load.add_argument(
        "--address", default="127.0.0.1:7070", metavar="HOST:PORT", help="the service (default: 127.0.0.1:7070)"
    )
    load.add_argument("--ca-file", metavar="FILE", help="reach it over TLS; who signed its certificate (PEM)")
    load.add_argument("--token-file", metavar="FILE", help="the token to show")
    load.add_argument("--json", action="store_true", help="print the counts as JSON")


def run(args: argparse.Namespace) -> int:
    """Serve or load; 1 if that fails."""
    return _serve(args) if args.action == "serve" else _load(args)


def _serve(args: argparse.Namespace) -> int:
    from mitra.graph.server import Guard  # noqa: PLC0415 - gRPC is loaded where it serves
    from mitra.graph.serving import Serving, serve  # noqa: PLC0415

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    pipeline = None if args.pipeline is None else load_pipeline(args.pipeline, args.bootstrap)
    if pipeline is not None and pipeline.graph is None:
        raise MitraError(f"{args.pipeline} has no section graph; docs/graph.md says what belongs there")
    guard = Guard.read(args.token_file, args.tls_certificate, args.tls_key)
    what = Serving(
        address=args.address,
        pipeline=pipeline,
        folder=args.data,
        open_database=_database(args),
        guard=guard,
        communities_s=args.communities_every,
        save_s=args.save_every,
        seconds=args.seconds,
    )
    asyncio.run(serve(what, lambda line: print(line, flush=True)))
    return 0


def _database(args: argparse.Namespace) -> "Callable[[], Awaitable[Neo4jStore]] | None":
    """Return what connects to the database, None for the embedded store. Raises MitraError for options that don't fit."""
    given = [name for name in ("neo4j_uri", "neo4j_user", "neo4j_password_file") if getattr(args, name) is not None]
    if args.store == "embedded":
        if given:
            raise MitraError(f"--{given[0].replace('_', '-')} is for --store neo4j; the store is embedded")
        return None
    if args.data:
        raise MitraError(
            "--data keeps a graph that is in memory; with --store neo4j the database keeps it: leave it out"
        )
    try:
        from mitra.graph.neo4j_store import Neo4jPlace, open_store  # noqa: PLC0415 - the driver is optional
    except ModuleNotFoundError as error:
        raise MitraError(f"--store neo4j needs its driver ({error}): pip install 'mitra[neo4j]'") from error
    from mitra.graph.transport import read_file  # noqa: PLC0415 - gRPC is loaded where it serves

    path = args.neo4j_password_file
    password = None if path is None else read_file(path).decode().strip()
    place = Neo4jPlace(args.neo4j_uri or Neo4jPlace.uri, args.neo4j_user or Neo4jPlace.user, password)
    return lambda: open_store(place)


def _load(args: argparse.Namespace) -> int:
    from mitra.graph.loading import load, read_records  # noqa: PLC0415 - gRPC is loaded where it serves

    transport = Transport(args.address, args.ca_file, args.token_file)
    taken = known = 0
    for path in args.files:
        found = load(transport, read_records(path))
        taken, known = taken + found.taken, known + found.known
    if args.json:
        print_json({"taken": taken, "known": known})
    else:
        print(f"{taken:,} records taken, {known:,} were known already")
    return 0
