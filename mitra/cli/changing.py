"""What the commands that change rules and lists share: their arguments, the sending, and what is told of it."""

import argparse
import getpass
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitra.cli.console import print_json, print_table
from mitra.duration import EXAMPLES, duration_text, parse_duration_ms
from mitra.errors import MitraError, Problem, ProblemsError
from mitra.pipeline import Pipeline, load_pipeline
from mitra.schema import HistoryLimits

if TYPE_CHECKING:
    from control_stream import Context
    from mitra.control.changes import Plan, Wanted
    from mitra.control.push import Pushed, Sent
    from mitra.control.replay import Entry, Replay
    from mitra.control.signing import SigningKey
    from mitra.control.topics import ControlTopics


def add_reading(parser: argparse.ArgumentParser, *, kafka: bool = True) -> None:
    """Declare what every command of control takes; one that asks no Kafka takes no address of one."""
    parser.add_argument("pipeline", metavar="PIPELINE", help="the pipeline file")
    if kafka:
        parser.add_argument("--bootstrap", metavar="HOST:PORT", help="another Kafka than the pipeline's")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def add_changing(parser: argparse.ArgumentParser) -> None:
    """Declare what a command that changes something takes besides."""
    add_waiting(parser)
    add_key(parser)
    parser.add_argument("--author", metavar="NAME", help="who asks for the change (default: the key's, your user name)")
    parser.add_argument("--reason", metavar="TEXT", default="", help="why, for the log")
    parser.add_argument("--id", metavar="ID", help="the change's id: what is sent again with it is made once")
    parser.add_argument(
        "--effective-at", metavar="TIME", help="make it at this time: ISO 8601 with its zone (default: at once)"
    )
    parser.add_argument(
        "--output", metavar="FILE", help="write the change into a new file for others to sign, and send nothing"
    )


def add_actions(parser: argparse.ArgumentParser) -> Callable[..., argparse.ArgumentParser]:
    """Let a command have commands of its own; what is returned declares one: `action(name, does, act, changes=…)`.

    `act` is called with its arguments; one that `changes` nothing only reads.
    """
    actions = parser.add_subparsers(title="what to do", metavar="ACTION", required=True)

    def action(
        name: str, does: str, act: Callable[[argparse.Namespace], int], *, changes: bool = True
    ) -> argparse.ArgumentParser:
        one = actions.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.", allow_abbrev=False)
        add_reading(one)
        if changes:
            add_changing(one)
        one.set_defaults(act=act)
        return one

    return action


def add_waiting(parser: argparse.ArgumentParser) -> None:
    """Declare what a command that sends takes."""
    parser.add_argument(
        "--wait",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="return when every lane and bucket of the job runs the change (default), or when it is sent",
    )
    parser.add_argument("--timeout", metavar="TIME", default="30s", help="how long to wait at most (default: 30s)")


def add_key(parser: argparse.ArgumentParser) -> None:
    """Declare what a command that signs takes."""
    parser.add_argument(
        "--sign", metavar="KEYFILE", help=f"sign with this private key (default: the file that {KEY_VARIABLE} names)"
    )


KEY_VARIABLE = "MITRA_SIGNING_KEY"
"""The environment's variable that names the file of a private key."""


@dataclass
class Session:
    """A pipeline's control topics, and what is live."""

    pipeline: Pipeline
    topics: "ControlTopics"
    replay: "Replay"
    entries: "list[Entry]"
    context: "Context"


@contextmanager
def open_session(args: argparse.Namespace) -> Iterator[Session]:
    """Load the pipeline, connect, and read the log."""
    from mitra.control.kafka import open_topics  # noqa: PLC0415 - the expression compiler and the client take a while to load
    from mitra.control.replay import Replay, context_of  # noqa: PLC0415

    pipeline = load_pipeline(args.pipeline, args.bootstrap)
    context = context_of(pipeline)
    with open_topics(pipeline) as topics:
        replay = Replay(context)
        entries = list(replay.take_all(topics.log(0)))
        yield Session(pipeline, topics, replay, entries, context)


