"""The names under which operators keep state: Flink finds state by them, and starts empty, without a word, under another."""

import ast
from pathlib import Path

OPERATORS = Path(__file__).resolve().parents[2] / "operators"
MAKERS = {"FlinkStore", "MirroredStore", "ValueStateDescriptor", "MapStateDescriptor", "ListStateDescriptor"}
LIVE = {
    "decide.py": ["decisions", "pending_parts", "revisions", "waiting_labels"],
    "govern.py": ["govern"],
    "history.py": ["histories"],
    "intake.py": ["held_records", "lane"],
    "monitor.py": ["monitor"],
}
"""A name that is taken away or changed loses what savepoints hold under it: the changelog must say so."""


def names(path: Path) -> list[str]:
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    made = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in MAKERS]
    texts = [argument.value for call in made for argument in call.args if isinstance(argument, ast.Constant)]
    return sorted(text for text in texts if isinstance(text, str))


def test_state_lies_under_the_names_of_the_savepoints() -> None:
    found = {path.name: names(path) for path in sorted(OPERATORS.glob("*.py")) if path.name != "replay.py"}
    assert {name: texts for name, texts in found.items() if texts} == LIVE
