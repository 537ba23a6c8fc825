"""Changes of models: what they say, and how they are read."""

import re
from typing import Literal, cast, get_args

import msgspec

from control_stream.limits import ControlLimits
from control_stream.reading import Fields
from mitra.errors import Problem
from rules.rule import Wrong, read_percent

ModelMode = Literal["champion", "challenger", "shadow"]
MODEL_MODES: tuple[ModelMode, ...] = get_args(ModelMode)

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PLAIN_ALLOWED = "1 to 64 letters, digits, '.', '_' and '-', a letter or digit first"
_REFERENCE = re.compile(rf"{_PLAIN.pattern}@{_PLAIN.pattern}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_URI_CHARACTERS = 1_024
_MOST_FEATURES = 5_000


class Artefact(msgspec.Struct, array_like=True, frozen=True):
    """A model's bytes: where they lie, and what they must be. `sha256` is that of the manifest, which vouches for the rest.

    `features` are its inputs, in order.
    """

    name: str
    version: str
    uri: str
    sha256: str
    features: tuple[str, ...]

    @property
    def reference(self) -> str:
        """Its name@version."""
        return f"{self.name}@{self.version}"


class ModelPut(msgspec.Struct, frozen=True):
    """A model comes, as a shadow, once every worker has it loaded."""

    artefact: Artefact


class SetModelMode(msgspec.Struct, frozen=True):
    """A model becomes champion, challenger (with `percent`: it decides for that share of the entities `by`) or shadow."""

    model: str
    mode: ModelMode
    percent: float | None = None
    by: str | None = None


class ModelRetire(msgspec.Struct, frozen=True):
    """A model goes."""

    model: str


def model_put(fields: Fields, limits: ControlLimits) -> ModelPut | None:
    """Read a model.put."""
    del limits
    name, version = _plain(fields, "name"), _plain(fields, "version")
    uri = fields.text("uri", most=_URI_CHARACTERS)
    sha256 = fields.raw("sha256")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        fields.wrong("sha256", "the 64 hex digits of the manifest's SHA-256, in lower case")
        sha256 = ""
    features = fields.items("features", most=_MOST_FEATURES, what="features")
    for place, feature in enumerate(features):
        if not isinstance(feature, str) or not feature.isidentifier():
            fields.problems.append(Problem(f"{fields.at('features')}[{place}]", "allowed: the name of a feature"))
    if fields.has("effective_at"):
        hint = "put it now, as a shadow, and schedule the model.mode that makes it more"
        fields.problems.append(Problem("effective_at", "a model is put when every worker has loaded it", hint))
    return ModelPut(Artefact(name, version, uri, sha256, tuple(map(str, features))))


def model_mode(fields: Fields, limits: ControlLimits) -> SetModelMode:
    """Read a model.mode."""
    del limits
    model, mode = _reference(fields), cast(ModelMode, fields.choice("mode", MODEL_MODES))
    percent, by = None, fields.name("by") if fields.has("by") else None
    if fields.has("percent"):
        try:
            percent = read_percent(fields.raw("percent"))
        except Wrong as wrong:
            fields.wrong("percent", wrong.allowed, wrong.hint)
        if mode != "challenger":
            hint = "a challenger decides for a share, the champion for the others"
            fields.problems.append(Problem("percent", f"says nothing of a {mode}", hint))
    elif by is not None:
        fields.problems.append(Problem("by", "says nothing without percent", "add percent, or leave by out"))
    return SetModelMode(model, mode, percent, by)


def model_retire(fields: Fields, limits: ControlLimits) -> ModelRetire:
    """Read a model.retire."""
    del limits
    return ModelRetire(_reference(fields))


def _plain(fields: Fields, key: str) -> str:
    value = fields.raw(key)
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    fields.wrong(key, _PLAIN_ALLOWED)
    return ""


def _reference(fields: Fields) -> str:
    value = fields.raw("model")
    if isinstance(value, str) and _REFERENCE.fullmatch(value):
        return value
    fields.wrong("model", "a model as name@version")
    return ""
