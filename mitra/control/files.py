"""Files that say what is to be live: rules, and with them features, lists with their entries, and snoozes.

A file of rules is as docs/rules.md has it, one of sequences as docs/sequences.md. Beside `rules`, or without it, a file may hold `features` (texts by name), `lists`
(declarations; `entries` names a CSV file beside it) and `snoozes`. That is what `mitra control export` writes.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from control_stream import Context, Refusal, read_change
from control_stream.reading import time_ms
from mitra.control.changes import Wanted, additions
from mitra.document import Document, read_document
from mitra.errors import MitraError, Problem, ProblemsError
from rules import RuleInFile, check_expressions, check_rules, read_rule_file, run_examples, written

SECTIONS = ("features", "lists", "rules", "sequences", "snoozes")
_encode = msgspec.json.Encoder().encode


class FilesError(MitraError):
    """All that is wrong with some files, file by file."""

    def __init__(self, errors: Sequence[ProblemsError]) -> None:
        """Keep what is wrong with each file."""
        self.errors = errors
        super().__init__("\n\n".join(str(error) for error in errors))


@dataclass
class Files:
    """What files say, each with the file's name."""

    features: dict[str, tuple[str, str]] = field(default_factory=dict)
    lists: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    entries: list[tuple[str, str, list[dict[str, object]]]] = field(default_factory=list)
    rules: list[tuple[str, RuleInFile]] = field(default_factory=list)
    snoozes: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    examples: int = 0

    def wanted(self) -> list[Wanted]:
        """Return the changes that make all of it live, what is needed by others first."""
        found = [
            Wanted("feature.put", name, {"name": name, "text": text}, source)
            for name, (source, text) in self.features.items()
        ]
        found += [Wanted("list.put", str(one["name"]), one, source) for source, one in self.lists]
        for source, name, entries in self.entries:
            found += additions(name, entries, source)
        for source, one in self.rules:
            what = "rule" if one.rule.pattern is None else "sequence"
            found.append(Wanted(f"{what}.put", one.rule.id, {what: written(one.rule)}, source))
        return found + [Wanted("snooze", str(one["rule"]), one, source) for source, one in self.snoozes]


def find_files(names: Iterable[str | Path]) -> list[Path]:
    """Return the files called, and of folders all YAML files in them, in order of their names."""
    found: list[Path] = []
    for name in map(Path, names):
        if name.is_dir():
            inside = sorted(path for path in name.rglob("*") if path.suffix in {".yaml", ".yml"} and path.is_file())
            if not inside:
                raise MitraError(f"the folder {str(name)!r} holds no .yaml file")
            found += inside
        else:
            found.append(name)
    return list(dict.fromkeys(found))


def read_files(names: Iterable[str | Path], context: Context, live_features: Mapping[str, str]) -> Files:
    """Read files, check all texts in them and run the rules' examples. Raises FilesError with all that is wrong.

    `live_features` are features that rules may read besides the pipeline's and those of the files.
    """
    files, problems = Files(), dict[str, list[Problem]]()
    for path in find_files(names):
        try:
            _read(path, files, context)
        except ProblemsError as error:
            problems.setdefault(error.subject, []).extend(error.problems)
    _check(files, {**context.features, **live_features}, context, problems)
    errors = [ProblemsError(name, found) for name, found in problems.items() if found]
    if errors:
        raise FilesError(errors)
    return files


def _read(path: Path, files: Files, context: Context) -> None:
    name = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ProblemsError(name, [Problem("", f"cannot be read: {error.strerror or error}")]) from None
    except UnicodeDecodeError as error:
        raise ProblemsError(name, [Problem("", f"is no UTF-8 text: {error.reason} at byte {error.start}")]) from None
    document = read_document(text)
    value = document.value
    if not isinstance(value, dict) or document.problems or not {"features", "lists", "snoozes"} & value.keys():
        files.rules += [(name, one) for one in read_rule_file(document, name)]
        return
    problems = [
        Problem(key, f"is not known here; allowed: {', '.join(SECTIONS)}", line=document.lines.get(key))
        for key in value
        if key not in SECTIONS
    ]
    reader = _Sections(path, document, context, problems)
    for feature, expression in reader.mapping("features").items():
        if reader.fits("feature.put", {"name": feature, "text": expression}, f"features.{feature}"):
            files.features[feature] = (name, str(expression))
    for place, one in reader.items("lists"):
        reader.declaration(place, one, files)
    for place, one in reader.items("snoozes"):
        if reader.fits("snooze", one, place):
            files.snoozes.append((name, one))
    listed = {key: value[key] for key in ("rules", "sequences") if key in value}
    if listed:
        try:
            rules = read_rule_file(Document(listed, document.lines, ()), name)
        except ProblemsError as error:
            problems += error.problems
        else:
            files.rules += [(name, one) for one in rules]
    if problems:
        raise ProblemsError(name, problems)


