"""`mitra lists …`: block, allow and watch lists of a running job."""

import argparse
from pathlib import Path
from typing import Any

from mitra.cli.changing import Session, add_actions, make, open_session, until_ms
from mitra.cli.console import print_json, print_table
from mitra.errors import MitraError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own commands."""
    action = add_actions(parser)

    def change(name: str, does: str, act: Any) -> argparse.ArgumentParser:
        one = action(name, does, act)
        one.add_argument("name", metavar="NAME", help="the list's name")
        return one

    put = change("put", "declare a list, or declare it otherwise; its entries stay", _put)
    put.add_argument("--kind", choices=("block", "allow", "watch"), required=True, help="what being on it means")
    put.add_argument("--by", metavar="ENTITY", required=True, help="what is on it: an entity of the pipeline")
    put.add_argument("--immutable", action="store_true", help="a block list that no allow list overrules")
    for name, does, act in (
        ("add", "put keys on a list", _add),
        ("remove", "take keys off a list", _remove),
    ):
        one = change(name, does, act)
        one.add_argument("keys", metavar="KEY", nargs="*", help="keys of the list's entity")
        one.add_argument("--file", metavar="FILE", help="a CSV file of keys, each with an until behind it if it ends")
        if name == "add":
            one.add_argument(
                "--until", metavar="TIME", help="until when: ISO 8601 with its zone, or a length of time from now: 7d"
            )
    action("list", "the lists, and how many are on each", _list, changes=False)
    show = action("show", "who is on a list", _show, changes=False)
    show.add_argument("name", metavar="NAME", help="the list's name")


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    done: int = args.act(args)
    return done


def _put(args: argparse.Namespace) -> int:
    from mitra.control.changes import Wanted  # noqa: PLC0415 - the expression compiler is loaded when needed

    body: dict[str, object] = {"name": args.name, "kind": args.kind, "by": args.by}
    if args.immutable:
        body["immutable"] = True
    return make(args, [Wanted("list.put", args.name, body)])


def _add(args: argparse.Namespace) -> int:
    from mitra.control.changes import additions  # noqa: PLC0415

    until = None if args.until is None else until_ms(args.until)

    def wanted(session: Session) -> Any:
        entries = [{"until": until, **entry} if until is not None else entry for entry in _entries(args, session)]
        return additions(args.name, entries)

    return make(args, wanted)


def _remove(args: argparse.Namespace) -> int:
    from mitra.control.changes import removals  # noqa: PLC0415

    return make(args, lambda session: removals(args.name, [str(one["key"]) for one in _entries(args, session)]))


def _entries(args: argparse.Namespace, session: Session) -> list[dict[str, object]]:
    from mitra.control.files import read_entries  # noqa: PLC0415

    entries: list[dict[str, object]] = [{"key": key} for key in args.keys]
    if args.file is not None:
        entries += read_entries(Path(args.file), session.context)
    if not entries:
        raise MitraError("no key is given; name some, or a file of them with --file")
    return entries


def _list(args: argparse.Namespace) -> int:
    with open_session(args) as session:
        replay, name = session.replay, session.pipeline.name
        found = list_documents(replay)
    if args.json:
        print_json({"revision": replay.head, "lists": found})
    else:
        print_lists(found, f"{name}: {len(found)} list{'s' * (len(found) != 1)} at revision {replay.head}")
    return 0


def list_documents(replay: Any) -> list[dict[str, Any]]:
    """Return the lists of a replay as JSON has them, each with the number of its entries."""
    counts: dict[str, int] = {}
    for mark in replay.marks.values():
        counts[mark.name] = counts.get(mark.name, 0) + 1
    return [
        {
            "name": one.name,
            "kind": one.kind,
            "by": one.by,
            "immutable": one.immutable,
            "reason": one.reason,
            "entries": counts.get(one.mark, 0),
        }
        for one in replay.live.lists.values()
    ]


def print_lists(found: list[dict[str, Any]], title: str) -> None:
    """Print lists as a table."""
    rows = [
        (
            one["name"],
            f"{'immutable ' * one['immutable']}{one['kind']}",
            one["by"],
            f"{one['entries']:,}",
            one["reason"],
        )
        for one in found
    ]
    print_table(("list", "kind", "by", "entries", "reason"), rows, title=title)


def _show(args: argparse.Namespace) -> int:
    from mitra.control.export import time_text  # noqa: PLC0415
    from rules.problems import closest  # noqa: PLC0415

    with open_session(args) as session:
        declared = session.replay.live.lists.get(args.name)
        if declared is None:
            hint = closest(args.name, session.replay.live.lists) or "`mitra lists list PIPELINE` lists those there are"
            raise MitraError(f"there is no list {args.name}; {hint}")
        entries = session.replay.entries_of(declared.mark)
    if args.json:
        print_json({"name": args.name, "entries": [{"key": one.key, "until": one.until_ms} for one in entries]})
        return 0
    rows = [(one.key, "" if one.until_ms is None else time_text(one.until_ms)) for one in entries]
    print_table((declared.by, "until"), rows, title=f"{declared.name}: {len(entries):,} on it")
    return 0
