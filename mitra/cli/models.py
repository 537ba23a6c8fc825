"""`mitra models …`: models of a running job, put from where their artefact lies, promoted, shown."""

import argparse
from pathlib import Path
from typing import Any

from mitra.cli.changing import Session, add_actions, make, open_session
from mitra.cli.console import print_json, print_table
from mitra.cli.rules import roll_back
from mitra.errors import MitraError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own commands."""
    action = add_actions(parser)
    push = action("push", "put a model as a shadow, once every worker has loaded it", _push)
    push.add_argument(
        "artefact",
        metavar="URI",
        help="its folder, as the job's workers reach it: a path, or what fsspec opens; or models:/NAME/VERSION of MLflow",
    )
    action("list", "the live models, what they are used for, and what they cost lately", _list, changes=False)
    show = action("show", "one live model: where it lies, what it reads, who changed it", _show, changes=False)
    show.add_argument("model", metavar="NAME@VERSION")
    diff = action("diff", "what tells two live models apart", _diff, changes=False)
    diff.add_argument("one", metavar="NAME@VERSION")
    diff.add_argument("other", metavar="NAME@VERSION")
    mode = action("mode", "make a model champion, challenger or shadow", _mode)
    mode.add_argument("model", metavar="NAME@VERSION")
    mode.add_argument("mode", choices=("champion", "challenger", "shadow"))
    mode.add_argument("--percent", metavar="N", type=float, help="a challenger that decides about so many percent")
    mode.add_argument("--by", metavar="ENTITY", help="of this entity (default: the pipeline's first)")
    retire = action("retire", "take a model away", _retire)
    retire.add_argument("model", metavar="NAME@VERSION")
    rollback = action("rollback", "bring back all that was live as of a revision, rules and lists too", roll_back)
    rollback.add_argument("revision", metavar="REVISION", type=int)


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    done: int = args.act(args)
    return done


def _push(args: argparse.Namespace) -> int:
    from mitra.control.changes import Wanted  # noqa: PLC0415 - the expression compiler is loaded when needed
    from mitra.model_fetch import put_of  # noqa: PLC0415

    uri = args.artefact if "://" in args.artefact else str(Path(args.artefact).absolute())
    if args.artefact.startswith("models:/"):
        from mitra.mlflow_store import artefact_uri  # noqa: PLC0415 - an extra

        uri = artefact_uri(args.artefact)
    return make(args, [Wanted("model.put", *put_of(uri))])


def _mode(args: argparse.Namespace) -> int:
    from mitra.control.changes import Wanted  # noqa: PLC0415

    body = {"model": args.model, "mode": args.mode, "percent": args.percent, "by": args.by}
    given = {key: value for key, value in body.items() if value is not None}
    return make(args, [Wanted("model.mode", args.model, given)])


def _retire(args: argparse.Namespace) -> int:
    from mitra.control.changes import Wanted  # noqa: PLC0415

    return make(args, [Wanted("model.retire", args.model, {"model": args.model})])


def _list(args: argparse.Namespace) -> int:
    from mitra.control.monitor import model_use  # noqa: PLC0415

    with open_session(args) as session:
        use = model_use(session.pipeline)
        live, revision, name = session.replay.live.models, session.replay.head, session.pipeline.name
    if args.json:
        print_json(
            {"revision": revision, "models": [_document(one, use.get(one)) | model_document(live[one]) for one in live]}
        )
        return 0
    rows = []
    for reference, one in live.items():
        its = use.get(reference)
        said = ("", "", "", "")
        if its is not None:
            said = (str(its.payments), str(its.calls), f"{its.call_us or 0:.0f} µs", str(its.failed))
        rows.append((reference, mode_text(one), *said, one.artefact.uri))
    title = f"{name}: {len(live)} model{'s' * (len(live) != 1)} at revision {revision}"
    print_table(("model", "mode", "payments", "calls", "a call", "failed", "artefact"), rows, title=title)
    if not any(one.mode == "champion" for one in live.values()):
        print("none is champion: the model that the pipeline file names decides, if it names one")
    return 0


def _show(args: argparse.Namespace) -> int:
    from mitra.control.export import time_text  # noqa: PLC0415
    from mitra.control.monitor import model_use  # noqa: PLC0415

    with open_session(args) as session:
        one = _known(session, args.model)
        entries = [entry for entry in session.entries if entry.kind.startswith("model.") and entry.about == args.model]
        use = model_use(session.pipeline).get(args.model)
    history = [
        {
            "revision": e.revision,
            "at": e.at_ms,
            "change": e.kind,
            "author": e.author,
            "reason": e.why,
            "became": e.became,
        }
        for e in entries
    ]
    if args.json:
        print_json({**_document(args.model, use), **model_document(one), "history": history})
        return 0
    print(f"{args.model}: {mode_text(one)}")
    print(f"artefact: {one.artefact.uri}\nsha256 of its manifest: {one.artefact.sha256}")
    print(f"features: {', '.join(one.artefact.features)}")
    if use is not None:
        span = f"{time_text(use.from_ms)} … {time_text(use.to_ms)}"
        print(
            f"{span}: {use.payments} payments in {use.calls} calls, {use.call_us or 0:.0f} µs a call, {use.failed} failed"
        )
    for e in entries:
        print(f"# revision {e.revision}: {e.kind} by {e.author}, {e.became}{': ' if e.why else ''}{e.why}")
    return 0


def _diff(args: argparse.Namespace) -> int:
    from mitra.model_fetch import describe  # noqa: PLC0415

    with open_session(args) as session:
        found = [_known(session, reference) for reference in (args.one, args.other)]
    sides = [(one, describe(one.artefact.uri)[0]) for one in found]
    rows = [
        ("mode", *(mode_text(one) for one, _ in sides)),
        ("features", *(str(len(one.artefact.features)) for one, _ in sides)),
        *_feature_rows(*(one.artefact.features for one, _ in sides)),
        *(
            (f"{outcome} from", *(_text(getattr(manifest.thresholds, outcome)) for _, manifest in sides))
            for outcome in ("review", "block")
        ),
    ]
    names = dict.fromkeys(name for _, manifest in sides for name in manifest.metrics.get("test", {}))
    for name in names:
        values = [manifest.metrics.get("test", {}).get(name) for _, manifest in sides]
        if not any(isinstance(value, dict) for value in values):
            rows.append((f"test {name}", *map(_text, values)))
    rows = [row for row in rows if row[1] != row[2]]
    if args.json:
        print_json({"one": args.one, "other": args.other, "differs": {row[0]: [row[1], row[2]] for row in rows}})
        return 0
    print_table(("", args.one, args.other), rows, title="what differs")
    return 0


def _feature_rows(one: tuple[str, ...], other: tuple[str, ...]) -> list[tuple[str, str, str]]:
    return [
        (name, "reads" if name in one else "", "reads" if name in other else "")
        for name in dict.fromkeys((*one, *other))
    ]


def _known(session: Session, reference: str) -> Any:
    from rules.problems import closest  # noqa: PLC0415

    live = session.replay.live.models
    if reference not in live:
        hint = closest(reference, live) or "`mitra models list PIPELINE` lists those there are"
        raise MitraError(f"no model {reference} is live; {hint}")
    return live[reference]


def _document(reference: str, use: Any) -> dict[str, Any]:
    figures = None
    if use is not None:
        figures = {
            "from": use.from_ms, "to": use.to_ms, "payments": use.payments, "calls": use.calls, "call_us": use.call_us,
            "failed": use.failed,
        }  # fmt: skip
    return {"model": reference, "use": figures}


def model_document(one: Any) -> dict[str, Any]:
    """Return what a live model is used for, and what it is."""
    artefact = one.artefact
    return {
        "mode": one.mode, "percent": one.percent, "by": one.by, "uri": artefact.uri, "sha256": artefact.sha256,
        "features": list(artefact.features),
    }  # fmt: skip


def mode_text(one: Any) -> str:
    """Return what a live model is used for, for people."""
    return str(one.mode) if one.percent is None else f"{one.mode}, decides about {one.percent:g} % of {one.by}"


def _text(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
