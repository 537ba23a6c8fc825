"""Brings an artefact from wherever it lies into a folder: a path, or any URI that fsspec opens.

Every file is cut off where it is longer than the manifest says, so that no store can fill the disk.
"""

import hashlib
import tempfile
from pathlib import Path
from typing import IO, Any

import fsspec

from mitra.errors import MitraError
from models.manifest import FILE_NAME, FileEntry, Manifest, read_manifest

MANIFEST_BYTES = 16_000_000
"""A manifest of 5,000 features with their baselines has 4 MB."""

_CHUNK = 1 << 20


def fetch(uri: str, sha256: str, folder: Path, max_bytes: int) -> None:
    """Fill `folder` with the artefact at `uri`. Raises MitraError where it can't be had, or isn't what `sha256` says."""
    base = uri.rstrip("/")
    found = _fetch(f"{base}/{FILE_NAME}", folder / FILE_NAME, MANIFEST_BYTES)
    if found != sha256:
        msg = (
            f"{base}/{FILE_NAME} has sha256={found}, the change says {sha256}; it was written anew, or is another model"
        )
        raise MitraError(msg)
    manifest, _ = read_manifest(folder / FILE_NAME)
    total_bytes = sum(entry.bytes for entry in manifest.files)
    if total_bytes > max_bytes:
        msg = f"the model has bytes={total_bytes}; allowed: at most {max_bytes} (limits.model_bytes)"
        raise MitraError(msg)
    for entry in manifest.files:
        _check(base, entry, _fetch(f"{base}/{entry.name}", folder / entry.name, entry.bytes), folder)


def describe(uri: str) -> tuple[Manifest, str]:
    """Return the manifest of the artefact at `uri`, and its sha256."""
    with tempfile.TemporaryDirectory(prefix="mitra-model-") as folder:
        path = Path(folder) / FILE_NAME
        sha256 = _fetch(f"{uri.rstrip('/')}/{FILE_NAME}", path, MANIFEST_BYTES)
        return read_manifest(path)[0], sha256


def put_of(uri: str) -> tuple[str, dict[str, Any]]:
    """Return the name@version of the artefact at `uri`, and what a change says that puts it."""
    manifest, sha256 = describe(uri)
    features = [feature.name for feature in manifest.features]
    body = {"name": manifest.name, "version": manifest.version, "uri": uri, "sha256": sha256, "features": features}
    return f"{manifest.name}@{manifest.version}", body


def _check(base: str, entry: FileEntry, found: str, folder: Path) -> None:
    size = (folder / entry.name).stat().st_size
    if size < entry.bytes:
        raise MitraError(f"{base}/{entry.name} is cut off: it has bytes={size}, the manifest says {entry.bytes}")
    if found != entry.sha256:
        raise MitraError(f"{base}/{entry.name} has sha256={found}, the manifest says {entry.sha256}")


def _fetch(uri: str, path: Path, most: int) -> str:
    """Write what is at `uri` into a file; return its sha256."""
    try:
        source: Any = fsspec.open(uri, "rb")
        with source as stream, path.open("wb") as target:
            return _copy(uri, stream, target, most)
    except MitraError:
        raise
    except ImportError as error:
        raise MitraError(f"{uri} can't be opened: {error}; install that where the job's workers run") from error
    except Exception as error:  # every store has errors of its own
        said = (str(error) or type(error).__name__).splitlines()[0][:300]
        raise MitraError(f"{uri} can't be read: {said}") from error


def _copy(uri: str, stream: IO[bytes], target: IO[bytes], most: int) -> str:
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        if size > most:
            raise MitraError(f"{uri} has more than bytes={most}, which is what it may have")
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()
