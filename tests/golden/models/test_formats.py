"""Artefacts of every released format load for ever, and score and explain as they did when they were written."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.artefact import load_model, write_artefact
from models.manifest import FILE_NAME, FORMAT
from models.matrix import as_matrix

FOLDER = Path(__file__).parent
FORMATS = sorted(path for path in FOLDER.iterdir() if path.name.startswith("format-"))


@pytest.mark.parametrize("folder", FORMATS, ids=lambda folder: folder.name)
def test_a_released_artefact_scores_as_it_did(folder):
    expected = json.loads((folder / "expected.json").read_text())
    model = load_model(folder / "artefact")
    matrix = as_matrix(expected["rows"])
    raw = model.raw_scores(matrix)
    # The last digit of a float32: processors may round a leaf sum another way.
    assert raw == pytest.approx(np.array(expected["raw_scores"]), abs=1e-7)
    assert model.calibrate(raw) == pytest.approx(np.array(expected["scores"]), abs=1e-6)
    assert model.outcomes(model.calibrate(raw)).tolist() == expected["outcomes"]
    told = [[(reason["feature"], reason["value"], reason["text"]) for reason in row] for row in model.explain(matrix)]
    assert told == [[(r["feature"], r["value"], r["text"]) for r in row] for row in expected["reasons"]]


def test_the_present_format_is_written_byte_for_byte_as_its_golden_file(tmp_path):
    golden = FOLDER / f"format-{FORMAT}" / "artefact"
    model = load_model(golden)
    again = write_artefact(tmp_path / "again", model.manifest, (golden / "model.ubj").read_bytes())
    assert (again / FILE_NAME).read_bytes() == (golden / FILE_NAME).read_bytes()
