"""What decide tells the monitor: payments decided, labels that came, and once of each model what its manifest says.

These lie in a window and in the monitor's journal at a savepoint, so their bytes are state: kind, version, then the fields as a
MessagePack array. Columns are the raw bytes of little-endian arrays.
"""

from typing import Any

import msgspec

from mitra.errors import MitraError
from models.manifest import Baseline

VERSION = 1


class Payments(msgspec.Struct, array_like=True):
    """n payments that one bucket decided for the first time, scored by m models.

    `clocks_ms` are the event-time clocks of the bucket's lanes, by lane. `numbers` f4[n, k] under the names in `features` (NaN:
    missing); `checked` f8[n, c] and `texts` u1[n, t] are what the pipeline's checks look at, under `checked_names` and
    `text_names`: numbers, and of texts whether they are known (0), unseen (1) or missing (2). `raw` and `scores` f8[n, m] (NaN: none), `deciding` i1[n] the place of the model that decided
    in `models`, or -1; `outcomes` u1[n]; `amounts` f8[n] (NaN: not known). `modes` are the models'.
    """

    bucket: int
    clocks_ms: dict[int, int]
    times_ms: bytes
    features: list[str]
    numbers: bytes
    checked_names: list[str]
    checked: bytes
    text_names: list[str]
    texts: bytes
    models: list[str]
    modes: list[str]
    raw: bytes
    scores: bytes
    deciding: bytes
    outcomes: bytes
    amounts: bytes


class Labelled(msgspec.Struct, array_like=True):
    """n labels with what is remembered of their decisions, as in `Payments`.

    `classes` u1[n] is what each says (1 legit, 2 fraud), known at `known_at_ms` i8[n]; `before` u1[n] and `before_known_at_ms`
    what the label before it said, 0 where there was none.
    """

    times_ms: bytes
    classes: bytes
    known_at_ms: bytes
    before: bytes
    before_known_at_ms: bytes
    models: list[str]
    raw: bytes
    scores: bytes
    deciding: bytes
    outcomes: bytes
    amounts: bytes


class Sheet(msgspec.Struct, array_like=True):
    """What a model's manifest says, and the thresholds that its scores are held against."""

    model: str
    review: float | None
    block: float | None
    average_precision: float | None
    baseline: Baseline | None


Observation = Payments | Labelled | Sheet

_KINDS: dict[int, type[Any]] = {1: Payments, 2: Labelled, 3: Sheet}
_HEADS = {kind: bytes((number, VERSION)) for number, kind in _KINDS.items()}
_encode = msgspec.msgpack.Encoder().encode
_DECODERS = {bytes((number, VERSION)): msgspec.msgpack.Decoder(kind).decode for number, kind in _KINDS.items()}


class UnknownObservationError(MitraError):
    """Bytes of a kind or version that this release doesn't read."""


def encode(observation: Observation) -> bytes:
    """Return an observation's bytes."""
    return _HEADS[type(observation)] + _encode(observation)


def decode(data: bytes) -> Observation:
    """Read an observation back. Raises UnknownObservationError for a kind or version that this release doesn't know."""
    decoder = _DECODERS.get(data[:2])
    if decoder is None:
        msg = f"an observation begins with {data[:2].hex()}, which this release doesn't read; run the release that wrote it"
        raise UnknownObservationError(msg)
    found: Observation = decoder(data[2:])
    return found
