"""`mitra rules …`: rules of a running job, read from files, changed and shown."""

import argparse
from typing import Any

from mitra.cli.backtest import add_test_arguments, run_test
from mitra.cli.changing import Session, add_actions, make, open_session, until_ms
from mitra.cli.console import print_json, print_table
from mitra.errors import MitraError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own commands."""
    action = add_actions(parser)
    push = action("push", "make files live: what they say is added or replaced, nothing is taken away", _push)
    push.add_argument("files", metavar="FILE", nargs="+", help="a rule file, or a folder of them")
    test = action("test", "what files of rules would have done to past payments", run_test, changes=False)
    add_test_arguments(test)
    action("list", "the live rules", _list, changes=False)
    show = action("show", "one live rule, as a file has it", _show, changes=False)
    show.add_argument("rule", metavar="ID")
    mode = action("mode", "put a rule live, into shadow or to rest; for all, or a share of an entity", _mode)
    mode.add_argument("rule", metavar="ID")
    mode.add_argument("mode", choices=("live", "shadow", "paused"))
    mode.add_argument("--percent", metavar="N", type=float, help="of so many percent only")
    mode.add_argument("--by", metavar="ENTITY", help="of this entity (default: the pipeline's first)")
    retire = action("retire", "take a rule away", _retire)
    retire.add_argument("rule", metavar="ID")
    snooze = action("snooze", "don't evaluate a rule for one customer, terminal, … until a time", _snooze)
    snooze.add_argument("rule", metavar="ID")
    snooze.add_argument("--by", metavar="ENTITY", required=True, help="what it is: an entity of the pipeline")
    snooze.add_argument("--key", metavar="KEY", required=True, help="which one")
    snooze.add_argument(
        "--until", metavar="TIME", required=True, help="ISO 8601 with its zone, or a length of time from now: 12h, 7d"
    )
    rollback = action("rollback", "bring back all that was live as of a revision, lists and features too", roll_back)
    rollback.add_argument("revision", metavar="REVISION", type=int)
    put = action("put-feature", "add a feature that rules can read, or replace one added so", _put_feature)
    put.add_argument("feature", metavar="NAME")
    put.add_argument("text", metavar="EXPRESSION")
    gone = action("retire-feature", "take away a feature that was added so", _retire_feature)
    gone.add_argument("feature", metavar="NAME")


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
    if args.json:
        print_json({"revision": revision, "rules": rule_documents(live)})
    else:
        print_rules(live, f"{name}: {len(live.rules)} rule{'s' * (len(live.rules) != 1)} at revision {revision}")
    return 0


def print_rules(live: Any, title: str) -> None:
    """Print the rules of a live set as a table."""
    rows = [
        (one.id, str(one.version), _mode_text(one), one.outcome, " ".join(one.when.split())[:80], ", ".join(one.tags))
        for one in live.rules.values()
    ]
    print_table(("rule", "version", "mode", "outcome", "when", "tags"), rows, title=title)


def rule_documents(live: Any) -> list[dict[str, Any]]:
    """Return the rules of a live set as JSON has them."""
    from rules import rule_mapping  # noqa: PLC0415

    return [{"version": one.version, **rule_mapping(one)} for one in live.rules.values()]


def _mode_text(rule: Any) -> str:
    percent = "" if rule.percent is None else f" {rule.percent:g} % of {rule.by or 'the first entity'}"
    return f"{rule.mode}{percent}"


def _show(args: argparse.Namespace) -> int:
    from mitra.control.export import yaml_text  # noqa: PLC0415
    from mitra.control.progress import newest_progress  # noqa: PLC0415
    from rules import rule_mapping  # noqa: PLC0415
    from rules.problems import closest  # noqa: PLC0415

    with open_session(args) as session:
        live = session.replay.live
        rule = live.rules.get(args.rule)
        if rule is None:
            was = [entry for entry in session.entries if entry.kind == "rule.retire" and entry.about == args.rule]
            hint = closest(args.rule, live.rules) or "`mitra rules list PIPELINE` lists those there are"
            gone = f": it was retired by {was[-1].author} in revision {was[-1].revision}" if was else ""
            raise MitraError(f"no rule {args.rule} is live{gone}; {hint}")
        entries = [
            entry
            for entry in session.entries
            if entry.changed and entry.about == rule.id and entry.kind.startswith("rule.")
        ]
        snoozed = session.replay.entries_of(f"snooze:{rule.id}")
        late = newest_progress(session.pipeline, session.topics).behind(entries[-1].revision if entries else 0)
    history = [
        {"revision": one.revision, "at": one.at_ms, "change": one.kind, "author": one.author, "reason": one.why}
        for one in entries
    ]
    if args.json:
        keys = [{"by": one.entity, "key": one.key, "until": one.until_ms} for one in snoozed]
        print_json(
            {"version": rule.version, **rule_mapping(rule), "active": not late, "snoozed": keys, "history": history}
        )
        return 0
    print(yaml_text(rule_mapping(rule)), end="")
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
    body = {"rule": args.rule, "mode": args.mode, "percent": args.percent, "by": args.by}
    return make(args, _change("rule.mode", args.rule, **body))


def _retire(args: argparse.Namespace) -> int:
    return make(args, _change("rule.retire", args.rule, rule=args.rule))


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
