"""`mitra topics` against a real broker: missing, created, there, and not as it must be."""

import json
from pathlib import Path

import pytest

from mitra.cli import main
from mitra.local.kafka import LocalKafka

pytestmark = pytest.mark.flow

PIPELINE = "name: topicstest\nevents: {payment: {id: id, time: at, fields: {id: string, at: time}}}\nlabels: {}\n"


def test_missing_topics_are_told_created_and_then_found(
    kafka: LocalKafka, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    call = ["topics", str(path), "--bootstrap", kafka.bootstrap]
    assert main(call) == 1
    assert capsys.readouterr().out.count("missing") == 12
    assert main([*call, "--create"]) == 0
    assert capsys.readouterr().out.count("created") == 11
    assert main([*call, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ok"]
    assert {topic["topic"]: topic["partitions"] for topic in said["topics"]}["topicstest.payment"] == 4
    path.write_text(PIPELINE + "job: {lanes: 8}\n", encoding="utf-8")
    assert main(call) == 1
    assert "partitions=4, should be 8 or more" in capsys.readouterr().out
    path.write_text(PIPELINE.replace("topicstest", "topicstest2") + "kafka: {replication: 3}\n", encoding="utf-8")
    assert main([*call, "--create"]) == 1
    assert "set kafka.replication" in capsys.readouterr().err