class _Sections:
    """Reads the sections of one file; what is wrong is noted with its line."""

    def __init__(self, path: Path, document: Document, context: Context, problems: list[Problem]) -> None:
        self._path = path
        self._document = document
        self._value: Mapping[str, object] = document.value if isinstance(document.value, dict) else {}
        self._context = context
        self._problems = problems

    def mapping(self, section: str) -> dict[str, object]:
        value = self._value.get(section)
        if value is None or isinstance(value, dict):
            return value or {}
        self._note(section, "allowed: names, each with its text")
        return {}

    def items(self, section: str) -> list[tuple[str, dict[str, object]]]:
        value = self._value.get(section) or []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            self._note(section, "allowed: a list of mappings")
            return []
        return [(f"{section}[{place}]", one) for place, one in enumerate(value)]

    def declaration(self, place: str, one: dict[str, object], files: Files) -> None:
        declared = {key: value for key, value in one.items() if key != "entries"}
        if not self.fits("list.put", declared, place):
            return
        source = str(self._path)
        files.lists.append((source, declared))
        entries = one.get("entries")
        if isinstance(entries, str):
            try:
                read = read_entries(self._path.parent / entries, self._context)
            except ProblemsError as error:
                self._problems += [
                    replace(problem, path=f"{entries}: {problem.path}".rstrip(": ")) for problem in error.problems
                ]
                return
            if read:
                files.entries.append((source, str(declared["name"]), read))
        elif entries is not None:
            self._note(f"{place}.entries", "allowed: the name of a CSV file beside this one")

    def fits(self, kind: str, body: Mapping[str, object], place: str) -> bool:
        """Tell whether a change of that kind can be made of a mapping."""
        try:
            data = _encode({"change": kind, "id": "-", "author": "-", **body})
        except UnicodeEncodeError:
            self._note(place, "allowed: texts in Unicode")
            return False
        refusal = read_change(data, self._context.limits)
        if not isinstance(refusal, Refusal):
            return True
        # A feature's place is its name; elsewhere the change's keys are the file's.
        inside = f"{place}.{refusal.place}" if kind != "feature.put" and refusal.place else place
        self._note(inside, refusal.reason, refusal.hint)
        return False

    def _note(self, path: str, message: str, hint: str = "") -> None:
        place = path
        while place and place not in self._document.lines:
            place = place[: max(place.rfind("."), place.rfind("["), 0)]
        self._problems.append(Problem(path, message, hint, self._document.lines.get(place)))


def read_entries(path: Path, context: Context) -> list[dict[str, object]]:
    """Return the entries in a CSV file of keys, each with an `until` behind it if it ends.

    Below a first line `key,until` keys are taken exactly, as an export has them; without it, the blanks around a key are not
    part of it. Raises ProblemsError with all that is wrong, by line.
    """
    problems, entries, exact = list[Problem](), dict[str, dict[str, object]](), False
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in (reader := csv.reader(file, strict=True)):
                line = reader.line_num
                cells = [cell.strip() for cell in row]
                if line == 1 and cells == ["key", "until"]:
                    exact = True
                elif any(cells):
                    _entry([row[0], *cells[1:]] if exact else cells, line, context, entries, problems)
    except OSError as error:
        problems.append(Problem("", f"cannot be read: {error.strerror or error}"))
    except UnicodeDecodeError as error:
        problems.append(Problem("", f"is no UTF-8 text: {error.reason} at byte {error.start}"))
    except csv.Error as error:
        problems.append(Problem("", f"cannot be read as CSV: {error}"))
    if problems:
        raise ProblemsError(str(path), problems)
    return list(entries.values())


def _entry(
    cells: list[str], line: int, context: Context, entries: dict[str, dict[str, object]], problems: list[Problem]
) -> None:
    key, until = cells[0], cells[1] if len(cells) > 1 else ""
    most = context.limits.key_characters
    if not key or len(key) > most:
        problems.append(Problem("key", f"found {len(key)} characters; allowed: 1 to {most}", line=line))
    elif len(cells) > 2:
        hint = "put a key that has a comma in double quotes"
        problems.append(Problem("", f"found {len(cells)} columns; allowed: a key, or a key and until", hint, line))
    elif until:
        moment: object = int(until) if until.isascii() and until.isdigit() and len(until) < 19 else until
        if time_ms(moment) is None:
            allowed = "epoch milliseconds, or ISO 8601 with its zone: 2026-05-01T12:00:00Z"
            hint = "put a key that has a comma in double quotes"
            problems.append(Problem("until", f'found "{until[:60]}"; allowed: {allowed}', hint, line))
        entries[key] = {"key": key, "until": moment}
    else:
        entries[key] = {"key": key}


def _check(files: Files, features: Mapping[str, str], context: Context, problems: dict[str, list[Problem]]) -> None:
    """Check what the texts mean, and run the examples."""
    first: dict[str, str] = {}
    for source, one in files.rules:
        if one.rule.id in first:
            message = f'found "{one.rule.id}", which is the id of a rule in {first[one.rule.id]} too'
            problems.setdefault(source, []).append(Problem("id", message, line=one.line))
        first.setdefault(one.rule.id, source)
    after = {**features, **{name: text for name, (_, text) in files.features.items()}}
    taken = sorted(name for name in files.features if name in context.features)
    for name in taken:
        message = f'"{name}" is a feature of the pipeline'
        problems.setdefault(files.features[name][0], []).append(
            Problem(f"features.{name}", message, "name it otherwise")
        )
    try:
        check_expressions(after, context.schema, "features")
    except ProblemsError as error:
        sources = sorted({source for source, _ in files.features.values()})
        problems.setdefault(", ".join(sources) or error.subject, []).extend(error.problems)
        return
    sound: dict[str, list[RuleInFile]] = {}
    for source, one in files.rules:
        try:
            check_rules({one.rule.id: one.rule}, after, context.schema)
        except ProblemsError as error:
            problems.setdefault(source, []).extend(error.problems)
        else:
            sound.setdefault(source, []).append(one)
    for source, rules in sound.items():
        files.examples += sum(len(one.examples) for one in rules)
        problems.setdefault(source, []).extend(run_examples(rules, after, context.schema))