def make(
    args: argparse.Namespace,
    wanted: "Sequence[Wanted] | Callable[[Session], Sequence[Wanted]]",
    told: list[dict[str, Any]] | None = None,
) -> int:
    """Make changes and tell; 1 if one is refused, or isn't active everywhere in time.

    With --json the document goes to `told` where that is given, for a command that prints more than what became of a change.
    """
    from mitra.control.changes import Signature, plan  # noqa: PLC0415

    timeout_s = _timeout_s(args)
    with open_session(args) as session:
        key = _key(args, session.pipeline)
        author = args.author or (key.author if key else user_name())
        by = Signature(author, args.reason, args.id, args.effective_at, key)
        found = wanted(session) if callable(wanted) else wanted
        planned = plan(session.replay, found, by, to_file=args.output is not None)
        if args.output is None:
            return _send(args, session, planned, timeout_s, told)
    return _write(args, planned)


def send_held(args: argparse.Namespace, planned_of: "Callable[[Session], Plan]") -> int:
    """Send changes that are made already, and tell; 1 if one is refused, or isn't active everywhere in time."""
    timeout_s = _timeout_s(args)
    with open_session(args) as session:
        return _send(args, session, planned_of(session), timeout_s)


def private_key(args: argparse.Namespace) -> bytes | None:
    """Return the private key that the command line or the environment names; None where neither does."""
    name = args.sign or os.environ.get(KEY_VARIABLE)
    if not name:
        return None
    from mitra.control.signing import read_key  # noqa: PLC0415

    return read_key(Path(name))


def _key(args: argparse.Namespace, pipeline: Pipeline) -> "SigningKey | None":
    # The environment may name a key for another pipeline; where changes aren't signed it is not asked for.
    private = private_key(args) if args.sign or pipeline.policy_file else None
    if private is None:
        return None
    from mitra.control.signing import key_of  # noqa: PLC0415

    return key_of(pipeline, private)


def _timeout_s(args: argparse.Namespace) -> float | None:
    timeout_ms = parse_duration_ms(args.timeout)
    if timeout_ms is None:
        raise MitraError(f"--timeout={args.timeout} is no length of time; allowed: {EXAMPLES}")
    return timeout_ms / 1000 if args.wait else None


def _send(
    args: argparse.Namespace,
    session: Session,
    planned: "Plan",
    timeout_s: float | None,
    told: list[dict[str, Any]] | None = None,
) -> int:
    from mitra.control.push import push  # noqa: PLC0415

    if planned.refused:
        raise _refusals(planned)
    pushed = push(session.pipeline, session.topics, session.replay, planned, timeout_s)
    if args.json:
        document = _document(planned, pushed)
        print_json(document) if told is None else told.append(document)
        return 0 if pushed.done else 1
    return _tell(args, planned, pushed, session.pipeline.history)


def _write(args: argparse.Namespace, planned: "Plan") -> int:
    from mitra.control.change_file import write_changes  # noqa: PLC0415

    if planned.refused:
        raise _refusals(planned)
    if planned.send:
        write_changes(Path(args.output), [one.data for one in planned.send])
    if args.json:
        changes = [{"change": one.wanted.kind, "of": one.wanted.about, "id": one.id} for one in planned.send]
        print_json({"ok": True, "file": args.output if planned.send else None, "changes": changes})
    elif planned.send:
        count = len(planned.send)
        print(f"{args.output}: {count} change{'s' * (count != 1)}, not sent")
        print(f"`mitra control sign {args.pipeline} {args.output}` signs, `mitra control send` sends")
    else:
        print("all of it is live already: there is nothing to write")
    return 0


