"""`mitra control …`: what is live and who runs it, who changed what, the way back, and what is live as files."""

import argparse
from pathlib import Path
from typing import Any

from mitra.cli.changing import add_changing, add_key, add_reading, add_waiting, open_session
from mitra.cli.console import print_json, print_table
from mitra.cli.lists import list_documents, print_lists
from mitra.cli.models import mode_text, model_document
from mitra.cli.rules import print_rules, roll_back, rule_documents, rules_of
from mitra.cli.signing import make_key, send_file, sign_file

_LAST = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own commands."""
    actions = parser.add_subparsers(title="what to do", metavar="ACTION", required=True)

    def action(name: str, does: str, act: Any, *, kafka: bool = True) -> argparse.ArgumentParser:
        one = actions.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.", allow_abbrev=False)
        add_reading(one, kafka=kafka)
        one.set_defaults(act=act)
        return one

    action("status", "what is live, and which revision every lane and bucket runs", _status)
    log = action("log", "who changed what, when and why, and what became of it", _log)
    log.add_argument("--last", metavar="N", type=int, default=_LAST, help=f"so many changes (default: {_LAST})")
    back = action("rollback", "bring back all that was live as of a revision, as a new revision", roll_back)
    add_changing(back)
    back.add_argument("revision", metavar="REVISION", type=int)
    sign = action("sign", "sign changes in a file, beside those who have signed already", sign_file, kafka=False)
    add_key(sign)
    sign.add_argument("file", metavar="FILE", help="a file that a changing command wrote with --output")
    send = action("send", "send changes that stand in a file, signed or not", send_file)
    add_waiting(send)
    send.add_argument("file", metavar="FILE", help="a file that a changing command wrote with --output")
    made = actions.add_parser(
        "keygen",
        help="make a private key to sign with",
        description="Make a private key to sign with, and print the line of a policy that names it.",
        allow_abbrev=False,
    )
    made.add_argument("file", metavar="FILE", help="the new file, which its owner alone can read")
    made.add_argument("--author", metavar="NAME", help="whose it is (default: your user name)")
    made.add_argument("--name", metavar="NAME", help="what the policy calls it (default: the file's name)")
    made.set_defaults(act=make_key)
    out = action("export", "write what is live as files that push back to the same", _export)
    out.add_argument("folder", metavar="DIR", help="a new or empty folder")


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    done: int = args.act(args)
    return done


def _status(args: argparse.Namespace) -> int:
    from mitra.control.export import time_text  # noqa: PLC0415 - the expression compiler is loaded when needed
    from mitra.control.progress import STAGES, behind_text, newest_progress  # noqa: PLC0415

    with open_session(args) as session:
        progress = newest_progress(session.pipeline, session.topics)
        replay, pipeline = session.replay, session.pipeline
        other = [entry.revision for entry in progress.contradicts(session.entries)]
    late = progress.behind(replay.head)
    parts = [
        {"stage": stage, "part": number, "revision": part.revision, "subtask": part.subtask, "at": part.at_ms}
        for stage in STAGES
        for number, part in sorted(progress.parts[stage].items())
        if number < progress.sizes[stage]
    ]
    if args.json:
        document = {
            "revision": replay.head,
            "read_to": replay.read,
            "active": not late,
            "rules": rule_documents(rules_of(replay.live, "rule")),
            "sequences": rule_documents(rules_of(replay.live, "sequence")),
            "features": dict(replay.live.features),
            "lists": list_documents(replay),
            "models": [{"model": name, **model_document(one)} for name, one in replay.live.models.items()],
            "sizes": progress.sizes,
            "parts": parts,
            "contradicted": other,
        }
        print_json(document)
        return 1 if late or other else 0
    live = replay.live
    print(f"{pipeline.name} on {pipeline.bootstrap}: revision {replay.head}")
    rows = []
    for stage in STAGES:
        told = [part for number, part in progress.parts[stage].items() if number < progress.sizes[stage]]
        revisions = map(str, sorted({part.revision for part in told}))
        newest = max((part.at_ms for part in told), default=None)
        behind = f"{len(late[stage])} behind" if stage in late else "all"
        said = "" if newest is None else time_text(newest)
        rows.append((stage, str(progress.sizes[stage]), ", ".join(revisions) or "none yet", behind, said))
    print_table(("stage", "parts", "revisions", f"run {replay.head}", "last word"), rows)
    for what in ("rule", "sequence"):
        found = rules_of(live, what)
        if found:
            print()
            print_rules(found, what, f"{len(found)} {what}{'s' * (len(found) != 1)}")
    if live.features:
        print()
        print_table(("feature", "text"), list(live.features.items()), title="features put at run time")
    if live.lists:
        print()
        print_lists(list_documents(replay), f"{len(live.lists)} list{'s' * (len(live.lists) != 1)}")
    if live.models:
        print()
        models = [(name, mode_text(one), one.artefact.uri) for name, one in live.models.items()]
        print_table(("model", "mode", "artefact"), models, title=f"{len(models)} model{'s' * (len(models) != 1)}")
    if late:
        who = behind_text(late, progress.unready(replay.head), progress.sizes)
        print(f"\nrevision {replay.head} is not active everywhere; is the job running?\n{who}")
    if other:
        shown = f"{', '.join(map(str, other[:10]))}{', …' if len(other) > 10 else ''}"
        print(
            f"\nthe job answered otherwise to revision{'s' * (len(other) != 1)} {shown} than this pipeline file would: "
            "is it the file that the job was submitted with?"
        )
    return 1 if late or other else 0


def _log(args: argparse.Namespace) -> int:
    from mitra.control.export import time_text  # noqa: PLC0415

    with open_session(args) as session:
        name, count = session.pipeline.name, len(session.entries)
        entries = session.entries[-args.last :] if args.last > 0 else session.entries
    if args.json:
        print_json([_document(one) for one in entries])
        return 0
    rows = []
    for one in entries:
        what = f"{one.kind} {one.about}".strip() or "?"
        became = f"again: revision {one.answer.revision}" if one.became == "duplicate" else one.became
        if one.became == "accepted" and not one.changed:
            became = "changed nothing"
        if one.became == "refused":
            place = f"{one.answer.place}: " if one.answer.place else ""
            became = f"refused: {place}{one.answer.reason.splitlines()[0]}"
        rows.append((str(one.revision), time_text(one.at_ms), one.author or "?", what, one.why, became))
    shown = f"the last {len(entries)} of {count}" if len(entries) < count else str(count)
    title = f"{name}: {shown} change{'s' * (count != 1)}"
    print_table(("revision", "at", "author", "change", "why", "became"), rows, title=title)
    return 0


def _document(one: Any) -> dict[str, Any]:
    return {
        "revision": one.revision,
        "at": one.at_ms,
        "id": one.id,
        "author": one.author,
        "change": one.kind,
        "of": one.about,
        "why": one.why,
        "became": one.became,
        "changed": one.changed,
        "version": one.version,
        "first_revision": one.answer.revision,
        "reason": one.answer.reason,
        "place": one.answer.place,
        "hint": one.answer.hint,
    }


def _export(args: argparse.Namespace) -> int:
    from mitra.control.export import export  # noqa: PLC0415

    with open_session(args) as session:
        replay = session.replay
        written = export(replay, Path(args.folder))
    live = replay.live
    if args.json:
        print_json({"revision": replay.head, "files": [str(path) for path in written]})
        return 0
    rules, sequences = len(rules_of(live, "rule")), len(rules_of(live, "sequence"))
    counts = {"file": len(written), "rule": rules, "feature": len(live.features), "list": len(live.lists)}
    counts |= {"sequence": sequences} if sequences else {}
    files, *rest = (f"{count} {what}{'s' * (count != 1)}" for what, count in counts.items())
    print(f"{args.folder}: revision {replay.head} in {files}: {', '.join(rest)}")
    print(f"`mitra rules push {args.pipeline} {args.folder}` brings it back")
    if live.models:
        print(f"models are no files here: `mitra models push` puts {', '.join(live.models)} from where they lie")
    return 0
