"""What is live, written as files that `mitra rules push` reads back as the same.

features.yaml    features put at run time
lists.yaml       declarations of lists, each with the name of the file of its entries
lists/NAME.csv   entries
rules/ID.yaml    a rule or sequence each
snoozes.yaml     snoozes that have not been ended
"""

import csv
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from control_stream import Mark
from mitra.control.replay import Replay
from mitra.errors import MitraError
from rules import ListDeclaration
from rules import written as as_written
from rules.rule_set import SNOOZE

_NUMERIC = frozenset("+-.0123456789")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_text(time_ms: int) -> str:
    """Return a time as ISO 8601, in UTC, with milliseconds where there are some."""
    moment = _EPOCH + timedelta(milliseconds=time_ms)
    return moment.isoformat(timespec="milliseconds" if time_ms % 1_000 else "seconds").replace("+00:00", "Z")


def yaml_text(value: object) -> str:
    """Return values as a YAML text that `mitra.document` reads as the same."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def export(replay: Replay, folder: Path) -> list[Path]:
    """Write what is live, and return the files. Raises MitraError if the folder has something in it: nothing is mixed."""
    if folder.is_dir() and any(folder.iterdir()):
        raise MitraError(
            f"the folder {str(folder)!r} is not empty: name a new one, so that it holds what is live and no more"
        )
    live, written = replay.live, list[Path]()
    folder.mkdir(parents=True, exist_ok=True)

    def write(name: str, value: object) -> None:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml_text(value), encoding="utf-8")
        written.append(path)

    if live.features:
        write("features.yaml", {"features": dict(live.features)})
    if live.lists:
        write("lists.yaml", {"lists": [_declaration(one, replay) for one in live.lists.values()]})
    for one in live.lists.values():
        entries = replay.entries_of(one.mark)
        if entries:
            written.append(_write_entries(folder / _entries_file(one), entries))
    for rule in live.rules.values():
        write(f"rules/{rule.id}.yaml", as_written(rule))
    # The mark of a rule that was retired lies there still, and says nothing.
    snoozes = [mark for rule in live.rules for mark in replay.entries_of(f"{SNOOZE}{rule}")]
    if snoozes:
        write("snoozes.yaml", {"snoozes": [_snooze(mark) for mark in snoozes]})
    return written


def _declaration(one: ListDeclaration, replay: Replay) -> dict[str, object]:
    found: dict[str, object] = {"name": one.name, "kind": one.kind, "by": one.by}
    if one.immutable:
        found["immutable"] = True
    if one.reason:
        found["reason"] = one.reason
    if replay.entries_of(one.mark):
        found["entries"] = _entries_file(one)
    return found


def _entries_file(one: ListDeclaration) -> str:
    return f"lists/{one.name}.csv"


def _write_entries(path: Path, entries: Sequence[Mark]) -> Path:
    path.parent.mkdir(exist_ok=True)
    # The writer leaves a bare carriage return unquoted, and the reader takes it for the end of the line.
    bare = any("\r" in mark.key for mark in entries)
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL if bare else csv.QUOTE_MINIMAL)
        rows.writerow(("key", "until"))
        rows.writerows((mark.key, "" if mark.until_ms is None else time_text(mark.until_ms)) for mark in entries)
    return path


def _snooze(mark: Mark) -> dict[str, object]:
    until = time_text(mark.until_ms or 0)
    return {"rule": mark.name.removeprefix(SNOOZE), "by": mark.entity, "key": mark.key, "until": until}


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, so that a condition reads as it was written."""


def _text(dumper: _Dumper, text: str) -> Any:
    style = None
    if not text.replace("\n", "").isprintable():
        style = '"'  # in which all is escaped; elsewhere some line ends read as others
    elif "\n" in text:
        style = "|"
    elif text[:1] in _NUMERIC:
        style = "'"  # PyYAML leaves `1e5` bare, which is a number to those who read it back
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
