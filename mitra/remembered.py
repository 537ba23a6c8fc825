"""The bytes of a remembered decision: its record, with the names in it as numbers of the bucket's `Names`.

Version 2: a version byte, then a MessagePack array, see `_Kept`. It says nothing twice: of a rule's reason the values alone,
of a composite key which others it is made of, of a model's reasons what their sentences are made from, and of the decision
whose score it has. Version 1, the fields of the record as they are, is still read.
"""

import struct
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, cast

import msgspec

from mitra.decision import ModelScore, Record
from mitra.errors import MitraError
from mitra.names import Names
from models.reasons import Reason, sentence

RECORD_VERSION = 2

Templates = Mapping[tuple[str, int], Sequence[str]]
"""By a rule's id and version the texts of its reason, between which its values stand."""

_JOINT = "\x1f"
"""Between the parts of a composite key."""


class UnknownRecordError(MitraError):
    """A record of a decision has a version that this release doesn't read."""


class _Kept(msgspec.Struct, array_like=True, gc=False):
    """What lies in state.

    | field | holds |
    | --- | --- |
    | `decided_after` | decided_at less event_time, milliseconds |
    | `bits` | the outcome, + 4 if late, + 8 × the place from 1 of the model that decided |
    | `keys` | a key; of a composite one the places of the keys that are its parts, or the parts |
    | `models` | 4 × the number of (reference, mode) + 1 + the outcome, + 0 without one; no mode: it only decided |
    | `scores` | their raw scores, of several float32 if that holds them, else float64; then the calibrated ones, float64 |
    | `reasons` | the number of a feature, its value, its contribution × 10⁶; or as it is, if its sentence isn't made of these |
    | `rules`, `shadow` | the number of (id, version, outcome, texts…), with the values between the texts; or the rule as it is |
    | `not_evaluated` | a rule's number, then those of what it lacks |
    | `label` | whether fraud, known at less event_time, version less known at |
    """

    content_hash: int
    event_time: int
    decided_after: int
    bits: int
    revision: int
    entities: int
    keys: list[str | list[int | str]]
    models: list[int]
    scores: bytes
    reasons: list[list[Any] | dict[str, Any]]
    rules: list[int | list[Any] | dict[str, Any]]
    shadow: list[int | list[Any] | dict[str, Any]]
    not_evaluated: list[list[int]]
    degraded: list[int]
    approximate: list[int]
    amount: float | None
    label: tuple[bool, int, int] | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Kept).decode
_decode_1 = msgspec.msgpack.Decoder(Record).decode
_HEAD = bytes((RECORD_VERSION,))
_NAN = float("nan")
_NONE: list[Any] = []
_REASON = Reason.__required_keys__


def encode_record(record: Record, names: Names, templates: Templates) -> bytes:
    """Return a record's bytes; names that are new are added to `names`, which the caller keeps."""
    # Most of it is empty on most decisions: a comprehension over nothing would cost more than to look.
    number = names.number
    bits, models, scores = _models_in(record, names)
    reasons, rules, shadow, lacking = record.reasons, record.rules, record.shadow, record.not_evaluated
    degraded, approximate, label = record.degraded, record.approximate, record.label
    kept = _Kept(
        record.content_hash,
        record.event_time,
        record.decided_at - record.event_time,
        bits,
        record.revision,
        number(tuple(record.entities)),
        _keys_in(record.keys),
        models,
        scores,
        [_reason_in(one, names) for one in reasons] if reasons else _NONE,
        [_rule_in(one, names, templates) for one in rules] if rules else _NONE,
        [_rule_in(one, names, templates) for one in shadow] if shadow else _NONE,
        [[number((name,)) for name in (rule, *lacks)] for rule, lacks in lacking.items()] if lacking else _NONE,
        [number((name,)) for name in degraded] if degraded else _NONE,
        [number((name,)) for name in approximate] if approximate else _NONE,
        record.amount,
        None if label is None else _label_in(label, record.event_time),
    )
    return _HEAD + _encode(kept)


