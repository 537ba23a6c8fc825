"""`Your first rule, step by step` in docs/rules.md: its commands are called one after the other, and print what it shows."""

import re
from contextlib import nullcontext
from pathlib import Path

import pytest

import mitra.control.kafka
from mitra.cli import main
from mitra.control.replay import context_of
from mitra.pipeline import load_pipeline
from tests.factories.control_topics import MemoryTopics

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
WALK = PAGE.split("## Your first rule, step by step\n", 1)[1].split("\n## ", 1)[0]
FENCES = re.findall(r"^```(\w+)\n(.*?)^```$", WALK, re.MULTILINE | re.DOTALL)
PIPELINE = "examples/payments/pipeline.yaml"


def lasting(text: str) -> str:
    """Return a text without what differs from call to call."""
    return re.sub(r"after \d+ ms", "after 1 ms", text)


def test_every_step_does_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    topics = MemoryTopics(context_of(load_pipeline(ROOT / PIPELINE)), lanes=1, buckets=8)
    monkeypatch.setattr(mitra.control.kafka, "open_topics", lambda _: nullcontext(topics))
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    printed, steps = "", 0
    for kind, body in FENCES:
        match kind:
            case "yaml":
                (tmp_path / "first.yaml").write_text(body)
            case "sh":
                for call in body.splitlines():
                    words = re.findall(r'"[^"]*"|\S+', call)
                    assert main([word.strip('"') for word in words[1:]]) == 0, call
                    steps += 1
                printed = capsys.readouterr().out
            case "text":
                assert lasting(body) == lasting(printed), printed
    assert steps == 7
    assert (tmp_path / "catalog.md").read_text().startswith("# payments\n")
