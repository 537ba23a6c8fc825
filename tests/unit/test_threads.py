"""What subtasks in one process may do at the same moment: they are threads of one interpreter."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("mitra", "operators", "rules", "models", "control_stream")
PROCESS_STARTS = {"mitra/job_local.py", "mitra/job_replay.py", "mitra/job_bootstrap.py", "mitra/cluster/entry.py"}


def racing_decodes(source: str) -> list[int]:
    """Return the lines that decode into a type without a decoder of the module's own.

    msgspec looks at a type when it is first decoded into, and marks it as seen before it is done: a second thread that
    comes in between reads a null pointer and ends the whole process. A decoder made at import is made by one thread.
    """
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"msgspec.json.decode", "msgspec.msgpack.decode", "msgspec.convert"}
        and any(keyword.arg == "type" for keyword in node.keywords)
    ]


def test_no_two_threads_meet_in_a_first_decode() -> None:
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name not in PROCESS_STARTS:
                found += [f"{name}:{line}: make a decoder at import" for line in racing_decodes(path.read_text())]
    assert found == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("msgspec.msgpack.decode(data, type=Stored)", [1]),
        ("\nmsgspec.json.decode(data, type=Stored)", [2]),
        ("_decode = msgspec.msgpack.Decoder(Stored).decode", []),
        ("msgspec.msgpack.decode(data)", []),
    ],
)
def test_the_rule_sees_what_it_forbids(source: str, lines: list[int]) -> None:
    assert racing_decodes(source) == lines
