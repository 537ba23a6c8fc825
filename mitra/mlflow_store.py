"""MLflow, where it is installed: training runs logged and registered, and registered models as artefacts that workers reach.

The store is the one that MLflow's own settings name (MLFLOW_TRACKING_URI). What is registered is the artefact's folder as it is, so
that what comes back has the same hashes.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from mitra.errors import MitraError

SCHEME = "models:/"
_FOLDER = "artefact"
_PROXY = "/api/2.0/mlflow-artifacts/artifacts/"


def log_model(folder: Path, experiment: str) -> str:
    """Log the run that an artefact came of, and register it; return its URI, `models:/NAME/VERSION`.

    Parameters, metrics (`test.auc`, …), the pipeline and the windows become the run's; the version is MLflow's, and the artefact's
    own a tag. Raises MitraError with what MLflow says.
    """
    from models.manifest import FILE_NAME, read_manifest  # noqa: PLC0415 - models are loaded where they are read

    manifest, _ = read_manifest(folder / FILE_NAME)
    with _client() as (client, faults):
        found = client.get_experiment_by_name(experiment)
        chosen = client.create_experiment(experiment) if found is None else found.experiment_id
        reference = f"{manifest.name}@{manifest.version}"
        tags = {"mitra.model": reference, "mitra.features": str(len(manifest.features))}
        if manifest.training is not None:
            tags |= {"mitra.pipeline": manifest.training.pipeline}
        run = client.create_run(chosen, run_name=reference, tags=tags).info
        status = "FAILED"
        try:
            for name, value in manifest.parameters.items():
                client.log_param(run.run_id, name, value)
            for name, value in _numbers(manifest.metrics):
                client.log_metric(run.run_id, name, value)
            client.log_artifacts(run.run_id, str(folder), _FOLDER)
            try:
                client.create_registered_model(manifest.name)
            except faults as error:
                if getattr(error, "error_code", "") != "RESOURCE_ALREADY_EXISTS":
                    raise
            source = f"{client.get_run(run.run_id).info.artifact_uri}/{_FOLDER}"
            made = client.create_model_version(manifest.name, source, run.run_id, tags={"mitra.model": reference})
            status = "FINISHED"
        finally:
            client.set_terminated(run.run_id, status)
        return f"{SCHEME}{manifest.name}/{made.version}"


def artefact_uri(uri: str) -> str:
    """Return where the artefact of `models:/NAME/VERSION` lies (`models:/NAME@ALIAS` too), as fsspec opens it.

    Raises MitraError for one that isn't registered, or was not registered by Mitra.
    """
    name, version, alias = _parts(uri)
    with _client() as (client, _):
        if alias:
            version = str(client.get_model_version_by_alias(name, alias).version)
        source = str(client.get_model_version_download_uri(name, version))
        tracking = str(client.tracking_uri)
    if not source.startswith("mlflow-artifacts:"):
        return source
    # The server hands artefacts out by itself; workers needn't know of MLflow.
    if not tracking.startswith("http"):
        raise MitraError(f"{uri} lies behind an MLflow server; set MLFLOW_TRACKING_URI to its address, not {tracking}")
    return tracking.rstrip("/") + _PROXY + urlparse(source).path.lstrip("/")


def _parts(uri: str) -> tuple[str, str, str]:
    """Return the name, the version and the alias in a URI; one of the last two is empty."""
    rest = uri.removeprefix(SCHEME).strip("/")
    name, slash, version = rest.rpartition("/")
    if slash and name and version.isdigit():
        return name, version, ""
    name, at, alias = rest.partition("@")
    if at and name and alias:
        return name, "", alias
    raise MitraError(
        f"{uri} names no registered model; write models:/NAME/VERSION, with MLflow's number, or models:/NAME@ALIAS"
    )


def _numbers(metrics: Mapping[str, Any], head: str = "") -> Iterator[tuple[str, float]]:
    """Yield all numbers of nested metrics by their path."""
    for name, value in metrics.items():
        path = f"{head}.{name}" if head else name
        if isinstance(value, Mapping):
            yield from _numbers(value, path)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield path, float(value)


@contextmanager
def _client() -> Iterator[tuple[Any, type[Exception]]]:
    """Give MLflow's client, and what it raises; that comes out as a MitraError."""
    try:
        from mlflow import MlflowClient  # noqa: PLC0415 - an extra, and it takes seconds to import
        from mlflow.exceptions import MlflowException  # noqa: PLC0415
    except ImportError as error:
        raise MitraError(
            f"MLflow isn't installed here ({error}); `pip install 'mitra[mlflow]'` brings its client"
        ) from None
    try:
        yield MlflowClient(), MlflowException
    except MlflowException as error:
        said = (str(error) or type(error).__name__).splitlines()[0][:300]
        raise MitraError(f"MLflow: {said}") from error
