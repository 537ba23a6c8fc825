"""`mitra rules …`: rules of a running job, read from files, changed and shown; `mitra sequences …` does the same for sequences."""

import argparse
from collections.abc import Callable
from typing import Any

from mitra.cli.backtest import add_test_arguments, run_test
from mitra.cli.changing import Session, add_actions, make, open_session, until_ms
from mitra.cli.console import print_json, print_table
from mitra.errors import MitraError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own commands."""
    action = add_rule_actions(parser, "rule")
    put = action("put-feature", "add a feature that rules can read, or replace one added so", _put_feature)
    put.add_argument("feature", metavar="NAME")
    put.add_argument("text", metavar="EXPRESSION")
    gone = action("retire-feature", "take away a feature that was added so", _retire_feature)
    gone.add_argument("feature", metavar="NAME")


def add_rule_actions(parser: argparse.ArgumentParser, what: str) -> Callable[..., argparse.ArgumentParser]:
    """Declare what can be done with rules, or with sequences: `what` of the two. Return what declares more."""
    parser.set_defaults(what=what)
    action = add_actions(parser)
    push = action("push", "make files live: what they say is added or replaced, nothing is taken away", _push)
    push.add_argument("files", metavar="FILE", nargs="+", help=f"a {what} file, or a folder of them")
    test = action("test", f"what files of {what}s would have done to past payments", run_test, changes=False)
    add_test_arguments(test)
    action("list", f"the live {what}s", _list, changes=False)
    show = action("show", f"one live {what}, as a file has it", _show, changes=False)
    show.add_argument("rule", metavar="ID")
    mode = action("mode", f"put a {what} live, into shadow or to rest; for all, or a share of an entity", _mode)
    mode.add_argument("rule", metavar="ID")
    mode.add_argument("mode", choices=("live", "shadow", "paused"))
    mode.add_argument("--percent", metavar="N", type=float, help="of so many percent only")
    mode.add_argument("--by", metavar="ENTITY", help=f"of this entity (default: {_OWN[what]})")
    retire = action("retire", f"take a {what} away", _retire)
    retire.add_argument("rule", metavar="ID")
    snooze = action("snooze", f"don't evaluate a {what} for one customer, terminal, … until a time", _snooze)
    snooze.add_argument("rule", metavar="ID")
    snooze.add_argument("--by", metavar="ENTITY", required=True, help="what it is: an entity of the pipeline")
    snooze.add_argument("--key", metavar="KEY", required=True, help="which one")
    snooze.add_argument(
        "--until", metavar="TIME", required=True, help="ISO 8601 with its zone, or a length of time from now: 12h, 7d"
    )
    rollback = action("rollback", "bring back all that was live as of a revision, lists and features too", roll_back)
    rollback.add_argument("revision", metavar="REVISION", type=int)
    return action


_OWN = {"rule": "the pipeline's first", "sequence": "the sequence's own"}


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    done: int = args.act(args)
    return done


def _push(args: argparse.Namespace) -> int:
    from mitra.control.files import find_files, read_files  # noqa: PLC0415 - the expression compiler is loaded when needed

    find_files(args.files)  # a wrong name is told without a Kafka

    def wanted(session: Session) -> Any:
        return read_files(args.files, session.context, session.replay.live.features).wanted()

    return make(args, wanted)


def _list(args: argparse.Namespace) -> int:
    with open_session(args) as session:
        live = session.replay.live
        name, revision = session.pipeline.name, session.replay.head
    found = rules_of(live, args.what)
    if args.json:
        print_json({"revision": revision, f"{args.what}s": rule_documents(found)})
    else:
        print_rules(found, args.what, f"{name}: {_count(found, args.what)} at revision {revision}")
    return 0


def rules_of(live: Any, what: str) -> list[Any]:
    """Return the rules of a live set that are rules, or those that are sequences."""
    return [one for one in live.rules.values() if (one.pattern is not None) == (what == "sequence")]


def _count(found: list[Any], what: str) -> str:
    return f"{len(found)} {what}{'s' * (len(found) != 1)}"


def print_rules(found: list[Any], what: str, title: str) -> None:
    """Print rules or sequences as a table."""
    from rules import condition_text  # noqa: PLC0415 - the expression compiler is loaded when needed

    rows = [
        (one.id, str(one.version), _mode_text(one), one.outcome, condition_text(one)[:80], ", ".join(one.tags))
        for one in found
    ]
    columns = (what, "version", "mode", "outcome", "when" if what == "rule" else "steps", "tags")
    print_table(columns, rows, title=title)


def rule_documents(found: list[Any]) -> list[dict[str, Any]]:
    """Return rules or sequences as JSON has them."""
    from rules import written  # noqa: PLC0415

    return [{"version": one.version, **written(one)} for one in found]


def _mode_text(rule: Any) -> str:
    entity = rule.by or "the first entity" if rule.pattern is None else rule.pattern.by
    percent = "" if rule.percent is None else f" {rule.percent:g} % of {entity}"
    return f"{rule.mode}{percent}"


def _show(args: argparse.Namespace) -> int:
    from mitra.control.export import yaml_text  # noqa: PLC0415
    from mitra.control.progress import newest_progress  # noqa: PLC0415
    from rules import written  # noqa: PLC0415
    from rules.problems import closest  # noqa: PLC0415

    with open_session(args) as session:
        live, what = {one.id: one for one in rules_of(session.replay.live, args.what)}, args.what
        rule = live.get(args.rule)
        if rule is None:
            was = [entry for entry in session.entries if entry.kind == f"{what}.retire" and entry.about == args.rule]
            hint = closest(args.rule, live) or f"`mitra {what}s list PIPELINE` lists those there are"
            gone = f": it was retired by {was[-1].author} in revision {was[-1].revision}" if was else ""
            raise MitraError(f"no {what} {args.rule} is live{gone}; {hint}")
        entries = [
            entry
            for entry in session.entries
            if entry.changed and entry.about == rule.id and entry.kind.startswith(f"{what}.")
        ]
        snoozed = session.replay.entries_of(f"snooze:{rule.id}")
        late = newest_progress(session.pipeline, session.topics).behind(entries[-1].revision if entries else 0)
    history = [
        {"revision": one.revision, "at": one.at_ms, "change": one.kind, "author": one.author, "reason": one.why}
        for one in entries
    ]
    if args.json:
        keys = [{"by": one.entity, "key": one.key, "until": one.until_ms} for one in snoozed]
        print_json({"version": rule.version, **written(rule), "active": not late, "snoozed": keys, "history": history})
        return 0
    print(yaml_text(written(rule)), end="")
    print(f"# version {rule.version}, {'not active everywhere yet' if late else 'active everywhere'}")
    if snoozed:
        print(f"# snoozed for {len(snoozed)}: {', '.join(f'{one.entity} {one.key}' for one in snoozed[:10])}")
    for one in entries:
        print(f"# revision {one.revision}: {one.kind} by {one.author}{': ' if one.why else ''}{one.why}")
    return 0


def _change(kind: str, about: str, /, **body: Any) -> Any:
    from mitra.control.changes import Wanted  # noqa: PLC0415

    return [Wanted(kind, about, {key: value for key, value in body.items() if value is not None})]


def _mode(args: argparse.Namespace) -> int:
    body = {args.what: args.rule, "mode": args.mode, "percent": args.percent, "by": args.by}
    return make(args, _change(f"{args.what}.mode", args.rule, **body))


def _retire(args: argparse.Namespace) -> int:
    return make(args, _change(f"{args.what}.retire", args.rule, **{args.what: args.rule}))


def _snooze(args: argparse.Namespace) -> int:
    body = {"rule": args.rule, "by": args.by, "key": args.key, "until": until_ms(args.until)}
    return make(args, _change("snooze", args.rule, **body))


def roll_back(args: argparse.Namespace) -> int:
    """Bring back what was live as of a revision."""
    return make(args, _change("rollback", str(args.revision), to=args.revision))


def _put_feature(args: argparse.Namespace) -> int:
    return make(args, _change("feature.put", args.feature, name=args.feature, text=args.text))


def _retire_feature(args: argparse.Namespace) -> int:
    return make(args, _change("feature.retire", args.feature, name=args.feature))
