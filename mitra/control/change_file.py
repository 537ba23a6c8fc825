"""Changes in a file, one JSON object a line, as they are sent: what several people sign before it is sent."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from control_stream import Context, Refusal, read_change
from mitra.control.changes import Planned, Wanted
from mitra.control.replay import about_of
from mitra.errors import MitraError, Problem, ProblemsError

_decode = msgspec.json.Decoder().decode


def write_changes(path: Path, changes: Iterable[bytes]) -> None:
    """Write changes into a new file."""
    try:
        with path.open("xb") as file:
            file.writelines(data + b"\n" for data in changes)
    except FileExistsError:
        raise MitraError(f"the file {str(path)!r} is there already; name a new one") from None


def rewrite_changes(path: Path, changes: Iterable[bytes]) -> None:
    """Write changes into the place of a file, which holds either the old or the new ones whatever happens."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    write_changes(beside, changes)
    beside.replace(path)


def read_changes(path: Path, context: Context) -> list[Planned]:
    """Return the changes in a file. Raises ProblemsError with all that is wrong, by line."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise MitraError(f"the changes {str(path)!r} cannot be read: {error.strerror or error}") from None
    changes, problems = list[Planned](), list[Problem]()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        change = read_change(line, context.limits)
        if isinstance(change, Refusal):
            problems.append(Problem(change.place, change.reason, change.hint, number))
        else:
            said = _decode(line)
            changes.append(Planned(Wanted(change.kind, about_of(said), said, str(path)), change.id, line))
    if not lines and not problems:
        problems.append(Problem("", "holds no change", "a command that changes something writes one with --output"))
    if problems:
        raise ProblemsError(str(path), problems)
    return changes
