"""What topics should be, what is told of those that are not, and a Kafka that isn't there."""

import socket
import time
from pathlib import Path

import pytest

from mitra.cli import main
from mitra.kafka_settings import client_settings
from mitra.pipeline import DAY_MS, Pipeline, load_pipeline
from mitra.topic_plan import TopicState, differences, needed_topics

HANDBOOK = str(Path(__file__).resolve().parents[3] / "examples" / "handbook" / "pipeline.yaml")


def pipeline_with(folder: Path, text: str) -> Pipeline:
    path = folder / "pipeline.yaml"
    head = "name: small\nevents: {payment: {id: id, time: at, fields: {id: string, at: time}}}\n"
    path.write_text(head + text, encoding="utf-8")
    return load_pipeline(path)


def test_a_pipeline_needs_the_topics_of_the_parts_it_uses(tmp_path: Path) -> None:
    assert [plan.name for plan in needed_topics(pipeline_with(tmp_path, ""))] == [
        "small.payment", "small.decisions", "small.dead_letters", "small.alerts", "small.control", "small.control_acks", "small.monitor",
        "small.probes", "small.probe_results",
    ]  # fmt: skip
    plans = {
        plan.role: plan for plan in needed_topics(pipeline_with(tmp_path, "labels: {horizon: 90d}\njob: {lanes: 8}\n"))
    }
    assert plans["outcomes"].retention_ms == 90 * DAY_MS
    assert plans["events"].partitions == plans["events"].least_partitions == 8
    assert {plan.config["cleanup.policy"] for plan in plans.values()} == {"delete"}


def test_a_topic_that_is_not_as_it_must_be_is_told(tmp_path: Path) -> None:
    plans = {plan.role: plan for plan in needed_topics(pipeline_with(tmp_path, "job: {lanes: 4}\n"))}
    good = {"cleanup.policy": "delete", "retention.ms": "-1"}
    assert not differences(plans["events"], TopicState(4, 1, good))
    assert differences(plans["events"], TopicState(2, 1, good)) == ["partitions=2, should be 4 or more"]
    assert "compaction" in differences(plans["events"], TopicState(4, 1, {"cleanup.policy": "compact,delete"}))[0]
    assert differences(plans["decisions"], TopicState(1, 1, {"retention.ms": "1000"})) == [
        "retention.ms=1000, should be 86400000 or more, or -1"
    ]


def test_the_control_topic_is_one_partition_that_is_never_cut(tmp_path: Path) -> None:
    plan = next(
        plan for plan in needed_topics(pipeline_with(tmp_path, "kafka: {partitions: 8}\n")) if plan.role == "control"
    )
    assert (plan.partitions, plan.config["retention.ms"], plan.config["retention.bytes"]) == (1, "-1", "-1")
    assert differences(plan, TopicState(1, 1, {"retention.ms": "-1", "retention.bytes": "5"})) == [
        "retention.bytes=5, should be -1: the log is never cut"
    ]
    assert not differences(plan, TopicState(1, 1, plan.config))
    assert differences(plan, TopicState(2, 1, {"retention.ms": "1000"})) == [
        "partitions=2, should be 1: a new topic must take its place", "retention.ms=1000, should be -1: the log is never cut",
    ]  # fmt: skip


def test_a_kafka_that_refuses_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main(["topics", HANDBOOK, "--bootstrap", address]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert f"no Kafka at bootstrap={address}" in err


def test_a_kafka_that_never_answers_is_told_within_five_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        assert main(["topics", HANDBOOK, "--bootstrap", f"127.0.0.1:{silent.getsockname()[1]}"]) == 1
    assert time.monotonic() - began < 5
    assert capsys.readouterr().err.count("\n") == 1


def test_settings_of_the_java_client_are_handed_to_the_python_one(tmp_path: Path) -> None:
    pipeline = pipeline_with(
        tmp_path,
        """
kafka:
  bootstrap: a:1,b:2
  properties:
    security.protocol: SASL_PLAINTEXT
    sasl.mechanism: SCRAM-SHA-256
    sasl.jaas.config: 'org.apache.kafka.common.security.scram.ScramLoginModule required username="me" password="se;cret";'
    fetch.max.wait.ms: 2
""",
    )
    assert client_settings(pipeline) == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": "me",
        "sasl_plain_password": "se;cret",
    }
