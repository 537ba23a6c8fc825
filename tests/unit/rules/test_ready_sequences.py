"""The sequences that examples/payments brings: they fit its pipeline, and their examples hold."""

from pathlib import Path

from mitra.control.files import read_files
from mitra.control.replay import context_of
from mitra.pipeline import load_pipeline

FOLDER = Path(__file__).parents[3] / "examples" / "payments"


def test_the_ready_sequences_fit_the_pipeline_and_do_as_their_examples_say() -> None:
    files = read_files([FOLDER / "sequences"], context_of(load_pipeline(FOLDER / "pipeline.yaml")), {})
    assert [one.rule.id for _, one in files.rules] == ["account-takeover", "undelivered-order"]
    assert files.examples == 4
