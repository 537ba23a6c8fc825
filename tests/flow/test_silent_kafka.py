"""A Kafka that takes connections and never answers: here, where time counts, for pure tests run behind these."""

import socket
import time

import pytest

from mitra.cli import main
from tests.unit.cli.test_topic_plan import HANDBOOK


def test_a_kafka_that_never_answers_is_told_within_five_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        assert main(["topics", HANDBOOK, "--bootstrap", f"127.0.0.1:{silent.getsockname()[1]}"]) == 1
    assert time.monotonic() - began < 5
    assert capsys.readouterr().err.count("\n") == 1
