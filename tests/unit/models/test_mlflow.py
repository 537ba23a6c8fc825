"""MLflow's runs and registered models, against a real local store where the client is installed.

MLflow isn't in the lock. `uv pip install --target DIR 'mlflow-skinny>=3,<4' sqlalchemy alembic -c requirements.lock`, then
`PYTHONPATH=DIR python -m pytest tests/unit/models/test_mlflow.py` runs what is skipped without.
"""

import sys
from pathlib import Path

import pytest

from mitra.errors import MitraError
from mitra.mlflow_store import artefact_uri, log_model
from mitra.model_fetch import describe

ARTEFACT = Path(__file__).parents[2] / "golden" / "models" / "format-1" / "artefact"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return tmp_path


@pytest.mark.usefixtures("store")
def test_a_registered_model_is_the_artefact_that_was_logged() -> None:
    import mlflow  # noqa: PLC0415 - an extra

    assert log_model(ARTEFACT, "fraud") == "models:/golden/1"
    assert log_model(ARTEFACT, "fraud") == "models:/golden/2"
    manifest, sha256 = describe(str(ARTEFACT))
    assert describe(artefact_uri("models:/golden/2")) == (manifest, sha256)
    client = mlflow.MlflowClient()
    client.set_registered_model_alias("golden", "best", "1")
    assert describe(artefact_uri("models:/golden@best")) == (manifest, sha256)
    run = client.get_run(client.get_model_version("golden", "1").run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "golden@1.0")
    assert run.data.tags["mitra.model"] == "golden@1.0"


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("models:/golden/9", "MLflow: .*golden.* not found"),
        ("models:/golden@none", "MLflow: .*golden.* not found"),
        ("models:/golden", "names no registered model; write models:/NAME/VERSION"),
    ],
)
def test_what_is_not_registered_is_told(uri: str, said: str) -> None:
    with pytest.raises(MitraError, match=said):
        artefact_uri(uri)


def test_without_mlflow_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    for call in (lambda: log_model(ARTEFACT, "fraud"), lambda: artefact_uri("models:/fraud/1")):
        with pytest.raises(MitraError, match=r"MLflow isn't installed here .*; `pip install 'mitra\[mlflow\]'`"):
            call()
