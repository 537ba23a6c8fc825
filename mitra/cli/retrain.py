"""`mitra retrain PIPELINE`: a challenger out of the log, pushed if it is better than the champion; again and again under --watch."""

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from mitra.cli.changing import add_key, add_reading, add_waiting, make, open_session
from mitra.cli.console import print_json
from mitra.cli.replay import label_delay_ms
from mitra.cli.span import known_by_ms
from mitra.errors import MitraError
from mitra.pipeline import Pipeline, load_pipeline
from mitra.retrain.run import Came, retrain_once, settings_of

if TYPE_CHECKING:
    from models.model import Model

POLL_S = 5.0
NICE = 19
"""Retraining can wait: a payment that is decided on the same machine goes first."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.usage = "mitra retrain PIPELINE [--log DIR] [--no-push] [--watch] [options]"
    add_reading(parser)
    add_waiting(parser)
    add_key(parser)
    parser.add_argument("--author", metavar="NAME", help="who pushes (default: the key's, your user name)")
    parser.add_argument("--log", type=Path, metavar="DIR", help="where the job's log lies (default: the pipeline's)")
    parser.add_argument(
        "--labels", type=Path, nargs="+", default=[], metavar="FILE", help="the labels; those of the log, if not given"
    )
    parser.add_argument(
        "--label-delay", metavar="TIME", help="how long after its transaction an undated label is known"
    )
    parser.add_argument("--as-of", metavar="TIME", help="what became known later doesn't count; now, if not given")
    parser.add_argument(
        "--champion", type=Path, metavar="DIR", help="hold it against this artefact (default: the live champion)"
    )
    parser.add_argument(
        "--push",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="put it into the job (default), or only write it",
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="cores it takes (1); more on a machine where no job runs"
    )
    parser.add_argument("--mlflow", metavar="EXPERIMENT", help="log what ships to MLflow and register it there")
    parser.add_argument("--watch", action="store_true", help="go on: on a drift or quality alarm, and by schedule")


def run(args: argparse.Namespace) -> int:
    """Retrain and tell: 0 where both were judged, whichever is better; 1 where the better one couldn't be pushed."""
    if args.threads < 1:
        raise MitraError(f"--threads={args.threads} can't work; give 1 or more")
    os.nice(NICE)
    pipeline = load_pipeline(args.pipeline, args.bootstrap)
    settings_of(pipeline)
    for path in args.labels:
        if not path.is_file():
            raise MitraError(f"there is no file {path}")
    log = args.log or _own_log(pipeline)
    if args.watch:
        if args.as_of:
            raise MitraError("--watch and --as-of exclude each other: under watch it is always now")
        return _watch(args, pipeline, log)
    as_of_ms = int(time.time() * 1000) if args.as_of is None else known_by_ms(args.as_of, "--as-of")
    return _once(args, pipeline, log, as_of_ms, "by hand")


def _own_log(pipeline: Pipeline) -> Path:
    found = None if pipeline.log is None else urlparse(pipeline.log.uri)
    if found is None or found.scheme != "file":
        said = "names no log" if found is None else f"keeps its log at {found.geturl()}"
        raise MitraError(f"pipeline {pipeline.name} {said}; give --log DIR, a folder that holds it")
    return Path(unquote(found.path))


def _once(args: argparse.Namespace, pipeline: Pipeline, log: Path, as_of_ms: int, why: str) -> int:
    with _champion(args, pipeline) as champion:
        came = retrain_once(
            pipeline, log, as_of_ms=as_of_ms, champion=champion, why=why, labels=tuple(args.labels),
            label_delay_ms=label_delay_ms(args.label_delay), threads=args.threads,
        )  # fmt: skip
    pushed: list[dict[str, Any]] = []
    registered: str | None = None
    if not args.json:
        _tell(came)
    try:
        if came.artefact is None:
            return 0
        if args.mlflow is not None:
            from mitra.mlflow_store import log_model  # noqa: PLC0415 - an extra

            registered = log_model(came.artefact, args.mlflow)
            if not args.json:
                print(f"registered as {registered}")
        return _push(args, pipeline, came, why, pushed) if args.push else 0
    finally:
        if args.json:
            print_json({**_document(came), "registered": registered, "pushed": pushed})


