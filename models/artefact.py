"""Model artefacts on disk: a folder with the model's file and a manifest that vouches for every byte of it.

A folder is written whole or not at all, and loads only if each file is what the manifest says.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import xgboost

from mitra.errors import ProblemsError
from models.boosted import Boosted
from models.errors import ModelError
from models.forest import Forest
from models.manifest import FILE_NAME, FileEntry, Manifest, find_problems, read_manifest
from models.model import Model
from models.trees import check_trees

if TYPE_CHECKING:
    from models.estimator import Estimator

MODEL_FILE = "model.ubj"
ESTIMATOR_FILE = "model.skops"


def load_model(path: Path | str, *, max_bytes: int | None = None) -> Model:
    """Return the model in the folder `path`; raise `ModelError` naming the file that isn't as the manifest says.

    `max_bytes`: refuse a model whose files are larger together, before any of them is read.
    """
    folder = Path(path)
    manifest, digest, files = _read_files(folder, max_bytes)
    if MODEL_FILE in files:
        booster = _read_booster(folder / MODEL_FILE, files[MODEL_FILE], manifest)
        return Model(manifest, Boosted(booster, Forest.of(booster)), digest)
    return Model(manifest, _read_estimator(folder / ESTIMATOR_FILE, files[ESTIMATOR_FILE], manifest), digest)


def load_tried(path: Path | str, forest: Mapping[str, Any] | None) -> Model:
    """Return a model that `load_model` has loaded before, from the same bytes, in a fraction of its time.

    Every byte is verified again, what the bytes mean is not. `forest`: what `Forest.arrays` said then; None if there was none.
    """
    folder = Path(path)
    manifest, digest, files = _read_files(folder, None)
    if MODEL_FILE in files:
        booster = xgboost.Booster(model_file=bytearray(files[MODEL_FILE]))
        return Model(manifest, Boosted(booster, None if forest is None else Forest.of_arrays(forest)), digest)
    return Model(manifest, _read_estimator(folder / ESTIMATOR_FILE, files[ESTIMATOR_FILE], manifest), digest)


def _read_files(folder: Path, max_bytes: int | None) -> tuple[Manifest, str, dict[str, bytes]]:
    """Return the manifest, its sha256, and the verified files, among which is one that can score."""
    manifest, content = read_manifest(folder / FILE_NAME)
    total_bytes = sum(entry.bytes for entry in manifest.files)
    if max_bytes is not None and total_bytes > max_bytes:
        msg = f"{folder}: the model has bytes={total_bytes}; the limit is {max_bytes}; fit fewer or smaller trees"
        raise ModelError(msg)
    files = {entry.name: _read_verified(folder, entry) for entry in manifest.files}
    if MODEL_FILE not in files and ESTIMATOR_FILE not in files:
        msg = f"{folder / FILE_NAME}: files doesn't list {MODEL_FILE} or {ESTIMATOR_FILE}; write the artefact again with `mitra train`"
        raise ModelError(msg)
    return manifest, hashlib.sha256(content).hexdigest(), files


def _read_estimator(path: Path, content: bytes, manifest: Manifest) -> "Estimator":
    from models.estimator import read_estimator  # noqa: PLC0415 - scikit-learn takes a second to load, and is seldom needed

    try:
        return read_estimator(content, len(manifest.features))
    except ModelError as error:
        raise ModelError(f"{path} {error}") from error


def write_artefact(
    folder: Path | str, manifest: Manifest, model: bytes, *, overwrite: bool = False, file: str = MODEL_FILE
) -> Path:
    """Write `manifest`, its `files` filled in, and the bytes of the model's `file` into `folder`; return the folder.

    It appears under its name only when complete. An existing folder is refused unless `overwrite`; a folder that
    holds anything but an artefact is refused always.
    """
    folder = Path(folder)
    check_replaceable(folder, overwrite=overwrite)
    complete = msgspec.structs.replace(manifest, files=(_describe(file, model),))
    problems = find_problems(complete)
    if problems:
        raise ProblemsError(str(folder / FILE_NAME), problems)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        temporary.chmod(0o755)
        _write_synced(temporary / file, model)
        content = msgspec.json.format(msgspec.json.encode(complete), indent=1)
        _write_synced(temporary / FILE_NAME, content + b"\n")
        if folder.exists():
            _swap(temporary, folder)
        else:
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _swap(new: Path, folder: Path) -> None:
    """Put `new` in the place of `folder`, back out if that fails half-way."""
    old = new.with_name(new.name + "-old")
    folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old)


def check_replaceable(folder: Path, *, overwrite: bool) -> None:
    """Raise `ModelError` if `folder` must not be written: so that a long fit isn't for nothing."""
    if not folder.exists():
        return
    strangers = not folder.is_dir() or {entry.name for entry in folder.iterdir()} - {
        MODEL_FILE,
        ESTIMATOR_FILE,
        FILE_NAME,
    }
    if strangers:
        msg = f"{folder} exists and is not a model artefact; name another folder"
        raise ModelError(msg)
    if not overwrite:
        msg = f"{folder} exists; name another folder, or say --overwrite"
        raise ModelError(msg)


def _read_verified(folder: Path, entry: FileEntry) -> bytes:
    path = folder / entry.name
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"{path} can't be read ({error.strerror}); the manifest lists it; copy the whole folder again"
        raise ModelError(msg) from error
    found = _describe(entry.name, content)
    if found != entry:
        msg = (
            f"{path} is not the file the manifest describes: expected sha256={entry.sha256} bytes={entry.bytes},"
            f" found sha256={found.sha256} bytes={found.bytes}; copy the whole folder again"
        )
        raise ModelError(msg)
    return content


def _read_booster(path: Path, content: bytes, manifest: Manifest) -> xgboost.Booster:
    """Return the trees, if they were fitted on the manifest's features, in its order."""
    try:
        summary = check_trees(content)
        booster = xgboost.Booster(model_file=bytearray(content))
    except (ModelError, xgboost.core.XGBoostError, ValueError) as error:
        first_line = str(error).splitlines()[0]
        msg = f"{path} is not a model that can score: {first_line}; write the artefact again with `mitra train`"
        raise ModelError(msg) from error
    names = tuple(feature.name for feature in manifest.features)
    if summary.features != len(names):
        msg = f"{path} reads features={summary.features}, the manifest lists {len(names)}"
        raise ModelError(msg)
    if summary.names and summary.names != names:
        expected, found = ", ".join(names), ", ".join(summary.names)
        msg = f"{path}: its features are not the manifest's: manifest [{expected}], {MODEL_FILE} [{found}]"
        raise ModelError(msg)
    return booster


def _describe(name: str, content: bytes) -> FileEntry:
    return FileEntry(name=name, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
