"""Decide's side of the monitor: what it has decided and joined, put into observations."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mitra.decide import Decided
from mitra.decision import Record
from mitra.lineup import Lineup
from mitra.messages import PartBatch
from mitra.monitoring.observed import Labelled, Payments, Sheet, encode
from mitra.monitoring.settings import Check, Monitoring
from models.model import Model
from models.quality import FRAUD, LEGIT, SILENT

KNOWN, UNSEEN, MISSING = range(3)


class Joined(NamedTuple):
    """A label that was joined: the record as it was before, with the label that it had, and what is said now."""

    record: Record
    fraud: bool
    known_at_ms: int


class Observer:
    """Tells what the buckets of one subtask do."""

    def __init__(self, monitoring: Monitoring) -> None:
        """Tell what `monitoring` asks for."""
        self._checks = monitoring.checks
        self._told: set[str] = set()

    def payments(self, bucket: int, parts: Sequence[PartBatch], decided: Decided, lineup: Lineup) -> list[bytes]:
        """Return the observations of a batch, sheets of models that have not been told yet before it."""
        kept = [place for place, row in enumerate(decided.rows) if row >= 0]
        if not kept or decided.features is None:
            return []
        features, rows = decided.features, [decided.rows[place] for place in kept]
        records = [decided.records[place] for place in kept]
        models, modes = _models(records)
        raw, scores, deciding = _scores(records, models)
        numeric, texts = self._checked(features.numeric, features.texts)
        clocks: dict[int, int] = {}
        for part in parts:
            clocks[part.lane] = max(clocks.get(part.lane, 0), part.clock_ms)
        told = Payments(
            bucket=bucket,
            clocks_ms=clocks,
            times_ms=np.array([one.event_time for one in records], dtype=np.int64).tobytes(),
            features=list(features.numeric),
            numbers=features.numbers[rows].astype(np.float32).tobytes(),
            checked_names=list(numeric),
            checked=features.numbers[rows][:, list(numeric.values())].tobytes() if numeric else b"",
            text_names=list(texts),
            texts=bytes(_category(features.texts[name][row], check) for row in rows for name, check in texts.items()),
            models=models,
            modes=modes,
            raw=raw,
            scores=scores,
            deciding=deciding,
            **_decided(records),
        )
        return [*self._sheets(lineup), encode(told)]

    def labelled(self, joined: Sequence[Joined]) -> list[bytes]:
        """Return the observations of labels, one for each set of models that scored."""
        groups: dict[tuple[str, ...], list[Joined]] = {}
        for one in joined:
            groups.setdefault(tuple(_models([one.record])[0]), []).append(one)
        return [encode(_labelled(list(models), group)) for models, group in groups.items()]

    def _sheets(self, lineup: Lineup) -> list[bytes]:
        told = []
        for one in lineup.contenders:
            if one.reference not in self._told and isinstance(one.scorer, Model):
                self._told.add(one.reference)
                told.append(encode(sheet_of(one.scorer)))
        return told

    def _checked(
        self, numeric: dict[str, int], texts: dict[str, list[str | None]]
    ) -> tuple[dict[str, int], dict[str, Check]]:
        """Return what is checked: numbers with their columns, and texts."""
        numbers = {name: numeric[name] for name in self._checks if name in numeric}
        return numbers, {name: check for name, check in self._checks.items() if name in texts}


def sheet_of(model: Model) -> Sheet:
    """Return what the monitor needs of a model."""
    manifest, thresholds = model.manifest, model.thresholds
    found = manifest.metrics.get("test", {}).get("average_precision")
    return Sheet(model.reference, thresholds.review, thresholds.block, found, manifest.baseline)


def _category(text: str | None, check: Check) -> int:
    if text is None:
        return MISSING
    return KNOWN if not check.known or text in check.known else UNSEEN


def _models(records: Sequence[Record]) -> tuple[list[str], list[str]]:
    """Return the models that scored these, decided under one revision, and their modes; some events no model is asked of."""
    first = next((one for one in records if one.models or one.model is not None), records[0])
    if first.models:
        return [one[0] for one in first.models], [one[1] for one in first.models]
    return ([], []) if first.model is None else ([first.model], ["champion"])


def _scores(records: Sequence[Record], models: Sequence[str]) -> tuple[bytes, bytes, bytes]:
    """Return raw scores, scores and places of who decided, as columns."""
    place = {model: number for number, model in enumerate(models)}
    raw = [[one[2] for one in record.models] or [record.raw_score] * len(models) for record in records]
    scores = [[one[3] for one in record.models] or [record.score] * len(models) for record in records]
    return (
        np.array(raw, dtype=np.float64).tobytes(),
        np.array(scores, dtype=np.float64).tobytes(),
        np.array([place.get(record.model or "", -1) for record in records], dtype=np.int8).tobytes(),
    )


def _decided(records: Sequence[Record]) -> dict[str, bytes]:
    return {
        "outcomes": bytes(record.outcome for record in records),
        "amounts": np.array([record.amount for record in records], dtype=np.float64).tobytes(),
    }


def _labelled(models: list[str], joined: Sequence[Joined]) -> Labelled:
    records = [one.record for one in joined]
    raw, scores, deciding = _scores(records, models)
    return Labelled(
        times_ms=np.array([one.event_time for one in records], dtype=np.int64).tobytes(),
        classes=bytes(FRAUD if one.fraud else LEGIT for one in joined),
        known_at_ms=np.array([one.known_at_ms for one in joined], dtype=np.int64).tobytes(),
        before=bytes(_class_before(one) for one in records),
        before_known_at_ms=np.array([one.label[1] if one.label else 0 for one in records], dtype=np.int64).tobytes(),
        models=models,
        raw=raw,
        scores=scores,
        deciding=deciding,
        **_decided(records),
    )


def _class_before(record: Record) -> int:
    if record.label is None:
        return SILENT
    return FRAUD if record.label[0] else LEGIT