def decode_record(data: bytes, names: Names) -> Record:
    """Read a record back. Raises UnknownRecordError for a version that this release doesn't know."""
    if data[0] == 1:
        return _decode_1(data[1:])
    kept = _kept(data)
    entities, event_time = names[kept.entities], kept.event_time
    said = _models_out(kept, names)
    place = kept.bits >> 3
    decided = said[place - 1] if place else None
    label = kept.label
    known_at = 0 if label is None else label[1] + event_time
    return Record(
        content_hash=kept.content_hash,
        event_time=event_time,
        decided_at=event_time + kept.decided_after,
        outcome=kept.bits & 3,
        score=None if decided is None else decided[3],
        raw_score=None if decided is None else decided[2],
        model=None if decided is None else decided[0],
        revision=kept.revision,
        late=bool(kept.bits & 4),
        approximate=[names[one][0] for one in kept.approximate],
        reasons=[_reason_out(one, names) for one in kept.reasons],
        degraded=[names[one][0] for one in kept.degraded],
        entities=list(entities),
        keys=_keys_out(kept.keys),
        rules=[_rule_out(one, names) for one in kept.rules],
        not_evaluated={names[rule][0]: [names[one][0] for one in lacks] for rule, *lacks in kept.not_evaluated},
        shadow=[_rule_out(one, names) for one in kept.shadow],
        models=[one for one in said if one[1]],
        amount=kept.amount,
        label=None if label is None else (label[0], known_at, known_at + label[2]),
    )


def with_label(data: bytes, label: tuple[bool, int, int], names: Names) -> bytes:
    """Return a record's bytes with another label: whether it says fraud, since when that is known, its version."""
    if data[0] == 1:
        return encode_record(msgspec.structs.replace(_decode_1(data[1:]), label=label), names, {})
    kept = _kept(data)
    kept.label = _label_in(label, kept.event_time)
    return _HEAD + _encode(kept)


@cache
def _doubles(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}d")


def _kept(data: bytes) -> _Kept:
    if data[:1] != _HEAD:
        msg = f"a remembered decision has version={data[0]}, this release reads up to {RECORD_VERSION}; run the release that wrote it"
        raise UnknownRecordError(msg)
    return _decode(data[1:])


def _label_in(label: tuple[bool, int, int], event_time: int) -> tuple[bool, int, int]:
    return label[0], label[1] - event_time, label[2] - label[1]


def _keys_in(keys: list[str]) -> list[str | list[int | str]]:
    """Return the keys, composite ones by their parts: mostly those are keys themselves."""
    if _JOINT not in "".join(keys):
        return cast("list[str | list[int | str]]", keys)
    places = {key: place for place, key in enumerate(key for key in keys if _JOINT not in key)}
    return [[places.get(part, part) for part in key.split(_JOINT)] if _JOINT in key else key for key in keys]


def _keys_out(kept: list[str | list[int | str]]) -> list[str]:
    plain = [one for one in kept if isinstance(one, str)]
    if len(plain) == len(kept):
        return plain
    return [
        one if isinstance(one, str) else _JOINT.join(part if isinstance(part, str) else plain[part] for part in one)
        for one in kept
    ]


def _models_in(record: Record, names: Names) -> tuple[int, list[int], bytes]:
    """Return the bits, the models and their scores; who decided stands among them, without a mode if it isn't one of them."""
    said = record.models
    bits = record.outcome + 4 * record.late
    model, raw, score = record.model, record.raw_score, record.score
    if not said:
        if model is None:
            return bits, [], b""
        pair = _doubles(2).pack(_NAN if raw is None else raw, _NAN if score is None else score)
        return bits + 8, [4 * names.number((model, ""))], pair
    place = 0
    if model is not None:
        whose = [at for at, one in enumerate(said, 1) if one[0] == model and one[2] == raw and one[3] == score]
        if not whose:
            said = [*said, (model, "", raw, score, None)]
        place = whose[0] if whose else len(said)
    number = names.number
    numbers = [4 * number(one[:2]) + (0 if one[4] is None else 1 + one[4]) for one in said]
    return bits + 8 * place, numbers, _scores_in(said)


