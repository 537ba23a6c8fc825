"""`mitra train`: a model artefact from a replay's features and the labels."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mitra.cli.console import print_json, print_table
from mitra.duration import EXAMPLES, parse_duration_ms
from mitra.errors import MitraError
from mitra.log.names import LABELS
from mitra.monitoring.settings import Monitoring
from mitra.pipeline import Pipeline, load_pipeline

if TYPE_CHECKING:
    from models.dataset import CardSource, Dataset
    from models.labels import LabelSource
    from models.training import Order, Progress, Trained

_WINDOW = "FROM..TO, two dates (both days whole) or timestamps (TO not included), UTC"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.usage = (
        "mitra train PIPELINE --features DIR [--labels FILE] --train FROM..TO --test FROM..TO --output MODEL [options]"
    )
    parser.add_argument("pipeline", metavar="PIPELINE", help="the pipeline file the features are of")
    parser.add_argument(
        "--features",
        metavar="DIR",
        type=Path,
        required=True,
        help="the output folder of mitra replay or mitra training-set",
    )
    parser.add_argument(
        "--labels", metavar="FILE", type=Path, help="Parquet, CSV or JSON lines; a training set has its own"
    )
    parser.add_argument("--train", metavar="FROM..TO", required=True, help=f"what to fit on: {_WINDOW}")
    parser.add_argument(
        "--test", metavar="FROM..TO", required=True, help="what to measure on, after the training window"
    )
    parser.add_argument("--output", metavar="MODEL", type=Path, required=True, help="the artefact's folder")
    parser.add_argument("--overwrite", action="store_true", help="replace the artefact in that folder")
    parser.add_argument("--name", help="the model's name; the pipeline's, if not given")
    parser.add_argument("--version", help="the model's version; the training window's last day, if not given")
    parser.add_argument(
        "--params",
        metavar="FILE|NAME=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="XGBoost's parameters, one by one or a JSON or YAML file; defaults=xgboost leaves the rest to XGBoost",
    )
    parser.add_argument("--calibration", choices=("isotonic", "platt", "none"), default="isotonic")
    parser.add_argument("--folds", metavar="N", type=int, default=5, help="pieces of time for held-out scores (5)")
    parser.add_argument("--label-delay", metavar="7d", help="how long a label takes; labels.after, if not given")
    parser.add_argument(
        "--target-flagged-share", metavar="P", type=float, default=0.01, help="review or block this part at most (0.01)"
    )
    parser.add_argument(
        "--target-block-precision", metavar="P", type=float, default=0.9, help="of the blocked, frauds at least (0.9)"
    )
    parser.add_argument("--review", metavar="SCORE", type=float, help="review from this calibrated score")
    parser.add_argument("--block", metavar="SCORE", type=float, help="block from this calibrated score")
    parser.add_argument(
        "--transactions", metavar="FILE", type=Path, nargs="+", help="the replayed files, to measure cards with --card"
    )
    parser.add_argument("--card", metavar="ENTITY", help="the entity that is a card: adds card precision@100")
    parser.add_argument("--mlflow", metavar="EXPERIMENT", help="log the run to MLflow and register the model there")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Train, write the artefact and tell how good it is."""
    pipeline = load_pipeline(args.pipeline)
    # xgboost takes seconds to import: what is wrong with the call is told before.
    labels, cards = _label_source(pipeline, args), _card_source(pipeline, args)
    from models.artefact import check_replaceable, write_artefact  # noqa: PLC0415
    from models.training import train  # noqa: PLC0415

    check_replaceable(args.output, overwrite=args.overwrite)
    order = _order(pipeline, args, labels.after_ms)
    with _progress() as progress:
        data = _read(pipeline, args, labels, cards, order, progress)
        trained = train(data, order, progress)
    write_artefact(args.output, trained.manifest, trained.model, overwrite=args.overwrite)
    _tell(args, trained, data.unlabelled, None if args.mlflow is None else _registered(args))
    return 0


def _registered(args: argparse.Namespace) -> str:
    from mitra.mlflow_store import log_model  # noqa: PLC0415 - an extra

    return log_model(args.output, args.mlflow)


def _order(pipeline: Pipeline, args: argparse.Namespace, label_delay_ms: int) -> "Order":
    from models.parameters import read_parameters  # noqa: PLC0415
    from models.thresholds import Targets  # noqa: PLC0415
    from models.training import Order  # noqa: PLC0415
    from models.windows import parse_span, show_time  # noqa: PLC0415

    span = parse_span(args.train, "--train")
    targets = Targets(args.target_flagged_share, args.target_block_precision, args.review, args.block)
    return Order(
        pipeline=pipeline.name,
        name=args.name or pipeline.name,
        version=args.version or show_time(span.to_ms - 1)[:10],
        train=span,
        test=parse_span(args.test, "--test"),
        parameters=read_parameters(args.params),
        calibration=args.calibration,
        targets=targets,
        label_delay_ms=label_delay_ms,
        folds=args.folds,
        window_ms=(pipeline.monitoring or Monitoring()).window_ms,
    )