def user_name() -> str:
    """Return who calls, as the machine knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise MitraError(
            "your user name isn't known here, and a change has an author; name one with --author"
        ) from None


def _refusals(planned: "Plan") -> MitraError:
    """Return all that is wrong with changes, none of which was sent."""
    by_source: dict[str, list[Problem]] = {}
    for wanted, problem in planned.refused:
        by_source.setdefault(wanted.source or f"{wanted.kind} {wanted.about}", []).append(problem)
    told = [str(ProblemsError(source, problems)) for source, problems in by_source.items()]
    return MitraError("\n\n".join([*told, "nothing was sent"]))


def _whole_text(limits: HistoryLimits) -> str:
    """Return in words how much of a history is kept event by event."""
    return f"up to {limits.raw_events} events, none older than {duration_text(limits.max_window_ms)}"


def _tell(args: argparse.Namespace, planned: "Plan", pushed: "Pushed", limits: HistoryLimits) -> int:
    from mitra.control.push import why_not  # noqa: PLC0415

    rows = [(*_row(one), str(one.revision), _state(one, pushed)) for one in pushed.sent]
    rows += [(one.kind, one.about, "", "", "unchanged") for one in planned.unchanged]
    print_table(("change", "of", "version", "revision", "state"), rows)
    for one in pushed.sent:
        if one.answer is not None and one.answer.reason:
            problem = Problem(one.answer.place, one.answer.reason, one.answer.hint)
            print(problem.render(), file=sys.stderr if one in pushed.refused else sys.stdout)
    if pushed.exact_from:
        print(f"exact at once where a history is whole ({_whole_text(limits)}); for other histories:")
    for aggregate, exact_ms in pushed.exact_from.items():
        print(f"  {aggregate} from {_moment(exact_ms)} on")
    if not pushed.waited:
        print("not waited for: `mitra control status PIPELINE` shows who runs what")
    elif pushed.done:
        sizes = pushed.sizes
        lanes = f"{sizes['intake']} lane{'s' * (sizes['intake'] != 1)}"
        everywhere = f"{lanes}, {sizes['history']} buckets of history and {sizes['decide']} of decide"
        print(f"revision {pushed.revision} is active everywhere ({everywhere}), after {pushed.ms:.0f} ms")
    elif pushed.refused:
        why = "the job has refused what looked right from here: was something changed meanwhile, or does it run with another pipeline file?"
        if any(one.answer and one.answer.place == "uri" for one in pushed.refused):
            why = "a worker of the job can't load it, so nothing was changed"
        print(f"mitra {args.command}: {why}", file=sys.stderr)
    else:
        print(f"mitra {args.command}: {why_not(pushed, args.timeout)}", file=sys.stderr)
    return 0 if pushed.done else 1


def _row(one: "Sent") -> tuple[str, str, str]:
    version = one.entry.version if one.entry else None
    return one.planned.wanted.kind, one.planned.wanted.about, "" if version is None else str(version)


def _state(one: "Sent", pushed: "Pushed") -> str:
    active = one.state == "prepared" and one.revision <= pushed.revision and not pushed.behind
    return "active" if active else one.state


def _document(planned: "Plan", pushed: "Pushed") -> dict[str, Any]:
    changes = [
        {
            "change": one.planned.wanted.kind,
            "of": one.planned.wanted.about,
            "id": one.planned.id,
            "revision": one.revision,
            "version": one.entry.version if one.entry else None,
            "state": _state(one, pushed),
            "reason": one.answer.reason if one.answer else "",
            "place": one.answer.place if one.answer else "",
            "hint": one.answer.hint if one.answer else "",
        }
        for one in pushed.sent
    ]
    changes += [{"change": one.kind, "of": one.about, "state": "unchanged"} for one in planned.unchanged]
    behind = {
        stage: {str(part): revision for part, revision in parts.items()} for stage, parts in pushed.behind.items()
    }
    return {
        "ok": pushed.done,
        "revision": pushed.revision,
        "waited": pushed.waited,
        "ms": round(pushed.ms, 1),
        "changes": changes,
        "parts": dict(pushed.sizes),
        "behind": behind,
        "exact_from": dict(pushed.exact_from),
    }


def _moment(time_ms: int) -> str:
    from mitra.control.export import time_text  # noqa: PLC0415

    return time_text(time_ms)


def until_ms(text: str) -> int:
    """Return an end: a time as ISO 8601 with its zone or epoch milliseconds, or a length of time from now: `7d`."""
    from control_stream.reading import time_ms  # noqa: PLC0415

    duration = parse_duration_ms(text)
    if duration is not None:
        return time.time_ns() // 1_000_000 + duration
    found = time_ms(int(text) if text.isascii() and text.isdigit() and len(text) < 19 else text)
    if found is None:
        raise MitraError(
            f"--until={text[:60]} is no time; allowed: ISO 8601 with its zone (2026-05-01T12:00:00Z), epoch milliseconds, "
            "or a length of time from now: 12h, 7d"
        )
    return found
