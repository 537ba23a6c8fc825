"""Reads flink-conf.yaml: the job's Flink settings, flat `key: value` lines. Pure; starts nothing."""

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from mitra.errors import MitraError, Problem, ProblemsError
from mitra.local.files import shipped

FILE = "flink-conf.yaml"

LOCAL: Mapping[str, str] = {
    # Two local runs on one machine must not fight for Flink's usual port.
    "rest.port": "0",
    # The mini cluster lives and dies with the command.
    "rest.address": "127.0.0.1",
}
"""Settings of a local run only; on submission they would point away from the cluster."""

_KEY = re.compile(r"[a-z][A-Za-z0-9-]*(\.[A-Za-z0-9-]+)+")
_SIZE = re.compile(r"(\d+)\s*(k|kb|m|mb|g|gb)?", re.IGNORECASE)
_SHARED_HEAP_MB = 256


def read(path: Path | None = None) -> dict[str, str]:
    """Return the settings of a file, by default Mitra's own, as the texts that Flink takes.

    Raises ProblemsError with every line that isn't a `key: value` of one key and one plain value.
    """
    source = path or shipped(FILE)
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MitraError(f"the Flink settings can't be read; path={source}, error={error}") from error
    return parse(text, str(source))


def parse(text: str, subject: str = FILE) -> dict[str, str]:
    """Return the settings in a text. `subject` is what errors call it; each of them names its line."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}" if mark else ""
        raise ProblemsError(
            subject, [Problem(where, f"not YAML: {error.problem}", "write `key: value`, one a line")]
        ) from error
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise ProblemsError(
            subject, [Problem(f"line {node.start_mark.line + 1}", "no settings", "write `key: value`, one a line")]
        )
    settings: dict[str, str] = {}
    lines: dict[str, int] = {}
    problems: list[Problem] = []
    for key_node, value_node in node.value:
        where = f"line {key_node.start_mark.line + 1}"
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
        if not _KEY.fullmatch(key):
            problems.append(Problem(where, f"not a Flink setting's name; key={key!r}", "such as state.backend.type"))
        elif key in lines:
            problems.append(Problem(where, f"set twice; key={key}", f"line {lines[key]} has it first: keep one"))
        elif not isinstance(value_node, yaml.ScalarNode):
            problems.append(Problem(where, f"nested; key={key}", "write the full name on one line: a.b.c: value"))
        elif not value_node.value.strip():
            problems.append(Problem(where, f"no value; key={key}", "give one, or delete the line"))
        else:
            settings[key] = value_node.value.strip()
        lines.setdefault(key, key_node.start_mark.line + 1)
    if problems:
        raise ProblemsError(subject, problems)
    return settings


def for_local_run(settings: Mapping[str, str], overrides: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the settings of a run on a local mini cluster; `overrides` win over everything."""
    return {**settings, **LOCAL, **(overrides or {})}


def arguments(settings: Mapping[str, str]) -> list[str]:
    """Return the settings as arguments of the `flink` command: `-Dkey=value` each."""
    return [f"-D{key}={value}" for key, value in settings.items()]


def local_heap_mb(settings: Mapping[str, str]) -> int:
    """Return the heap that a local JVM needs for these settings, in MB: the tasks' own and the JobManager's share."""
    key = "taskmanager.memory.task.heap.size"
    return size_mb(key, settings.get(key, "768m")) + _SHARED_HEAP_MB


def size_mb(key: str, value: str) -> int:
    """Return a memory size such as `512m` or `1 gb` in whole MB."""
    found = _SIZE.fullmatch(value.strip())
    if found is None:
        raise MitraError(f"not a memory size; {key}={value}; write it like 512m or 1g")
    number, unit = int(found.group(1)), (found.group(2) or "").lower()[:1]
    return number * {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[unit] >> 20
