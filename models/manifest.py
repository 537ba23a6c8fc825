"""`manifest.json`: all that a model artefact says of itself. Format 1.

Every released format has a golden file in tests/golden/models and is read for ever.
"""

import re
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from mitra.errors import Problem, ProblemsError
from models.calibration import Calibration
from models.errors import ModelError
from rules.plan import ValueType

FORMAT = 1
FILE_NAME = "manifest.json"

# A reference `name@version` stands in decisions, metric names and control messages, so both halves stay plain.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NUMERIC = ("number", "integer", "boolean")


class FileEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the artefact: its name within the folder, and what its bytes must be."""

    name: str
    sha256: str
    bytes: int


class ModelFeature(Struct, frozen=True, forbid_unknown_fields=True):
    """An input of the model: a feature's name and type in the pipeline it was trained with."""

    name: str
    type: ValueType


class Window(Struct, frozen=True, forbid_unknown_fields=True):
    """A span of event time in epoch milliseconds, `from_ms` included, `to_ms` not, and what lay in it."""

    from_ms: int
    to_ms: int
    rows: int
    frauds: int


class Training(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the model comes from: its pipeline and the windows it was fitted on and measured on."""

    pipeline: str
    train: Window
    test: Window | None = None


class Thresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """The calibrated scores from which a payment is reviewed and blocked; None: never."""

    review: float | None = None
    block: float | None = None


class Distribution(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How values lay in the training window, for drift to be measured against.

    `deciles`: 11 numbers, least to greatest, empty if all were missing. `shares`: of the values that were there, the
    part in (-inf, e1], (e1, e2] … (en, inf), where e are the distinct inner deciles. `missing`: the part without value.
    `usual`: the largest PSI that a single window had against the whole (`models.drift.usual_psi`): rhythm, and chance.
    """

    deciles: tuple[float, ...]
    shares: tuple[float, ...]
    missing: float
    usual: float = 0.0


class Baseline(Struct, frozen=True, forbid_unknown_fields=True):
    """The training window's distributions: of every feature by name, of the raw and of the calibrated score."""

    features: dict[str, Distribution]
    raw_score: Distribution
    score: Distribution


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole manifest. `metrics` are plain numbers by name, `libraries` the versions that fitted the model."""

    name: str
    version: str
    files: tuple[FileEntry, ...]
    features: tuple[ModelFeature, ...]
    calibration: Calibration
    thresholds: Thresholds
    training: Training | None = None
    baseline: Baseline | None = None
    parameters: dict[str, str | int | float | bool | None] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT


class _Format(Struct):
    format: int


_decode_format = msgspec.json.Decoder(_Format).decode
_decode_manifest = msgspec.json.Decoder(Manifest).decode


def read_manifest(path: Path) -> tuple[Manifest, bytes]:
    """Return the manifest in the file `path` and its bytes; raise `ModelError` or `ProblemsError` if it isn't one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"{path} can't be read ({error.strerror}); a model artefact is a folder with {FILE_NAME} in it"
        raise ModelError(msg) from error
    try:
        released = _decode_format(content).format
        if released != FORMAT:
            msg = f"{path}: format={released} is not one this Mitra reads; it reads format {FORMAT}; upgrade Mitra"
            raise ModelError(msg)
        manifest = _decode_manifest(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"{path} is not a model's manifest: {error}; write the artefact again with `mitra train`"
        raise ModelError(msg) from error
    problems = find_problems(manifest)
    if problems:
        raise ProblemsError(str(path), problems)
    return manifest, content


def find_problems(manifest: Manifest) -> list[Problem]:
    """Return all that is wrong with a manifest that decodes."""
    found = [
        Problem(path, f"{path}={value!r} is not a plain name", "letters, digits, '.', '_' and '-', 64 at most")
        for path, value in (("name", manifest.name), ("version", manifest.version))
        if not _PLAIN.fullmatch(value)
    ]
    for place, entry in enumerate(manifest.files):
        if not _PLAIN.fullmatch(entry.name) or entry.name == FILE_NAME:
            found.append(Problem(f"files[{place}].name", f"{entry.name!r} is not a plain file name within the folder"))
        if not _SHA256.fullmatch(entry.sha256) or entry.bytes < 0:
            found.append(Problem(f"files[{place}]", f"{entry.name}: sha256 needs 64 hex digits and bytes a size"))
    names = [feature.name for feature in manifest.features]
    if not names:
        found.append(Problem("features", "a model needs at least one feature"))
    found += [
        Problem(f"features[{place}].name", f"{name!r} is there twice")
        for place, name in enumerate(names)
        if name in names[:place]
    ]
    found += [
        Problem(f"features[{place}].type", f"{feature.name} is a {feature.type}", "a model's inputs are numeric")
        for place, feature in enumerate(manifest.features)
        if feature.type not in _NUMERIC
    ]
    fault = manifest.calibration.fault()
    if fault:
        found.append(Problem("calibration", fault))
    return found + _threshold_problems(manifest.thresholds)


def _threshold_problems(thresholds: Thresholds) -> list[Problem]:
    found = [
        Problem(f"thresholds.{name}", f"{name}={value} is not a score", "scores lie within 0 … 1")
        for name, value in (("review", thresholds.review), ("block", thresholds.block))
        if value is not None and not 0.0 <= value <= 1.0
    ]
    both = thresholds.review is not None and thresholds.block is not None
    if both and thresholds.review > thresholds.block:  # type: ignore[operator]
        found.append(Problem("thresholds", f"review={thresholds.review} lies above block={thresholds.block}"))
    return found
