"""`mitra graph serve|load`: the graph service, and links and labels for it."""

import argparse
import asyncio
import logging
from pathlib import Path

from mitra.cli.console import print_json
from mitra.errors import MitraError
from mitra.graph.settings import Transport
from mitra.pipeline import load_pipeline


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
        guard=guard,
        communities_s=args.communities_every,
        save_s=args.save_every,
        seconds=args.seconds,
    )
    asyncio.run(serve(what, lambda line: print(line, flush=True)))
    return 0


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
