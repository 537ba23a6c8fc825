"""Who may import what: the rules that keep deciding apart from running."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("mitra", "operators", "rules", "models", "control_stream")

ONLY_IN = {
    "pyflink": ("operators/", "mitra/job", "mitra/cluster"),
    "xgboost": ("models/",),
    "grpc": ("mitra/graph/", "operators/graph_lookup"),
}
"""What may be imported only by files whose path starts so."""

PURE = ("rules/", "models/", "control_stream/", "mitra/history/")
IMPURE = ("pyflink", "py4j", "kafka", "confluent_kafka", "grpc", "subprocess", "socket", "requests", "operators")
"""What a pure package may not import: anything that starts a process, talks to the world or knows Flink."""


def imported(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the dotted name of every import, those inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module


def broken_rules(path: str, source: str) -> list[str]:
    """Return a line for each import in a file that the rules forbid."""
    found = []
    for line, name in imported(source):
        top = name.partition(".")[0]
        if top in ONLY_IN and not path.startswith(ONLY_IN[top]):
            found.append(f"{path}:{line} imports {name}: only {', '.join(ONLY_IN[top])} may")
        if top in IMPURE and path.startswith(PURE):
            found.append(f"{path}:{line} imports {name}: {path.rpartition('/')[0]} is pure, hand it in as an argument")
        if top in {"tests", "bench"}:
            found.append(f"{path}:{line} imports {name}: what is installed can't need it")
    return found


def test_every_file_keeps_to_the_import_rules() -> None:
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    assert files
    found = [
        line
        for file in files
        for line in broken_rules(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8"))
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("path", "source", "said"),
    [
        (
            "mitra/decide.py",
            "import pyflink",
            "mitra/decide.py:1 imports pyflink: only operators/, mitra/job, mitra/cluster may",
        ),
        (
            "rules/plan.py",
            "def f():\n    from xgboost import Booster",
            "rules/plan.py:2 imports xgboost: only models/ may",
        ),
        ("models/train.py", "import grpc", "models/train.py:1 imports grpc"),
        ("mitra/history/codec.py", "import kafka.errors", "mitra/history is pure"),
        ("mitra/cli/demo.py", "from bench.load import run", "what is installed can't need it"),
    ],
)
def test_a_forbidden_import_is_named_with_its_line(path: str, source: str, said: str) -> None:
    assert said in "\n".join(broken_rules(path, source))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("operators/history.py", "from pyflink.datastream import KeyedProcessFunction"),
        ("mitra/job_graph.py", "import pyflink"),
        ("models/model.py", "import xgboost"),
        ("mitra/cli/kafka.py", "from mitra.local.kafka import LocalKafka"),
        ("rules/plan.py", "from . import parse"),
    ],
)
def test_an_allowed_import_passes(path: str, source: str) -> None:
    assert broken_rules(path, source) == []