def _read(
    pipeline: Pipeline,
    args: argparse.Namespace,
    labels: "LabelSource",
    cards: "CardSource | None",
    order: "Order",
    progress: "Progress",
) -> "Dataset":
    from models.dataset import read_dataset  # noqa: PLC0415
    from models.windows import Span  # noqa: PLC0415

    chosen = pipeline.model.inputs if pipeline.model else ()
    return read_dataset(
        args.features,
        labels,
        list(chosen) or None,
        Span(order.train.from_ms, (order.test or order.train).to_ms),
        among=(*pipeline.features, *pipeline.micro_models),
        cards=cards,
        progress=lambda done, of: progress("reading", done, of),
    )


def _label_source(pipeline: Pipeline, args: argparse.Namespace) -> "LabelSource":
    from models.labels import LabelSource  # noqa: PLC0415

    if pipeline.labels is None:
        msg = f"{args.pipeline} has no section labels, so what is a fraud is not known; add one with id and label"
        raise MitraError(msg)
    after_ms = pipeline.labels.after_ms
    if args.label_delay is not None:
        delay_ms = parse_duration_ms(args.label_delay)
        if delay_ms is None:
            msg = f"--label-delay {args.label_delay!r} is not a length of time; allowed: {EXAMPLES}"
            raise MitraError(msg)
        after_ms = delay_ms
    path = args.labels or args.features / LABELS
    if args.labels is None and not path.is_file():
        raise MitraError(f"--features={args.features} has no {LABELS}, as a training set has; give --labels")
    return LabelSource(
        path=path,
        id=pipeline.labels.id,
        label=pipeline.labels.label,
        known_at=pipeline.labels.known_at,
        known_at_format=pipeline.labels.known_at_format,
        after_ms=after_ms,
        absent_is_legit=pipeline.labels.absent_is == "legit",
    )


def _card_source(pipeline: Pipeline, args: argparse.Namespace) -> "CardSource | None":
    if (args.card is None) != (args.transactions is None):
        msg = "--card and --transactions go together: whose payment it was stands in the transactions' files"
        raise MitraError(msg)
    if args.card is None:
        return None
    from models.dataset import CardSource  # noqa: PLC0415

    fields = {entity.name: entity.fields for entity in pipeline.entities}
    if args.card not in fields:
        msg = f"--card {args.card} is no entity of {args.pipeline}; its entities: {', '.join(fields)}"
        raise MitraError(msg)
    return CardSource(tuple(args.transactions), pipeline.decided.id, fields[args.card])


@contextmanager
def _progress() -> Iterator["Progress"]:
    """Show a bar for each stage on stderr while it lasts, if that is a terminal."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress as Bars  # noqa: PLC0415

    console = Console(stderr=True)
    with Bars(console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def show(stage: str, done: int, of: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage)
            bars.update(tasks[stage], completed=done, total=of)

        yield show


def _tell(args: argparse.Namespace, trained: "Trained", unlabelled: int, registered: str | None) -> None:
    manifest = trained.manifest
    found = {
        "model": f"{manifest.name}@{manifest.version}",
        "output": str(args.output),
        "features": len(manifest.features),
        "training": msgspec.to_builtins(manifest.training),
        "unlabelled": unlabelled,
        "not_yet_known": trained.not_yet_known,
        "thresholds": msgspec.to_builtins(manifest.thresholds),
        "metrics": manifest.metrics,
        **({} if registered is None else {"registered": registered}),
    }
    if args.json:
        print_json(found)
        return
    tested, held_out = manifest.metrics["test"], manifest.metrics["held_out"]
    rows = [
        [name, _show(tested[name]), _show(held_out.get(name))] for name in tested if name not in ("review", "block")
    ]
    for outcome in ("review", "block"):
        measures = tested.get(outcome, {})
        rows += [
            [f"{outcome} {name}", _show(value), _show(held_out[outcome][name])] for name, value in measures.items()
        ]
    print_table(["metric", "test", "held out"], rows, title=f"{found['model']} → {args.output}")
    if registered is not None:
        print(f"registered as {registered}")
    for name, why in (
        ("unlabelled", "no label"),
        ("not_yet_known", "a label not yet known when the test window begins"),
    ):
        if found[name]:
            print(f"left out: {found[name]} rows with {why}", file=sys.stderr)


def _show(value: float | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.4f}"