def _scores_in(said: Sequence[ModelScore]) -> bytes:
    """Return raw and calibrated scores; None is NaN. XGBoost's raw scores are float32."""
    raw = [_NAN if one[2] is None else one[2] for one in said]
    scores = [_NAN if one[3] is None else one[3] for one in said]
    wide = _doubles(len(said))
    data = wide.pack(*raw)
    try:
        found = struct.pack(f"<{len(said)}f", *raw)
    except OverflowError:
        found = data
    if found is not data and wide.pack(*struct.unpack(f"<{len(said)}f", found)) == data:
        data = found
    return data + wide.pack(*scores)


def _models_out(kept: _Kept, names: Names) -> list[ModelScore]:
    """Return what each model said; one that decided and isn't among those named has no mode."""
    count = len(kept.models)
    wide = _doubles(2 * count)
    short = len(kept.scores) != wide.size
    numbers = struct.unpack(f"<{count}f{count}d", kept.scores) if short else wide.unpack(kept.scores)
    said: list[ModelScore] = []
    for place, packed in enumerate(kept.models):
        reference, mode = names[packed >> 2]
        raw, score, outcome = numbers[place], numbers[count + place], packed & 3
        said.append(
            (
                reference,
                mode,
                None if raw != raw else raw,
                None if score != score else score,
                outcome - 1 if outcome else None,
            )
        )
    return said


def _reason_in(reason: dict[str, Any], names: Names) -> list[Any] | dict[str, Any]:
    if reason.keys() != _REASON:
        return reason
    kept = [names.number((reason["feature"],)), reason["value"], round(reason["contribution"] * 1e6)]
    return kept if _reason_out(kept, names) == reason else reason


def _reason_out(kept: list[Any] | dict[str, Any], names: Names) -> dict[str, Any]:
    if isinstance(kept, dict):
        return kept
    feature, value, contribution = names[kept[0]][0], kept[1], kept[2] / 1e6
    text = sentence(feature, value, contribution)
    return {"feature": feature, "value": value, "contribution": contribution, "text": text}


def _rule_in(said: dict[str, Any], names: Names, templates: Templates) -> int | list[Any] | dict[str, Any]:
    """Return a rule's number with the values of its reason; as it is if a template isn't known, or a sequence's events are there."""
    texts = templates.get((said["id"], said["version"]))
    values = None if texts is None or len(said) > 4 else _between(texts, said["reason"])
    if texts is None or values is None:
        return said
    number = names.number((said["id"], str(said["version"]), said["outcome"], *texts))
    return [number, *values] if values else number


def _rule_out(kept: int | list[Any] | dict[str, Any], names: Names) -> dict[str, Any]:
    if isinstance(kept, dict):
        return kept
    number, *values = [kept] if isinstance(kept, int) else kept
    rule, version, outcome, *texts = names[number]
    reason = "".join((texts[0], *(part for pair in zip(values, texts[1:], strict=True) for part in pair)))
    return {"id": rule, "version": int(version), "outcome": outcome, "reason": reason}


def _between(texts: Sequence[str], filled: str) -> list[str] | None:
    """Return texts that between these give the filled one; None if there are none. Not always the values, but as good."""
    if len(texts) == 1:
        return [] if filled == texts[0] else None
    if not filled.startswith(texts[0]):
        return None
    values, at = [], len(texts[0])
    for text in texts[1:-1]:
        found = filled.find(text, at)
        if found < 0:
            return None
        values.append(filled[at:found])
        at = found + len(text)
    end = len(filled) - len(texts[-1])
    return [*values, filled[at:end]] if end >= at and filled.endswith(texts[-1]) else None