@contextmanager
def _champion(args: argparse.Namespace, pipeline: Pipeline) -> "Iterator[Model | None]":
    """Load what a challenger is held against: the folder given, the live champion, or the pipeline's own model."""
    import tempfile  # noqa: PLC0415

    from models.artefact import load_model  # noqa: PLC0415 - xgboost takes seconds to import

    path = args.champion
    if path is None and args.push:
        with open_session(args) as session:
            live = session.replay.live.models
        artefact = next((one.artefact for one in live.values() if one.mode == "champion"), None)
        if artefact is not None:
            from mitra.model_fetch import fetch  # noqa: PLC0415

            with tempfile.TemporaryDirectory(prefix="mitra-champion-") as folder:
                fetch(artefact.uri, artefact.sha256, Path(folder), pipeline.limits.model_bytes)
                yield load_model(Path(folder))
                return
    if path is None and pipeline.model is not None:
        path = pipeline.model.path
    yield None if path is None else load_model(path)


def _push(args: argparse.Namespace, pipeline: Pipeline, came: Came, why: str, pushed: list[dict[str, Any]]) -> int:
    """Put the model, then make it what the pipeline says."""
    from mitra.control.changes import Wanted  # noqa: PLC0415
    from mitra.model_fetch import put_of  # noqa: PLC0415

    assert came.artefact is not None
    settings = settings_of(pipeline)
    _, put = put_of(str(came.artefact.absolute()))
    args.reason = f"retrained because of {why}: {_figures(came)}"
    args.id = args.effective_at = args.output = None
    status = make(args, [Wanted("model.put", str(came.reference), put)], pushed)
    if status or settings.becomes == "shadow":
        return status
    mode: dict[str, Any] = {"model": came.reference, "mode": settings.becomes}
    if settings.percent is not None:
        mode["percent"] = settings.percent
    return make(args, [Wanted("model.mode", str(came.reference), mode)], pushed)


def _figures(came: Came) -> str:
    held = (
        "no champion"
        if came.judged.champion is None
        else f"{came.judged.champion['average_precision']:.4f} of {came.champion}"
    )
    return f"average precision {came.judged.challenger['average_precision']:.4f} against {held} on {came.test}"


def _document(came: Came) -> dict[str, Any]:
    return {
        "better": came.artefact is not None,
        "model": came.reference,
        "artefact": None if came.artefact is None else str(came.artefact),
        "champion": came.champion,
        "test": came.test,
        **{name: value for name, value in dataclasses.asdict(came.judged).items() if name in ("rows", "frauds")},
        "challenger_measured": came.judged.challenger,
        "champion_measured": came.judged.champion,
    }


def _tell(came: Came) -> None:
    print(f"{_figures(came)}: {came.judged.rows:,} payments, {came.judged.frauds:,} frauds")
    print(f"{came.reference} → {came.artefact}" if came.artefact else "the champion stays")


def _watch(args: argparse.Namespace, pipeline: Pipeline, log: Path) -> int:
    """Retrain whenever it is time; what goes wrong is told, and tried again the next time. Ends with Ctrl-C."""
    from mitra.control.replay import said_by  # noqa: PLC0415
    from mitra.kafka_clients import tail  # noqa: PLC0415
    from mitra.retrain.watch import Watch  # noqa: PLC0415

    watch = Watch(settings_of(pipeline), int(time.time() * 1000))
    with tail(pipeline, pipeline.topics.monitor) as reader:
        while True:
            found = reader.poll(timeout_ms=int(POLL_S * 1000))
            watch.hear(said_by(message.value) for batch in found.values() for message in batch)
            now_ms = int(time.time() * 1000)
            why = watch.due(now_ms)
            if why is None:
                continue
            print(f"retraining because of {why}", file=sys.stderr, flush=True)
            try:
                _once(args, pipeline, log, now_ms, why)
            except MitraError as error:
                print(f"mitra retrain: {error}", file=sys.stderr, flush=True)
