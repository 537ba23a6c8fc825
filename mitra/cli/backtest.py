"""`mitra rules test PIPELINE FILE… --on PAYMENTS…`: what rules would have done, before they are live."""

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitra.cli.changing import open_session
from mitra.cli.console import print_json, print_table, progress_bar
from mitra.cli.replay import PARALLELISMS, add_events, check_parallelism, event_files, label_delay_ms
from mitra.errors import MitraError
from mitra.pipeline import load_pipeline

if TYPE_CHECKING:
    from mitra.backtest.figures import Caught, Figures, RuleFigures
    from mitra.backtest.trial import Trial
    from mitra.replay.run import Replayed

_PAIRS_SHOWN = 20


def add_test_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments behind PIPELINE."""
    parser.usage = f"{parser.prog} PIPELINE FILE… --on PAYMENTS… [options]"
    parser.add_argument("files", metavar="FILE", nargs="+", help="a rule file, or a folder of them")
    parser.add_argument(
        "--on", type=Path, nargs="+", required=True, metavar="PAYMENTS",
        help="past payments: Parquet, CSV or JSON lines, or folders of them; or a folder that `mitra replay` wrote",
    )  # fmt: skip
    add_events(parser)
    parser.add_argument(
        "--labels", type=Path, nargs="+", default=[], metavar="LABELS", help="the labels, by transaction id"
    )
    parser.add_argument(
        "--label-delay",
        metavar="TIME",
        help="how long after its transaction a label is known, such as 7d, where the file doesn't say",
    )
    parser.add_argument("--live", action="store_true", help="beside the rules that are live now")
    parser.add_argument(
        "--lists", action="store_true",
        help="with the lists and snoozes of the files; with --live, with those that are live too",
    )  # fmt: skip
    parser.add_argument(
        "--amount",
        metavar="FIELD",
        help="what a payment is worth: a field, or an expression (default: the field amount, if there is one)",
    )
    parser.add_argument(
        "--parallelism", type=int, default=1, metavar="N", help=f"{', '.join(map(str, PARALLELISMS))} (default: 1)"
    )


def run_test(args: argparse.Namespace) -> int:
    """Replay under the rules, and tell what they came to."""
    from mitra.backtest.run import (  # noqa: PLC0415 - heavy modules, when needed
        Payments,
        find_payments,
        replayed_folder,
        run_backtest,
        run_on_table,
    )

    check_parallelism(args.parallelism)
    for path in args.labels:
        if not path.is_file():
            raise MitraError(f"there is no file {path}")
    folder = replayed_folder(args.on)
    pipeline = load_pipeline(args.pipeline)
    events = event_files(args.events, pipeline)
    if folder is not None and events:
        raise MitraError(f"--events has no use on {folder}: its decisions are made already; name the payments instead")
    apart = [*args.labels, *(path for paths in events.values() for path in paths)]
    found = find_payments(args.on, apart) if folder is None else []
    payments = Payments(found, args.labels, label_delay_ms(args.label_delay), events)
    trial = _trial(args, on_table=folder is not None)
    if not trial.tested:
        raise MitraError("the files hold no rule to test")
    with progress_bar() as progress:
        if folder is not None:
            figures, replayed = run_on_table(pipeline, folder, payments, trial, progress)
        else:
            figures, replayed = run_backtest(
                Path(args.pipeline), pipeline, payments, trial, parallelism=args.parallelism, progress=progress
            )
    if args.json:
        print_json(document(figures, trial, replayed))
    else:
        tell(figures, trial, replayed)
    return 0


def _trial(args: argparse.Namespace, *, on_table: bool) -> "Trial":
    from mitra.backtest.trial import AMOUNT, read_trial, with_lists, with_money  # noqa: PLC0415
    from mitra.control.replay import context_of  # noqa: PLC0415

    base = None
    if args.live:
        with open_session(args) as session:
            base = session.replay
    pipeline = load_pipeline(args.pipeline)
    context = context_of(pipeline)
    trial = read_trial(args.files, context, None if base is None else base.live)
    if args.lists:
        trial = with_lists(trial, args.files, context, base)
    # A replay's table has no fields: without a feature that is the amount nobody knows what payments are worth.
    if on_table and args.amount is None and AMOUNT not in {text.strip() for text in pipeline.features.values()}:
        return trial
    return with_money(trial, context, args.amount)


def document(figures: "Figures", trial: "Trial", replayed: "Replayed") -> dict[str, Any]:
    """Return a backtest as one JSON document."""
    from mitra.backtest.figures import remarks  # noqa: PLC0415

    return {
        "payments": figures.payments,
        "dead_letters": replayed.dead_letters,
        "first": figures.first_ms,
        "last": figures.last_ms,
        "frauds": figures.frauds,
        "honest": figures.honest,
        "rules": [_rule_document(one) for one in figures.rules],
        "together": dataclasses.asdict(figures.together),
        "left_out": trial.left_out,
        "remarks": remarks(figures),
        "seconds": replayed.seconds,
    }


def _rule_document(one: "RuleFigures") -> dict[str, Any]:
    return {
        "rule": one.rule.id,
        "tested": one.tested,
        "mode": one.rule.mode,
        "outcome": one.rule.outcome,
        **dataclasses.asdict(one.caught),
        "not_evaluated": one.not_evaluated,
        "alone": one.alone,
        "alone_frauds": one.alone_frauds,
        "overlap": one.overlap,
        "always_with": list(one.always_with),
    }


def tell(figures: "Figures", trial: "Trial", replayed: "Replayed") -> None:
    """Print a backtest as tables: what each rule does, which go together, and what is odd."""
    from mitra.backtest.figures import remarks  # noqa: PLC0415

    _print_rules(figures, money=trial.money is not None)
    pairs = [
        (one.rule.id, other, f"{both:,}", _percent(both / one.caught.payments))
        for one in figures.rules
        for other, both in one.overlap.items()
        if one.tested
    ]
    if pairs:
        print()
        print_table(("rule", "with", "on both", "of its own"), pairs[:_PAIRS_SHOWN])
    if len(pairs) > _PAIRS_SHOWN:
        print(f"{len(pairs) - _PAIRS_SHOWN} more: --json has them all")
    print()
    for remark in remarks(figures):
        print(remark)
    if trial.left_out:
        print(f"{trial.left_out_text}; --lists tries them too")
    print(_summary(figures, replayed))


def _print_rules(figures: "Figures", *, money: bool) -> None:
    columns = ["rule", "mode", "outcome", "payments", "share", "not evaluated", "alone"]
    labels = figures.frauds is not None
    columns += ["frauds", "precision", "recall"] if labels else []
    columns += (["stopped", "wrongly stopped"] if labels else ["worth"]) if money else []
    rows = []
    for one in figures.rules:
        mode = one.rule.mode if one.tested else f"{one.rule.mode} now"
        head = [one.rule.id, mode, one.rule.outcome, *_fires(one.caught), f"{one.not_evaluated:,}", _number(one.alone)]
        rows.append([*head, *_worth(one.caught, labels=labels, money=money)])
    together = figures.together
    rows.append(["all that catch", "", "", *_fires(together), "", "", *_worth(together, labels=labels, money=money)])
    print_table(columns, rows)


def _fires(caught: "Caught") -> list[str]:
    return [f"{caught.payments:,}", _percent(caught.share)]


def _worth(caught: "Caught", *, labels: bool, money: bool) -> list[str]:
    cells = [_number(caught.frauds), _percent(caught.precision), _percent(caught.recall)] if labels else []
    if money:
        cells += [_money(caught.stopped), _money(caught.wrongly_stopped)] if labels else [_money(caught.money)]
    return cells


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _money(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"


def _summary(figures: "Figures", replayed: "Replayed") -> str:
    from mitra.control.export import time_text  # noqa: PLC0415

    span = ""
    if figures.first_ms is not None and figures.last_ms is not None:
        span = f" from {time_text(figures.first_ms)} to {time_text(figures.last_ms)}"
    labels = ""
    if figures.frauds is not None:
        labels = f", {figures.frauds:,} frauds, {figures.honest:,} honest"
    letters = f", {replayed.dead_letters:,} dead letters" if replayed.dead_letters else ""
    return f"{figures.payments:,} payments{span}{labels}{letters}, in {replayed.seconds:.1f} s"
